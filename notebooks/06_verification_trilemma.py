# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which way of trusting an answer lets what through, at what delay and at what cost?
#
# Proof of Quality pays for quality and proves nothing about which model ran. Ten protocols on the same nodes, with the same
# queries and the same cheats: nine nodes in ten cheat when it pays, one in twenty whatever it costs. The figures of the
# protocols are published where [the pages](../docs/verification/README.md) say so, and assumed elsewhere.

# %%
# %matplotlib inline
import pandas as pd

import poq_abm
from poq_abm.analysis.deterrence import (
    detection_if_broken,
    deterrence_threshold,
    is_deterred,
)
from poq_abm.analysis.trilemma import trilemma, trilemma_of_run

scenario = poq_abm.load("verification_trilemma").replace({"rounds": 10_000, "replications": 6})
results = poq_abm.run(scenario)
table = trilemma_of_run(results, scenario.name)
trilemma(table)

# %% [markdown]
# Each row is a protocol, each panel a side of the trilemma. The bars on the left are dishonest answers that are paid and never
# undone. The table behind the figure:

# %%
shown = ["dishonest_stands", "cheating_share", "provisional_p50_s", "economic_p50_s", "total_usd"]
table[shown].round(4)

# %% [markdown]
# In a sentence, the share of dishonest answers that are paid, the wait until a payment is final, and the cost:

# %%
for name in ("centralised", "poq", "zkml", "opml", "otr"):
    row = table.loc[name]
    print(f"{name} lets through {row['dishonest_stands']:.4f} [{row['dishonest_stands_low']:.4f}, "
          f"{row['dishonest_stands_high']:.4f}] of the queries, is final after "
          f"{row['economic_p50_s']:,.1f} s, and costs {row['total_usd']:.2g} USD.")  # fmt: skip

# %% [markdown]
# ## What a model downgrade does to each
#
# The same cheat under Proof of Quality and under an Optimistic TEE-Rollup, matched replication by replication:

# %%
pair = results.compare("protocol=poq", "protocol=otr", on=["dishonest_stands", "truth_mean"])
pair[["metric", "mean_a", "mean_b", "difference", "low", "high", "moved"]].round(4)

# %% [markdown]
# ## When is a rational node deterred?
#
# Honesty pays where p (S + F) >= G: p the chance of being found out, S what is slashed, F the fee at risk, G what cheating saves. An
# intact enclave finds out every downgrade; a broken one leaves the proof rate and the watchers.

# %%
rows = []
for proof_rate in (0.01, 0.1):
    for watched in (0.0, 0.1, 0.5):
        p = detection_if_broken(proof_rate, watched)
        rows.append(
            {
                "proof rate": proof_rate,
                "watched": watched,
                "p": p,
                "deterred by 1 USD": is_deterred(p, 0.05, 1.0, 0.1),
            }
        )
pd.DataFrame(rows).round(3), deterrence_threshold(0.05, 1.0, 0.1)

# %% [markdown]
# In a run of this length few replications see a broken vendor, so it cannot tell `tee` from `otr`; the scenario
# `otr_vulnerability_window` is made for that. Replace the figures by your own before choosing a protocol.
