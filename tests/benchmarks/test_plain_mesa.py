"""The Mesa models play the same game: they agree with the engines on average."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.networks import NETWORKS, Network, model_of
from benchmarks.plain_mesa import PlainModel, TunedModel
from poq_abm.simulation.ledger import NodeSum

ROUNDS = 4_000


def test_the_number_of_records_is_the_same_for_every_task():
    assert len(set(model_of(NETWORKS[0]).game.tables.task_size.tolist())) == 1


@pytest.mark.parametrize("kind", [PlainModel, TunedModel])
@pytest.mark.parametrize("network", [NETWORKS[0], Network(10, 9, 2)], ids=str)
def test_mean_pay_is_that_of_the_engines(network, kind):
    model = model_of(network)
    model.run(ROUNDS)
    plain = kind(model.game, 1)
    for _ in range(ROUNDS):
        plain.step()
    first = model.game.population.inference_count
    sums = model.ledger.nodes()
    for nodes, rows in ((plain.inference_nodes, sums[:first]), (plain.evaluators, sums[first:])):
        jobs = sum(node.jobs for node in nodes)
        assert jobs == rows[:, NodeSum.JOBS].sum()
        paid = sum(node.reward_total for node in nodes) / jobs
        error = 5 * np.sqrt(0.1 / ROUNDS)  # rewards vary by well under 0.3
        assert paid == pytest.approx(rows[:, NodeSum.REWARD].sum() / jobs, abs=error)
