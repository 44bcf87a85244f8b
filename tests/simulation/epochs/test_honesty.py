"""The honest share flips where the expected loss equals the gain: p (S + F) = G.

An inference node that reports half of its cost gains G tokens an epoch, found by paired
counterfactuals, and loses its bond S and the epoch's reward F with chance p. Best responses follow
expected payoffs, so that the flip is exact: to the resolution of the sweep on either side, and not
to a statistical tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import groups, opened

from poq_abm.simulation.epochs.epoch_rounds import play_epoch
from poq_abm.simulation.epochs.epoch_settlement import settle_epoch

LIAR = {"name": "misreport_cost", "factor": 0.5}
BEST = {"name": "best_response", "role": "inference", "revisions": 100, "temperature": 1e-6}
BOND = 40.0


def section(rate: float, slash: float, forfeit: bool, epochs: int = 1) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "stake": {"bond": BOND},
        "audits": {"rate": rate, "slash": slash, "forfeit": forfeit},
        "options": {"inference": [LIAR]},
        "adaptation": [BEST],
    }


def threshold(slash: float, forfeit: bool, seed: int) -> np.ndarray:
    """p* = G / (S + F) of every inference node, from the payoffs without audits."""
    economy = opened(section(0.0, slash, forfeit), 400, seed=seed)
    end = settle_epoch(economy, play_epoch(economy))
    honest, liar = economy.population.options("inference")
    nodes = range(economy.population.inference)
    truthful = np.array([end.payoff_if(node, int(honest)) for node in nodes])
    lying = np.array([end.payoff_if(node, int(liar)) for node in nodes])
    reward = np.maximum(lying, 0.0) if forfeit else 0.0
    return (lying - truthful) / (min(slash, BOND) + reward)


def lies(rate: float, slash: float, forfeit: bool, seed: int) -> np.ndarray:
    economy = opened(section(rate, slash, forfeit), 400, seed=seed)
    economy.step()
    return economy.population.misreports


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("slash", "forfeit"), [(30.0, False), (10.0, True), (0.5, True)])
def test_every_node_turns_honest_where_the_loss_equals_the_gain(
    slash: float, forfeit: bool, seed: int
) -> None:
    flip = threshold(slash, forfeit, seed)
    assert (flip[:2] == 0.0).all()  # the cheapest have nothing to understate
    for node in (2, 3):
        assert 0.0 < flip[node] < 1.0
        for rate, expected in ((flip[node] * 0.999, True), (flip[node] * 1.001, False)):
            assert lies(rate, slash, forfeit, seed)[node] == expected


def test_the_honest_share_falls_on_either_side_of_the_flip() -> None:
    """Swept over p, pooled over seeds: all lie well below, nobody well above."""
    people = [{"model": "f0"}, {"model": "f1", "count": 3}]
    shares = []
    for rate in np.linspace(0.0, 1.0, 11):
        deviating = []
        for seed in (1, 2, 3):
            economy = opened(
                section(float(rate), 10.0, True, epochs=4), 400, seed=seed,
                population__inference=people,
            )  # fmt: skip
            economy.run()
            deviating.append(groups(economy, "deviating")[-1, 1] / 3.0)
        shares.append(np.mean(deviating))
    flips = np.concatenate([threshold(10.0, True, seed)[2:] for seed in (1, 2, 3)])
    assert shares[0] == 1.0
    assert shares[-1] == 0.0
    assert (np.diff(shares) <= 0.0).all()
    crossed = np.linspace(0.0, 1.0, 11)[np.argmax(np.array(shares) < 0.5)]
    assert flips.min() - 0.1 <= crossed <= flips.max() + 0.1  # a step of the sweep
