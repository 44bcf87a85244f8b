"""Draws that are made once an epoch, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.random import Purpose, uniform

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.economy import Economy

__all__ = ["node_uniforms"]

_MOST_RULES = 64  # draws of one epoch and purpose that do not collide


@compiled_loop
def _fill(
    draws: NDArray[np.float64], seed: int, replication: int, purpose: int, round_: int
) -> None:
    for row in range(draws.shape[0]):
        for node in range(draws.shape[1]):
            slot = row * draws.shape[1] + node
            draws[row, node] = uniform(seed, replication, purpose, round_, slot)


def node_uniforms(
    economy: Economy, purpose: Purpose, number: int, rows: int
) -> NDArray[np.float64]:
    """Return uniforms in (0, 1) of shape (rows, N), keyed by epoch, purpose and number."""
    draws = np.empty((rows, economy.roster.size))
    if rows:
        _fill(draws, *economy.key, int(purpose), economy.epoch * _MOST_RULES + number)
    return draws
