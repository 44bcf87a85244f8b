# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does honesty pay?
#
# Every declared behaviour is tried by one evaluator of each group and by coalitions, against everyone else as they are, on the
# same luck. A verdict "gains" holds over the whole audit at a family-wise error of 5%.

# %%
# %matplotlib inline
import poq_abm
from poq_abm.analysis.audit.attacks import attack_frontier, attack_frontier_figure
from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.gains import gain_forest
from poq_abm.analysis.audit.variants import VariantRunner

scenario = poq_abm.load("cost_aware_poq").replace({
    "name": "ten_evaluators",
    "rounds": 500,
    "mechanism.committee_size": 5,
    "population.evaluators": [{"model": "sts_stsb", "count": 5, "noise_sd": 0.5},
                              {"model": "ce_minilm", "count": 5, "noise_sd": 0.5}],
})  # fmt: skip
found = audit(scenario, roles=["evaluator"], replications=10)
print("\n".join(found.sentences))

# %%
gains = found.gains
columns = ["group", "behaviour", "members", "gain", "family_low", "family_high", "verdict"]
gains.sort_values("gain", ascending=False)[columns].head(8).round(4)

# %%
gains.attrs["scenario"] = scenario.name
gain_forest(gains)

# %% [markdown]
# Agreement is paid, so a behaviour that agrees better than honesty does pays, whatever it does to the answer's score. What
# would it cost a coalition to move the consensus?

# %%
runner = VariantRunner.of(scenario)
attacks = [{"name": "boost", "b": 3.0}, {"name": "sabotage"}]
frontier = attack_frontier(runner, attacks, shares=[0.2, 0.4, 0.6], replications=10)
frontier.attrs["scenario"] = scenario.name
attack_frontier_figure(frontier)

# %% [markdown]
# The verdicts hold for the behaviours tried, at their parameters: honesty against an attack that nobody declared is not
# audited.
