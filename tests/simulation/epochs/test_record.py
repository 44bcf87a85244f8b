"""Pay in tokens, job by job, against what each round was paid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import opened

from poq_abm.experiment.economy_study import economy_measures
from poq_abm.experiment.round_tables import majority_probability
from poq_abm.simulation.epochs.epoch_end import EpochEnd

PEOPLE = {
    "inference": [
        {"model": "f0", "count": 2},
        {"model": "f1", "count": 2, "behaviour": "misreport_cost"},
    ],
    "evaluators": [{"model": "m0", "count": 2}, {"model": "m1"}, {"model": "m2", "count": 2}],
}


@pytest.mark.parametrize("payment", [{}, {"scheme": "pool", "pool": 1e-3, "decay": 0.5}], ids=str)
@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_the_spread_of_pay_is_that_of_the_tokens_of_every_job(
    payment: dict[str, Any], rate: float
) -> None:
    """Points of each round, from the trace of its epoch, at what the node was paid for a point."""
    economy = opened(
        {"epochs": 4, "payment": payment, "audits": {"rate": rate}},
        population=PEOPLE,
        mechanism__beta_inference=1.0,
    )
    jobs: list[list[float]] = [[] for _ in range(economy.population.size)]

    def note(end: EpochEnd) -> None:
        trace, points = economy.rounds.trace, end.played.performance.points
        price = np.divide(end.flows.paid, points, out=np.zeros_like(points), where=points != 0.0)
        for row in range(end.played.count):
            node = trace.node[row]
            jobs[node].append(price[node] * trace.inference_reward[row])
            for seat, member in enumerate(trace.committee[row]):
                jobs[member].append(price[member] * trace.evaluator_rewards[row, seat])

    economy.consult = note
    economy.run()
    spread = [np.var(tokens) * len(tokens) for tokens in jobs]
    np.testing.assert_allclose(economy.record.pay.spread, spread, rtol=1e-7)
    np.testing.assert_allclose(economy.record.pay.reward, [sum(t) for t in jobs], rtol=1e-9)
    if rate:
        assert economy.record.sums["forfeited"].any(), "audits took something"


def test_what_an_evaluator_earns_counts_as_it_behaves_at_the_time() -> None:
    """The first evaluator is honest in the first epoch and boosts in the second."""
    economy = opened({"epochs": 2, "options": {"evaluator": [{"name": "boost", "b": 3.0}]}})
    first = economy.population.inference
    boost = len(economy.population.behaviours) - 1
    paid: list[float] = []
    jobs: list[float] = []

    def turn(end: EpochEnd) -> None:
        paid.append(float(end.flows.paid[first]))
        jobs.append(float(end.played.performance.jobs[first]))
        end.adopt(np.array([first]), np.array([boost]))

    economy.consult = turn
    economy.run()
    measures = economy_measures(economy)
    assert measures["malicious_reward_mean"] == pytest.approx(paid[1] / jobs[1])
    others = economy.record.pay.reward[first + 1 :].sum() + paid[0]
    count = economy.record.sums["jobs"][first + 1 :].sum() + jobs[0]
    assert measures["honest_reward_mean"] == pytest.approx(others / count)
    chance = majority_probability(5, 1, economy.game.rules.committee_size)
    assert measures["malicious_majority_expected"] == pytest.approx(chance / 2.0)
