# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How many nodes does a reward pool feed, and which hardware pays for itself?
#
# Two economies, both ours: the published study has one machine and nodes that neither come nor go.

# %%
# %matplotlib inline
import pandas as pd

import poq_abm
from poq_abm.analysis.comparison import describe
from poq_abm.analysis.epochs import epoch_bands, over_epochs

# %% [markdown]
# ## Entry
#
# A pool per epoch is shared by what nodes contribute. Nodes come while profit beats an outside option of ten tokens and go
# while it does not. With free entry, profit is competed away to the outside option, which leaves 0.8 pool / 10 nodes.

# %%
entry = poq_abm.load("entry_exit").replace({"rounds": 60_000, "replications": 6})
entered = poq_abm.run(entry)
nodes = over_epochs(entered.epochs, "nodes")
nodes.attrs["scenario"] = entry.name
epoch_bands(nodes)

# %%
ends = entered.economy_summary()
ends = ends[(ends["role"].astype(str) == "inference") & (ends["measure"] == "nodes")].copy()
pools = entered.treatments.set_index("treatment")["economy.payment.pool"]
ends["theory"] = 0.8 * ends["treatment"].astype(str).map(pools) / 10.0
ends[["treatment", "first", "last", "low", "high", "theory"]].round(1)

# %% [markdown]
# The figure counts the nine evaluators too. The economy settles a little below the textbook number, the more so the larger the
# pool: the formula knows no luck, and with few jobs an epoch a node's profit is mostly luck. Ten times as many rounds bring the
# largest pool to about 117 nodes; try it.

# %% [markdown]
# ## Hardware
#
# One model on three machines; nodes pay rent and energy, and may change their machine for 200 tokens.

# %%
mix = poq_abm.load("hardware_mix").replace({"rounds": 20_000, "replications": 6})
mixed = poq_abm.run(mix)
accounts = mixed.accounts[mixed.accounts["role"].astype(str) == "inference"]
keys = ["treatment", "hardware"]
shares = accounts.groupby([*keys, "replication"], observed=True)["node"].count()
shares = shares.groupby(keys, observed=True).sum() / (mix.replications * 30)
pd.DataFrame({"share of nodes at the end": shares}).unstack("hardware").round(2)

# %%
profit = over_epochs(mixed.epochs, "profit")
profit.attrs["scenario"] = mix.name
epoch_bands(profit)

# %% [markdown]
# Does charging more for cost change what the network as a whole earns? Matched replications, with intervals:

# %%
a, b = "beta_inference=0", "beta_inference=0.6"
compared = mixed.compare(a, b, on=["inference_reward_mean", "evaluator_reward_mean", "welfare"])
print(describe(compared, a, b))

# %% [markdown]
# Latencies on machines other than the RTX 4090 are estimates by a roofline, and every table marks them as such; rents and
# energy prices are the catalogue's. Change them before believing a ranking of machines.
