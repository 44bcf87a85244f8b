# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Do the claims of Proof of Quality hold for models that were really run?
#
# The profile `small_llms` was measured: two small language models at three precisions and two classical systems answered
# 100 questions and summarised 100 abstracts, and five real evaluators scored them. Each cell ends in an answer with its 95%
# interval, by resampling records; what the numbers lean on stands in the documentation (`docs/explanation/small_llms.md`).

# %%
# %matplotlib inline
import matplotlib.pyplot as plt

import poq_abm
from calibration.shipped import small_llms_findings as findings

profile = poq_abm.load_profile("small_llms")
claims = findings.claims(profile).set_index("question")


def told(row):
    """Return a value with its interval."""
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


claims.round(2)

# %% [markdown]
# ## The bi encoder against the others

# %%
evaluators = findings.evaluators(profile).set_index("evaluator")
print(f"MiniLM beside the reference correlates {told(evaluators.loc['minilm_reference'])} with the truth, "
      f"a count of common words {told(evaluators.loc['word_overlap'])}:\n"
      f"the difference is {told(claims.loc['minilm_reference before word_overlap'])}. "
      f"Beside the source MiniLM reaches {told(evaluators.loc['minilm_input'])}.")  # fmt: skip
evaluators.round(3)

# %% [markdown]
# The truth here is itself an overlap of words, which favours whoever counts words; that the reference matters more than
# the encoder does not depend on it.
#
# ## Quality against latency

# %%
systems = findings.systems(profile)
print("Over eight systems truth and the logarithm of latency correlate "
      f"{told(claims.loc['truth with log latency, over systems'])}.\n"
      "A sentence picked by TF-IDF against SmolLM2 in 4 bits: "
      f"{told(claims.loc['central_sentence before smollm2_q4, points'])} points of ten.")  # fmt: skip
figure, axes = plt.subplots(figsize=(7, 4))
spread = [systems["value"] - systems["low"], systems["high"] - systems["value"]]
axes.errorbar(systems["latency"], systems["value"], yerr=spread, fmt="o", capsize=3)
for row in systems.itertuples():
    side = "right" if row.system.endswith("_q4") else "left"
    axes.annotate(f"  {row.system}  ", (row.latency, row.value), fontsize=8, ha=side)
axes.set(xscale="log", xlim=(1e-3, 30), xlabel="latency, relative to smollm2_q4",
         ylabel="truth (points of ten)", title="small_llms: 200 records, 95% intervals")  # fmt: skip
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Does a downgrade show in any evaluator's score?
#
# From `f32` to `q4` only the arithmetic changes, because both are the same 4-bit file; from `q4` to `q3` weights are lost.

# %%
downgrades = findings.downgrades(profile)
for step, part in downgrades[downgrades["seen by"] != "truth"].groupby("step", sort=False):
    least = part.loc[part["value"].idxmin()]
    print(f"{step}: seen by {(part['low'] > 0).sum()} of {len(part)} evaluators, "
          f"least by {least['seen by']}: {told(least)} points.")  # fmt: skip

# %% [markdown]
# ## Does agreement pay follow accuracy?

# %%
pay = findings.agreement_pay(profile).set_index("evaluator")
pay["follows the truth"] = evaluators["value"]
best = evaluators["value"].idxmax()
place = int(pay["value"].rank(ascending=False)[best])
print("Over these five evaluators closeness to the consensus and correlation with the truth correlate "
      f"{told(claims.loc['agreement pay with correlation with truth, over evaluators'])}.\n"
      f"{best}, which follows the truth best, comes {place}th of {len(pay)} in pay: closeness {told(pay.loc[best])}.")  # fmt: skip
pay.round(2)

# %% [markdown]
# Lost weights show in every score, which is what the mechanism needs. That the bi encoder is the evaluator to choose, or that
# agreement pays for being right, these models do not bear out.
