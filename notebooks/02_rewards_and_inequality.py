# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How unequally are rewards spread, and does charging for cost make it worse?
#
# Forty inference nodes and twenty evaluators of the published models, under three weights of cost.

# %%
# %matplotlib inline
import seaborn as sns

import poq_abm
from poq_abm.analysis.alignment import reward_alignment
from poq_abm.analysis.distributions import reward_violins
from poq_abm.analysis.lorenz import lorenz_curves, lorenz_figure
from poq_abm.analysis.rewards import reward_distribution
from poq_abm.experiment.estimates import mean_interval
from poq_abm.simulation.inequality import gini

models = ["llama_3_2_3b", "gemma_2_2b_it", "tinylama_1_1b", "qwen2_1_5b"]
scenario = poq_abm.load("cost_aware_poq").replace({
    "name": "forty_nodes",
    "rounds": 4000,
    "replications": 10,
    "population.inference": [{"model": m, "count": 10} for m in models],
    "population.evaluators": [{"model": "sts_stsb", "count": 10, "noise_sd": 0.5},
                              {"model": "ce_minilm", "count": 10, "noise_sd": 0.5}],
    "sweep": {"mechanism.beta_inference": [0.0, 0.15, 0.3]},
})  # fmt: skip
results = poq_abm.run(scenario)
nodes = results.nodes

# %% [markdown]
# Each index is computed over the nodes of one replication; what is shown is its mean over replications, with its interval.

# %%
spread = reward_distribution(nodes[nodes["role"] == "inference"], by=["role"])
wanted = spread[spread["statistic"].isin(["mean", "gini", "theil", "nakamoto"])]
wanted.pivot(index="treatment", columns="statistic", values=["estimate", "low", "high"]).round(3)

# %%
curves = lorenz_curves(nodes[nodes["role"] == "inference"], by=["role"])
curves.attrs["scenario"] = scenario.name
lorenz_figure(curves)

# %%
dear = nodes[(nodes["treatment"] == "beta_inference=0.3") & (nodes["role"] == "inference")].copy()
dear.attrs["scenario"] = scenario.name
reward_violins(dear, by="group")

# %% [markdown]
# The tables are plain pandas: seaborn draws of them what no figure of ours shows, here how each node's reward moves with what
# its answers are worth.

# %%
axes = sns.scatterplot(
    dear.astype({"group": str}), x="truth_mean", y="reward_mean", hue="group", s=12
)
axes.set(
    xlabel="ground truth of its answers, mean (points of 10)", ylabel="reward per job (points)"
)
axes.get_figure()

# %% [markdown]
# Charging for cost, then, makes it worse by this much, over matched replications:

# %%
inference = nodes[nodes["role"] == "inference"]
paid = inference.astype({"treatment": str}).groupby(["treatment", "replication"])["reward_total"]
ginis = paid.apply(gini).unstack("treatment")
dear_ginis, free_ginis = ginis["beta_inference=0.3"], ginis["beta_inference=0"]
rise, _, low, high = mean_interval(dear_ginis - free_ginis)
print(
    f"The Gini coefficient of inference nodes is {free_ginis.mean():.3f} where cost is not "
    f"charged; a weight of 0.3 raises it by {rise:.3f} [{low:.3f}, {high:.3f}]."
)

# %% [markdown]
# Inequality is not a fault if those earn more who are worth more. Rank correlation of reward per job with what a node is worth:

# %%
aligned = reward_alignment(nodes, role="inference")
aligned[aligned["merit"].isin(["quality", "truth"])].drop(columns="role").round(3)

# %% [markdown]
# Charging for cost spreads rewards further apart: the slow models are also the weaker ones here, so both terms of the reward
# rank nodes alike. In another population they need not.
