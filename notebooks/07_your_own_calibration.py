# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What would these rules pay *my* models and evaluators?
#
# Whoever has logged scores has most of a profile: one row per prompt and model, a column for the truth, one for each
# evaluator, on whatever scale. Here the log is made up, with one evaluator that follows the truth and one that likes long
# answers; put your own file in its place. To *measure* models from scratch instead, see `poq calibrate demo`.

# %%
# %matplotlib inline
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd

import poq_abm
from calibration.profile.importing import ImportSettings, import_table
from poq_abm.analysis.evaluator_correlation import (
    evaluator_correlation_bars,
    evaluator_correlations,
)
from poq_abm.analysis.mean_rewards import reward_against_cost
from poq_abm.experiment.estimates import mean_interval

folder = Path(mkdtemp())
made = np.random.default_rng(7)  # a made-up log; simulations draw from poq_abm.random alone
prompts, systems = 120, {"small": 4.0, "large": 6.5}
rows = []
for prompt in range(prompts):
    hard = made.normal(0.0, 1.0)
    for system, level in systems.items():
        truth = float(np.clip(level - hard + made.normal(0.0, 1.0), 0.0, 10.0))
        words = 80.0 + 40.0 * (system == "small") + made.normal(0.0, 20.0)
        rows.append({"prompt": prompt, "system": system, "expert": round(truth, 2),
                     "cosine": float(np.clip(truth / 10.0 + made.normal(0.0, 0.1), 0.0, 1.0)),
                     "likes_length": words + made.normal(0.0, 5.0)})  # fmt: skip
pd.DataFrame(rows).to_csv(folder / "log.csv", index=False)
costs = {"node": ["small", "large", "cosine", "likes_length"], "latency_ms": [300, 900, 5, 5]}
pd.DataFrame(costs).to_csv(folder / "costs.csv", index=False)

# %% [markdown]
# Every column is mapped to points of 10. A scale is stated, or inferred from the values where they leave no doubt; what fits no
# scale, such as a number of words, is mapped by its minimum and maximum. Each mapping is printed and kept in the profile.

# %%
settings = ImportSettings(
    record="prompt", model="system", truth="expert", evaluators=["cosine", "likes_length"],
    scales={"cosine": "0:1"}, costs=folder / "costs.csv",
)  # fmt: skip
path = import_table(folder / "log.csv", folder / "mine", settings, report=print)
profile = poq_abm.load_profile(str(path))
profile

# %%
correlations = evaluator_correlations(profile)
correlations.attrs |= {"scenario": f"profile {profile.name}", "records": len(profile.records)}
evaluator_correlation_bars(correlations)

# %% [markdown]
# A population of these models, paid by the published rule:

# %%
scenario = poq_abm.load("cost_aware_poq").replace({
    "name": "mine",
    "profile": str(path),
    "rounds": 3000,
    "mechanism.committee_size": 2,
    "population.inference": [{"model": "small"}, {"model": "large"}],
    "population.evaluators": [{"model": "cosine"}, {"model": "likes_length"}],
})  # fmt: skip
results = poq_abm.run(scenario)
summary = results.summary()
summary.attrs["scenario"] = scenario.name
summary[["role", "group", "reward_mean", "reward_low", "reward_high", "cost"]].round(3)

# %%
reward_against_cost(summary)

# %%
nodes = results.nodes[results.nodes["role"] == "evaluator"].astype({"group": str})
closeness = nodes.pivot(index="replication", columns="group", values="closeness_mean")
gap, _, low, high = mean_interval(closeness["cosine"] - closeness["likes_length"])
answers = summary[summary["role"] == "inference"].set_index("group")
print(
    f"`large` earns {answers.loc['large', 'reward_mean']:.3f} "
    f"[{answers.loc['large', 'reward_low']:.3f}, {answers.loc['large', 'reward_high']:.3f}] tokens "
    f"per job and `small` {answers.loc['small', 'reward_mean']:.3f} "
    f"[{answers.loc['small', 'reward_low']:.3f}, {answers.loc['small', 'reward_high']:.3f}]; the "
    f"closeness of the two evaluators differs by {gap:.3f} [{low:.3f}, {high:.3f}]."
)

# %% [markdown]
# Two evaluators that are compared with the mean of both are always equally far from it: with K = 2 the one that follows the
# truth and the one that does not are paid alike. Agreement pay is not accuracy pay.
