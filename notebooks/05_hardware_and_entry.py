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
import poq_abm
from poq_abm.analysis.comparison import describe
from poq_abm.analysis.epochs import epoch_bands, over_epochs
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.schemas import RANGES

# %% [markdown]
# ## Entry
#
# A pool per epoch is shared by what nodes contribute. Nodes come while profit beats an outside option of ten tokens and go
# while it does not. With free entry, profit is competed away to the outside option, which leaves 0.8 pool / 10 nodes.

# %%
entry = poq_abm.load("entry_exit").replace({"replications": 5})
entered = poq_abm.run(entry)
nodes = over_epochs(entered.epochs, "nodes")
nodes.attrs["scenario"] = entry.name
epoch_bands(nodes)

# %%
ends = entered.economy_summary()
of_inference = ends["role"].astype(str) == "inference"
ends = ends[of_inference & (ends["measure"] == "nodes")].copy()
pools = entered.treatments.set_index("treatment")["economy.payment.pool"]
ends["theory"] = 0.8 * ends["treatment"].astype(str).map(pools) / 10.0
for row in ends.itertuples():
    print(f"{row.treatment}: feeds {row.last:.1f} [{row.low:.1f}, {row.high:.1f}] inference nodes; "
          f"theory {row.theory:g}.")  # fmt: skip

# %% [markdown]
# The figure counts the nine evaluators too. The economy settles a little below the textbook number, the more so the larger the
# pool: the formula knows no luck, and the fewer jobs a node has in an epoch the more its profit is luck.

# %% [markdown]
# ## Hardware
#
# One model on three machines; nodes pay rent and energy, and may change their machine for 200 tokens.

# %%
mix = poq_abm.load("hardware_mix").replace({"replications": 8})
mixed = poq_abm.run(mix)
accounts = mixed.accounts[mixed.accounts["role"].astype(str) == "inference"]
keys = ["treatment", "hardware", "replication"]
shares = accounts.groupby(keys, observed=True)["node"].count().unstack("replication").fillna(0) / 30
for treatment, part in shares.groupby(level="treatment", observed=True):
    machine = part.mean(axis=1).idxmax()[1]
    share, _, low, high = mean_interval(part.loc[(treatment, machine)], within=RANGES["0-1"])
    print(f"{treatment}: {share:.3f} [{low:.3f}, {high:.3f}] of the nodes end on {machine}.")
shares.mean(axis=1).unstack("hardware").fillna(0.0).round(3)

# %% [markdown]
# Where cost is not charged, nodes go for the lowest rent; where it is, C is money per *job*, and a machine that is dearer by the
# hour and cheaper by the job wins. Does it pay for itself? Profit of all thirty nodes, epoch by epoch:

# %%
profit = mixed.epochs[mixed.epochs["role"].astype(str) == "inference"]
profit = profit.groupby(["treatment", "replication", "epoch"], observed=True)["profit"].sum()
by_epoch = profit.groupby(["treatment", "epoch"], observed=True).mean().unstack("treatment")
axes = by_epoch.plot(figsize=(7, 4), ylabel="profit of 30 inference nodes (tokens per epoch)")
axes.axhline(0.0, color="black", linewidth=0.6)
axes.set_title(f"{mix.name}: means of n = {mix.replications} replications")
axes.get_figure()

# %%
late = profit[profit.index.get_level_values("epoch") >= 32]  # the last fifth
for treatment, part in late.groupby(level="treatment", observed=True):
    mean, _, low, high = mean_interval(part.groupby(level="replication").mean())
    verdict = "pays" if low > 0.0 else "does not pay" if high < 0.0 else "is not shown to pay"
    print(f"{treatment}: {mean:.0f} [{low:.0f}, {high:.0f}] tokens an epoch: once nodes have chosen, "
          f"hardware {verdict} for itself.")  # fmt: skip

# %% [markdown]
# On the way there every treatment loses: machines that do not pay are rented until their nodes change them.

# %% [markdown]
# Does charging more for cost change what the network as a whole earns? Matched replications, with intervals:

# %%
a, b = "beta_inference=0", "beta_inference=0.6"
compared = mixed.compare(a, b, on=["inference_reward_mean", "evaluator_reward_mean", "welfare"])
print(describe(compared, a, b))

# %% [markdown]
# Latencies on machines other than the RTX 4090 are estimates by a roofline, and every table marks them as such; rents and
# energy prices are the catalogue's. Change them before believing a ranking of machines.
