"""Routing by second score in an economy: who answers, at which price, and that lies do not gain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import PROFILE, account, economy_on, opened, scenario_of, small_profile
from network_support import published

from poq_abm.errors import InputError
from poq_abm.experiment.plan import Plan
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.economy_model import EconomyModel
from poq_abm.simulation.ledger import NodeSum

ALONE = {"population": {
    "inference": [{"model": name} for name in ("f0", "f1", "f2")],
    "evaluators": [{"model": "m0"}, {"model": "m1"}],
}, "mechanism__committee_size": 2}  # fmt: skip
THREE = small_profile((1000.0, 1300.0, 2000.0, 50.0, 60.0), models=3, records=(30, 20))
BETA = 0.3


def played(replication: int = 0, **changes: Any) -> Economy:
    asked = {"schedule": "second_score", **ALONE, **changes}
    economy = opened({"epochs": 2}, 200, THREE, replication, **asked)
    economy.run()
    return economy


def test_the_best_score_answers_and_is_paid_by_the_second() -> None:
    economy = played()
    quality = np.stack([THREE.agreed[:30].mean(axis=0), THREE.agreed[30:].mean(axis=0)]) / 10.0
    cost = BETA * np.array([0.0, 0.3, 1.0])
    scores = np.sort(quality - cost, axis=1)
    _, trace = economy.trace()
    best = (quality - cost).argmax(axis=1)
    assert np.array_equal(trace.node, best[trace.task])
    price = quality[np.arange(2), best] - scores[:, -2]
    assert (price >= cost[best]).all()
    net = price - cost[best]
    np.testing.assert_allclose(trace.inference_reward, net[trace.task], rtol=1e-12)


def points(economy: Economy) -> np.ndarray:
    return economy.ledger.nodes()[:3, NodeSum.REWARD]


@pytest.mark.parametrize("replication", range(3))
@pytest.mark.parametrize("factor", [0.0, 0.5, 0.9])
def test_no_false_report_gains_in_any_replication(replication: int, factor: float) -> None:
    honest = points(played(replication))
    assert (honest >= -1e-9).all()
    for node in (1, 2):  # who costs nothing has nothing to misstate
        people = [dict(group) for group in ALONE["population"]["inference"]]
        people[node]["behaviour"] = {"name": "misreport_cost", "factor": factor}
        lying = played(replication, population={**ALONE["population"], "inference": people})
        assert points(lying)[node] <= honest[node] + 1e-9
        if factor == 0.0 and lying.ledger.nodes()[node, NodeSum.JOBS] > 100.0:
            assert points(lying)[node] < honest[node] - 1.0  # it won what cost it more


def test_agents_pay_the_same_bits() -> None:
    scenario = scenario_of({"epochs": 2}, 120, schedule="second_score")
    compiled = economy_on(scenario, PROFILE, replication=1)
    compiled.run()
    model = EconomyModel(scenario, replication=1, profile=PROFILE, by_agents=True)
    model.run()
    for mine, theirs in zip(compiled.ledger, model.economy.ledger, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(compiled.record.groups, model.economy.record.groups)
    answered = compiled.ledger.nodes()[:4, NodeSum.JOBS]
    assert (answered[:2] > 0.0).all() or (answered[2:] > 0.0).all()  # equal nodes take turns


def test_pay_is_the_price_less_what_the_jobs_truly_cost() -> None:
    liar = {"model": "f2", "behaviour": {"name": "misreport_cost", "factor": 0.0}}
    people = {**ALONE["population"], "inference": [{"model": "f0"}, {"model": "f1"}, liar]}
    for economy in (played(), played(population=people)):
        sums, cost = economy.ledger.nodes()[:3], np.array([0.0, 0.3, 1.0])
        charged = BETA * cost * sums[:, NodeSum.JOBS]
        np.testing.assert_allclose(account(economy, "cost_charged")[:3], charged, atol=1e-9)
        price = account(economy, "quality_paid")[:3]
        np.testing.assert_allclose(price - charged, sums[:, NodeSum.REWARD], atol=1e-9)
        assert economy.game.pay_range("inference", 1.0, BETA) == (-BETA, 1.0 + BETA)


def test_a_reward_family_beside_it_is_refused() -> None:
    asked = {"schedule": "second_score", "mechanism__reward__family": "ratio"}
    with pytest.raises(InputError, match="does nothing here: schedule: second_score says"):
        Plan.of(published(economy={"epochs": 1}, **asked))


def test_an_adaptation_that_projects_a_family_is_refused() -> None:
    adapts = {"epochs": 1, "adaptation": [{"name": "upgrade", "rate": 0.1}],
              "options": {"hardware": ["gpu"]}}  # fmt: skip
    with pytest.raises(InputError, match="upgrade projects a family's pay"):
        opened(adapts, 100, THREE, schedule="second_score", **ALONE)
