"""Contestants of our own environment: both of ours, plain Mesa, a loop in Numba, tables in NumPy.

``python -m benchmarks.peers.here CONTESTANT GAME`` is started by :mod:`benchmarks.peers`.
"""

# ruff: noqa: NPY002 - Numba's own generator is the legacy one
from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.peers.worker import Player, PublishedGame, Reals, committees, serve

__all__ = ["CONTESTANTS"]


class Engine:
    """The compiled engine of ``poq_abm``."""

    chunk = 100_000

    def __init__(self, game: PublishedGame) -> None:
        self.model = _model_of(game)

    def play(self) -> None:
        """Play on."""
        self.model.run(self.model.rounds_played + self.chunk)

    def accounts(self) -> Reals:
        """Return the columns that everybody keeps."""
        from poq_abm.simulation.ledger import NodeSum

        kept = (NodeSum.JOBS, NodeSum.REWARD, NodeSum.CONSENSUS, NodeSum.TRUTH, NodeSum.CLOSENESS)
        found: Reals = self.model.ledger.nodes()[:, kept]
        found[: self.model.game.population.inference_count, -1] = 0.0  # of scores alone, here
        return found


class PlainMesa:
    """Mesa, as in :mod:`benchmarks.plain_mesa`."""

    chunk = 200

    def __init__(self, game: PublishedGame) -> None:
        from benchmarks.plain_mesa import PlainModel

        self.model = PlainModel(_model_of(game).game, 1)

    def play(self) -> None:
        """Play on."""
        for _ in range(self.chunk):
            self.model.step()

    def accounts(self) -> Reals:
        """Return what the agents hold."""
        return np.array(
            [
                (a.jobs, a.reward_total, a.consensus_total, a.truth_total,
                 getattr(a, "closeness_total", 0.0))
                for a in (*self.model.inference_nodes, *self.model.evaluators)
            ]
        )  # fmt: skip


class NumbaLoop:
    """One loop over rounds with Numba's own generator, as many a user has written."""

    chunk = 100_000

    def __init__(self, game: PublishedGame) -> None:
        from numba import njit

        self.loop: Any = njit(_loop)
        self.tables = tuple(game[:-1])
        self.order = np.arange(game.evaluator.size)
        self.sums = np.zeros((game.nodes, 5))
        self.committee = game.committee
        seed: Any = njit(_seed)
        seed(1)

    def play(self) -> None:
        """Play on."""
        self.loop(self.chunk, self.committee, self.order, self.sums, *self.tables)

    def accounts(self) -> Reals:
        """Return the sums."""
        return self.sums.copy()


def _seed(seed: int) -> None:
    np.random.seed(seed)


def _loop(
    rounds: int, size: int, order: Any, sums: Any, scores: Any, truth: Any, first: Any,
    records: Any, ends: Any, model: Any, evaluator: Any, cost: Any, evaluator_cost: Any,
    coefficients: Any,
) -> None:  # fmt: skip
    alpha, beta, alpha_evaluator, beta_evaluator = coefficients
    nodes, evaluators = model.size, evaluator.size
    scored = np.empty(size)
    for _ in range(rounds):
        task = min(np.searchsorted(ends, np.random.random()), ends.size - 1)
        record = first[task] + int(np.random.random() * records[task])
        node = int(np.random.random() * nodes)
        consensus = 0.0
        for seat in range(size):
            other = seat + int(np.random.random() * (evaluators - seat))
            order[seat], order[other] = order[other], order[seat]
            scored[seat] = scores[record, model[node], evaluator[order[seat]]]
            consensus += scored[seat] / size
        true = truth[record, model[node]]
        sums[node, 0] += 1.0
        sums[node, 1] += alpha * consensus / 10.0 - beta * cost[node]
        sums[node, 2] += consensus
        sums[node, 3] += true
        for seat in range(size):
            member = nodes + order[seat]
            near = 1.0 - abs(scored[seat] - consensus) / 10.0
            sums[member, 0] += 1.0
            sums[member, 1] += alpha_evaluator * near - beta_evaluator * evaluator_cost[order[seat]]
            sums[member, 2] += consensus
            sums[member, 3] += true
            sums[member, 4] += near


class NumpyTables:
    """Thousands of rounds at a time as arrays."""

    chunk = 20_000

    def __init__(self, game: PublishedGame) -> None:
        self.game = game
        self.rng = np.random.default_rng(1)
        self.sums = np.zeros((game.nodes, 5))

    def play(self) -> None:
        """Play on."""
        game, rng = self.game, self.rng
        alpha, beta, alpha_evaluator, beta_evaluator = game.coefficients
        task = np.minimum(np.searchsorted(game.task_ends, rng.random(self.chunk)),
                          game.task_ends.size - 1)  # fmt: skip
        record = game.task_first[task] + rng.integers(game.task_size[task])
        node = rng.integers(game.model.size, size=self.chunk)
        seats = committees(rng, self.chunk, game.evaluator.size, game.committee)
        model = game.model[node]
        scores = game.scores[record, model, game.evaluator[seats]]
        consensus, truth = scores.mean(axis=0), game.truth[record, model]
        near = 1.0 - np.abs(scores - consensus) / 10.0
        pay = alpha * consensus / 10.0 - beta * game.inference_cost[node]
        pays = alpha_evaluator * near - beta_evaluator * game.evaluator_cost[seats]
        self._add(node, pay, consensus, truth)
        for seat in range(game.committee):
            members = game.model.size + seats[seat]
            self._add(members, pays[seat], consensus, truth, near[seat])

    def _add(self, nodes: Any, *columns: Any) -> None:
        self.sums[:, 0] += np.bincount(nodes, minlength=self.game.nodes)
        for place, column in enumerate(columns, 1):
            self.sums[:, place] += np.bincount(nodes, column, self.game.nodes)

    def accounts(self) -> Reals:
        """Return the sums."""
        return self.sums.copy()


def _model_of(game: PublishedGame) -> Any:
    from benchmarks.networks import Network, model_of

    return model_of(Network(game.model.size, game.evaluator.size, game.committee))


CONTESTANTS: dict[str, tuple[type[Player], str]] = {
    "poq_abm": (Engine, "numba"),
    "plain_mesa": (PlainMesa, "mesa"),
    "numba_loop": (NumbaLoop, "numba"),
    "numpy": (NumpyTables, "numpy"),
}

if __name__ == "__main__":
    serve(*CONTESTANTS[sys.argv.pop(1)])
