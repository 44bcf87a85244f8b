# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which consensus withstands evaluators that add points, and up to what share?
#
# Twenty synthetic evaluators, committees of seven. A share of them adds three points to every score.

# %%
# %matplotlib inline
import poq_abm
from poq_abm.analysis.audit.attacks import attack_phase_diagram, attack_phases_of
from poq_abm.analysis.comparison import describe
from poq_abm.analysis.sweeps import metric_over_axes, sweep_lines

rules = ["mean", "trimmed_mean", "median", "trust_weighted"]
scenario = poq_abm.load("adversary_sweep").replace({
    "name": "boosted",
    "rounds": 1500,
    "replications": 12,
    "mechanism.committee_size": 7,
    "malicious.behaviour": {"name": "boost", "b": 3.0},
    "sweep": {"mechanism.aggregation": rules, "malicious.share": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]},
})  # fmt: skip
results = poq_abm.run(scenario)

# %% [markdown]
# Bias is the mean of consensus minus truth, in points of ten. The mean moves by share times three, less what is cut off at
# ten. The median and the trimmed mean do a little better up to a share of 0.3, hardly so at 0.4, and worse at one half. Their
# breakdown point says up to where they cannot be dragged *anywhere*; it promises nothing against three points among errors of
# one and a half. Weighting by trust stays with the mean: nearly everybody's weight saturates, liars' too.

# %%
bias = metric_over_axes(results, "bias", ["malicious.share", "mechanism.aggregation"])
bias.attrs["scenario"] = scenario.name
sweep_lines(bias, "malicious.share", "mechanism.aggregation", label="bias (points of 10)")

# %% [markdown]
# Both treatments below saw the same questions, answers and committees, so their difference is what the rule did.

# %%
a, b = "aggregation=mean,share=0.3", "aggregation=median,share=0.3"
compared = results.compare(a, b, on=["bias", "mean_absolute_error", "reward_gap"])
print(describe(compared, a, b))
half = [name.replace("share=0.3", "share=0.5") for name in (a, b)]
print(describe(results.compare(*half, on=["bias"]), *half))
compared[["metric", "mean_a", "mean_b", "difference", "low", "high", "moved"]].round(4)

# %% [markdown]
# And does it pay the attackers? A plus would say that they earn more than they would honestly.

# %%
phases = attack_phases_of(results, "mechanism.aggregation")
phases.attrs |= {"scenario": scenario.name, "gain_against": "their honest twins"}
attack_phase_diagram(phases)

# %%
pays = phases["phase"].value_counts()
print(f"It pays in {pays.get('pays', 0)} of {len(phases)} cells.")
for share in (0.1, 0.5):
    part = phases[phases["share"] == share]
    print(f"At a share of {share:g} attackers lose between {-part['gain'].max():.3f} and "
          f"{-part['gain'].min():.3f} tokens per job, at 95% no less than "
          f"{-part['gain_high'].max():.3f}.")  # fmt: skip
