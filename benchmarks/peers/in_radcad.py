"""The published mechanism in radCAD: a policy draws the round, a state update pays it."""

from __future__ import annotations

from typing import Any

import numpy as np
from radcad import Backend, Engine, Model, Simulation

from benchmarks.peers.worker import PublishedGame, Reals, serve

Named = dict[str, Any]


def blocks(game: PublishedGame) -> list[Named]:
    """Return the one block of state updates; what it closes over is copied by no run."""
    rng = np.random.default_rng(1)
    shares = np.diff(game.task_ends, prepend=0.0)
    alpha, beta, alpha_evaluator, beta_evaluator = game.coefficients

    def draw(_params: Named, _substep: int, _history: Any, _state: Named) -> Named:
        task = rng.choice(shares.size, p=shares)
        record = game.task_first[task] + rng.integers(game.task_size[task])
        node = rng.integers(game.model.size)
        seats = rng.choice(game.evaluator.size, size=game.committee, replace=False)
        model = game.model[node]
        return {
            "node": node,
            "seats": seats,
            "scores": game.scores[record, model, game.evaluator[seats]],
            "true": game.truth[record, model],
        }

    def pay(
        _params: Named, _substep: int, _history: Any, state: Named, signal: Named
    ) -> tuple[str, Reals]:
        sums: Reals = state["accounts"]  # changed in place: without deep copies it may be
        node, seats, scores, true = (signal[name] for name in ("node", "seats", "scores", "true"))
        consensus = scores.mean()
        near = 1.0 - np.abs(scores - consensus) / 10.0
        reward = alpha * consensus / 10.0 - beta * game.inference_cost[node]
        sums[node] += (1.0, reward, consensus, true, 0.0)
        members = game.model.size + seats
        sums[members, 0] += 1.0
        sums[members, 1] += alpha_evaluator * near - beta_evaluator * game.evaluator_cost[seats]
        sums[members, 2] += consensus
        sums[members, 3] += true
        sums[members, 4] += near
        return "accounts", sums

    return [{"policies": {"draw": draw}, "variables": {"accounts": pay}}]


class RadcadPlayer:
    """A simulation of so many timesteps, each a round, that begins where the last one ended."""

    chunk = 1000

    def __init__(self, game: PublishedGame) -> None:
        self.blocks = blocks(game)
        self.sums = np.zeros((game.nodes, 5))

    def play(self) -> None:
        """Play on."""
        model = Model(initial_state={"accounts": self.sums}, state_update_blocks=self.blocks)
        simulation = Simulation(model=model, timesteps=self.chunk, runs=1)
        simulation.engine = Engine(
            backend=Backend.SINGLE_PROCESS, deepcopy=False, drop_substeps=True
        )
        self.sums = simulation.run()[-1]["accounts"]

    def accounts(self) -> Reals:
        """Return the sums."""
        return self.sums.copy()


if __name__ == "__main__":
    serve(RadcadPlayer, "radcad")
