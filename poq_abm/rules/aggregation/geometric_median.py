"""The geometric median: a consensus of score vectors, one entry for each dimension of quality."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["geometric_median"]

STEPS: Final = 1000  #: of the iteration at most
CLOSE: Final = 1e-12  #: a step over the spread of the vectors that ends it


def geometric_median(vectors: Array) -> Array:
    """Return the point whose distances to all score vectors add up to the least.

    ``argmin_c sum_i |s_i - c|`` of vectors (members, dimensions), in the unit of the scores, by
    Weiszfeld's iteration with Vardi and Zhang's step off a vector. Of one dimension it is the
    median; unlike medians by dimension, it turns with the axes. Where a share e < 1/2 of the
    members lies, it stays within 2 (1 - e) / (1 - 2 e) times the distance of the farthest honest
    vector from any centre, whatever they say. Of collinear vectors of an even number, where every
    point between the middle two will do, it is one of those.

    Raises :class:`ValueError` unless there is at least one vector and all entries are finite.

    Source: Weiszfeld (1937); Vardi and Zhang (2000), PNAS 97, 1423-1426.

    >>> import numpy as np
    >>> geometric_median(np.array([[0.0, 0.0], [4.0, 4.0], [9.0, 9.0]])).tolist()
    [4.0, 4.0]
    """
    import numpy as np  # noqa: PLC0415  (whoever asks which rules there are needs none of it)

    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise ValueError("vectors (members, dimensions) of finite scores are needed")
    for vector in vectors:  # one of them may be it, and iteration only creeps up to such
        here, pull, _ = _forces(vectors, vector)
        if _length(pull) <= here:
            return np.array(vector)
    centre: Array = vectors.mean(axis=0)
    spread = float(np.ptp(vectors, axis=0).max())
    for _ in range(STEPS):
        here, pull, weight = _forces(vectors, centre)
        held = min(1.0, here / _length(pull)) if here else 0.0
        step = (1.0 - held) * pull / weight
        centre = centre + step
        if _length(step) <= CLOSE * spread:
            break
    return centre


def _forces(vectors: Array, centre: Array) -> tuple[int, Array, float]:
    """Return how many vectors lie at a centre, the pull of the others, and their weight."""
    import numpy as np  # noqa: PLC0415

    apart = vectors - centre
    distance = np.sqrt((apart**2).sum(axis=1))
    away = distance > 0.0
    inverse = 1.0 / distance[away]
    pull: Array = (apart[away] * inverse[:, None]).sum(axis=0)
    return int((~away).sum()), pull, float(inverse.sum())


def _length(vector: Array) -> float:
    return math.sqrt(float((vector**2).sum()))
