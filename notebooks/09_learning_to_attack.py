# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does a learner find the sleeper attack: behave until trusted, then lie?
#
# Nobody tells it of trust. An operator owns one of two inference nodes and two of six evaluators. In each of six epochs the
# evaluators are honest, or add five points to whatever its own inference node answers. It learns from its profit alone,
# by Q-learning in a table: numbers, and no library.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import poq_abm
from poq_abm.experiment.estimates import mean_interval
from poq_abm.simulation.epochs.environment import OBSERVED, EconomyEnvironment

EPOCHS, HONEST, LIE = 6, 0, 1
scenario = poq_abm.load({
    "profile": "synthetic",
    "synthetic": {"models": 2, "evaluators": 1, "truth_mean": 5.0, "truth_sd": 1.0, "noise_sd": 0.3, "records": 500},
    "rounds": 100 * EPOCHS,
    "mechanism": {"aggregation": "trust_weighted", "trust": {"update": "relative", "rate": 0.3}},
    "population": {
        "inference": [{"model": "model_1", "name": "own"}, {"model": "model_2", "name": "rival"}],
        "evaluators": [
            {"model": "evaluator_1", "count": 2, "name": "ring"},
            {"model": "evaluator_1", "count": 4, "name": "others", "noise_sd": 1.0},
        ],
    },
    "economy": {"epochs": EPOCHS},
})  # fmt: skip
RING = ["evaluator_0", "evaluator_1"]
lie = {"name": "targeted", "group": "own", "inner": {"name": "boost", "b": 5.0}}
environment = EconomyEnvironment(scenario, ["inference_0", *RING], choices={"evaluator": [lie]})
environment.actions("evaluator_0")

# %% [markdown]
# `EconomyEnvironment` is a `ParallelEnv` of PettingZoo: a step is an epoch, a reward its profit, an episode a replication.
# The ring sees more exactly than the others do, so that honesty earns it trust under the update `relative`.

# %%
TRUST = [name for name, *_ in OBSERVED].index("trust")
LEVELS = [0.5, 2.0, 4.0]  # between which a state tells apart how far the ring is trusted


def play(choose, replication):
    """Return states, actions, profits and trust of an episode in which the ring does as `choose` says."""
    seen, _ = environment.reset(seed=replication)
    path = []
    for epoch in range(EPOCHS):
        trust = np.mean([seen[node][TRUST] for node in RING])
        state = (epoch, int(np.searchsorted(LEVELS, trust)))
        action = choose(state)
        seen, profit, *_ = environment.step({"inference_0": 0, **dict.fromkeys(RING, action)})
        path.append((state, action, sum(profit.values()), trust))
    return path


def learn(seed, episodes=300):
    """Return the table of values that a learner ends with; it tries at random, and ever less."""
    random = np.random.default_rng(seed)
    values, tries = np.zeros((EPOCHS, len(LEVELS) + 1, 2)), np.zeros((EPOCHS, len(LEVELS) + 1, 2))
    for episode in range(episodes):
        curious = max(0.05, 1.0 - episode / (0.7 * episodes))

        def choose(state, curious=curious):
            return int(random.integers(2) if random.random() < curious else values[state].argmax())

        path = play(choose, 1000 * (seed + 1) + episode)
        ahead = 0.0
        for state, action, profit, _ in reversed(path):
            tries[state][action] += 1
            step = tries[state][action] ** -0.7
            values[state][action] += step * (profit + ahead - values[state][action])
            ahead = values[state].max()
    return values


learned = [learn(seed) for seed in range(6)]

# %% [markdown]
# ## What they do, on replications that none of them has seen

# %%
FRESH = range(20)


def paths(choose):
    """Return profit and trust by replication and epoch, and what was done."""
    played = [play(choose, replication) for replication in FRESH]
    columns = [np.array([[step[place] for step in path] for path in played]) for place in (2, 3, 1)]
    return dict(zip(("profit", "trust", "lies"), columns, strict=True))


honest, liar = paths(lambda _: HONEST), paths(lambda _: LIE)
found = [paths(lambda state, values=values: int(values[state].argmax())) for values in learned]


def gain(one):
    """Return by how much more a plan earns than honesty, on the same keys."""
    return (one["profit"] - honest["profit"]).sum(axis=1).mean()


plans = pd.DataFrame(
    {
        "learner": range(len(found)),
        "share of lies by epoch": [np.round(one["lies"].mean(axis=0), 2).tolist() for one in found],
        "gain over honesty, tokens": [gain(one) for one in found],
    }
).set_index("learner")
plans.round(1)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
epochs = np.arange(1, EPOCHS + 1)
for name, some in (("honest", [honest]), ("always lies", [liar]), ("learned", found)):
    left.plot(epochs, np.mean([one["trust"] for one in some], axis=(0, 1)), marker="o", label=name)
    more = np.cumsum(np.mean([one["profit"] - honest["profit"] for one in some], axis=(0, 1)))
    right.plot(epochs, more, marker="o", label=name)
left.set(xlabel="epoch", ylabel="trust of the ring, before it", xticks=epochs)
right.set(xlabel="epoch", ylabel="tokens more than honest, so far", xticks=epochs)
left.legend()
figure.tight_layout()

# %% [markdown]
# ## The answer

# %%
mean, _, low, high = mean_interval([gain(one) for one in found])
always = mean_interval((liar["profit"] - honest["profit"]).sum(axis=1))
lies = np.array([one["lies"].mean(axis=0) for one in found])
slept = (lies[:, 0] < 0.5) & (lies[:, -1] > 0.5) & (np.diff(lies, axis=1) > -0.5).all(axis=1)
sleepers = int(slept.sum())
trusted = np.mean([one["trust"][:, one["lies"].mean(axis=0).argmax()].mean() for one in found])
print(
    f"{'Yes' if sleepers > len(found) / 2 and low > 0 else 'No'}: {sleepers} of {len(found)} learners are honest first and "
    f"lie later, once trust has risen from 1 to {trusted:.1f} on average;\n"
    f"it earns them {mean:.1f} tokens more than honesty [{low:.1f}, {high:.1f}], by learner.\n"
    f"Who lies from the first epoch earns {always[0]:.1f} [{always[2]:.1f}, {always[3]:.1f}], by replication."
)

# %% [markdown]
# Intervals are 95%: the first over learners, each with its own luck in trying, the second over replications. The ring does not
# even lose trust by its lies: once it weighs enough, the consensus follows them, and it is the honest who deviate from it.
# Before, the same lies are what costs it its trust. Try `trust: {rate: 0.1}`, under which trust grows more slowly,
# or four evaluators as exact as the ring; `poq attack` looks for lies that wait for a trust of their own.
