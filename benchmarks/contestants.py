"""Who is timed: Mesa plain and tuned, both engines of ``poq_abm``, and the C loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.c_loop import VARIANTS, CLoop
from benchmarks.measuring import Contestant
from benchmarks.networks import Network, model_of
from benchmarks.plain_mesa import PlainModel, TunedModel

__all__ = ["NAMES", "contestants", "same_sums"]

NAMES = ("plain_mesa", "tuned_mesa", "agents", "compiled", *VARIANTS)

CHECKED_ROUNDS = 10_000  # fewer than a block, so that no sum has been folded


def contestants(network: Network, library: Any | None, *, quick: bool) -> list[Contestant]:
    """Return the contestants on one network; without ``library`` the C loops stay away."""
    slow, fast = (0.02, 0.01) if quick else (1.2, 0.5)
    compiled, agents = model_of(network), model_of(network)
    plain = PlainModel(compiled.game, compiled.key)
    tuned = TunedModel(compiled.game, compiled.key)
    players = [
        Contestant("plain_mesa", _stepping(plain.step), slow),
        Contestant("tuned_mesa", _stepping(tuned.step), slow),
        Contestant("agents", _stepping(agents.step), slow),
        Contestant("compiled", _running(compiled), fast),
    ]
    if library is not None:
        for name in VARIANTS:
            loop = CLoop(library, compiled.game, compiled.key, variant=name)
            players.append(Contestant(name, _running(loop), fast))
    return players


def same_sums(
    network: Network, library: Any, variant: str = "c_loop", rounds: int = CHECKED_ROUNDS
) -> bool:
    """Return whether the C loop leaves the compiled engine's sums, to the last bit."""
    model = model_of(network)
    model.run(rounds)
    loop = CLoop(library, model.game, model.key, variant=variant)
    loop.run(rounds)
    return np.array_equal(loop.nodes, model.ledger.nodes()) and np.array_equal(
        loop.network, model.ledger.network()
    )


def _stepping(step: Callable[[], Any]) -> Callable[[int], None]:
    def play(rounds: int) -> None:
        for _ in range(rounds):
            step()

    return play


def _running(player: Any) -> Callable[[int], None]:
    return lambda rounds: player.run(player.rounds_played + rounds)
