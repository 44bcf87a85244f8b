"""What a node could gain by leaving a mix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["regret"]

Array = NDArray[np.float64]


def regret(mix: Array, paid: Array) -> Array:
    """Return by how much the best strategy against a mix earns more than the mix itself.

    max_i u_i(x) - sum_i x_i u_i(x): 0 in a symmetric equilibrium, else above 0. ``paid`` holds
    u_i(x), shape (..., strategies), and ``mix`` the shares x; both in the unit of the payoffs.

    >>> float(regret(np.array([0.5, 0.5]), np.array([1.0, 3.0])))
    1.0
    """
    gained: Array = paid.max(axis=-1) - (mix * paid).sum(axis=-1)
    return np.maximum(gained, 0.0)
