"""Contestants of our own environment: both of ours, plain Mesa, a loop in Numba, tables in NumPy.

``python -m benchmarks.peers.here CONTESTANT GAME`` is started by :mod:`benchmarks.peers`.
"""

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
    """One loop over rounds with a small generator of its own, as many a user has written."""

    chunk = 100_000

    def __init__(self, game: PublishedGame) -> None:
        from numba import njit

        self.loop: Any = njit(error_model="numpy")(_loop)
        self.tables = tuple(game[:-1])
        self.state = np.array([1], np.uint64)
        self.order = np.arange(game.evaluator.size)
        self.sums = np.zeros((game.nodes, 5))
        self.committee = game.committee

    def play(self) -> None:
        """Play on."""
        self.loop(self.chunk, self.committee, self.state, self.order, self.sums, *self.tables)

    def accounts(self) -> Reals:
        """Return the sums."""
        return self.sums.copy()


def _loop(
    rounds: int, size: int, state: Any, order: Any, sums: Any, scores: Any, truth: Any, first: Any,
    records: Any, ends: Any, model: Any, evaluator: Any, cost: Any, evaluator_cost: Any,
    coefficients: Any,
) -> None:  # fmt: skip
    alpha, beta, alpha_evaluator, beta_evaluator = coefficients
    nodes, evaluators = model.size, evaluator.size
    scored, word, scale = np.empty(size), state[0], 2.0**-53

    for _ in range(rounds):
        for draw in range(3 + size):
            word += np.uint64(0x9E3779B97F4A7C15)  # SplitMix64
            mixed = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            uniform = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) * scale
            if draw == 0:
                task = 0
                while ends[task] <= uniform and task < ends.size - 1:
                    task += 1
            elif draw == 1:
                record = first[task] + int(uniform * records[task])
            elif draw == 2:
                node = int(uniform * nodes)
                runs, consensus = model[node], 0.0
            else:
                seat = draw - 3
                other = seat + int(uniform * (evaluators - seat))
                order[seat], order[other] = order[other], order[seat]
                scored[seat] = scores[record, runs, evaluator[order[seat]]]
                consensus += scored[seat] / size
        true = truth[record, runs]
        row = sums[node]
        row[0] += 1.0
        row[1] += alpha * consensus / 10.0 - beta * cost[node]
        row[2] += consensus
        row[3] += true
        for seat in range(size):
            row = sums[nodes + order[seat]]
            near = 1.0 - abs(scored[seat] - consensus) / 10.0
            row[0] += 1.0
            row[1] += alpha_evaluator * near - beta_evaluator * evaluator_cost[order[seat]]
            row[2] += consensus
            row[3] += true
            row[4] += near
    state[0] = word


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
