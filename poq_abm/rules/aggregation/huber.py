"""Huber's M-estimate of location."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from poq_abm.rules.aggregation.aggregation import LITERATURE, Aggregation
from poq_abm.rules.aggregation.sorting import NORMAL_MAD, median_and_mad
from poq_abm.rules.committee import Committee
from poq_abm.rules.rule import Parameter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Huber"]

_MAX_STEPS = 100  # Newton needs a handful; halving alone would need fewer than 50
_CLOSE = 1e-12


def _pull(centre: float, reach: float, scores: Array, count: int) -> tuple[float, int]:
    """Return the sum of the scores' distances from ``centre``, each cut to +-reach.

    The second number counts the scores within reach: the slope, with its sign turned.
    """
    near, inside, surplus = 0.0, 0, 0
    for k in range(count):
        distance = scores[k] - centre
        if distance > reach:
            surplus += 1
        elif distance < -reach:
            surplus -= 1
        else:
            near += distance
            inside += 1
    return near + reach * surplus, inside  # counted, so that equal numbers cancel without rounding


def _balance(centre: float, reach: float, scores: Array, count: int) -> float:
    """Return the point at which the cut distances cancel, from ``centre`` on.

    Their sum falls in c and is piecewise linear, so that Newton's method ends after a few steps; a
    step that leaves the bracket is replaced by halving it.
    """
    low, high = float(scores[0]), float(scores[0])
    for k in range(1, count):
        low, high = min(low, float(scores[k])), max(high, float(scores[k]))
    for _ in range(_MAX_STEPS):
        pull, inside = _pull(centre, reach, scores, count)
        if pull == 0.0:
            break
        if pull > 0.0:
            low = centre
        else:
            high = centre
        target = centre + pull / inside if inside > 0 else high
        if abs(target - centre) < _CLOSE:
            return min(max(target, low), high)
        centre = target if low < target < high else 0.5 * (low + high)
    return centre


class Huber(Aggregation):
    """Huber's M-estimate of location with the normalised MAD as its scale (Huber 1964).

    Where more than half of the scores are equal, S is 0 and the result is the median. Fewer than
    half of the scores cannot carry it away, but a share above 1 / (2 + 2 x 1.4826 bend), 0.167 at
    the default, can move it beyond the range of the others.

    >>> Huber.consensus([4.0, 5.0, 6.0])
    5.0
    """

    name = "huber"
    formula = "sum_k psi((s_k - c) / S) = 0, psi(x) = min(max(x, -bend), bend), S = 1.4826 MAD"
    source = LITERATURE
    parameters: ClassVar = {
        "huber_bend": Parameter(
            "normalised MADs beyond which a score loses weight",
            1.345,
            low=0.0,
            open_low=True,
            symbol="bend",
            unit="normalised MADs",
        )
    }
    monotone = False  # raising a low score can shrink the scale, and with it the pull of high ones
    sharp_breakdown = False  # honest members who agree have a scale of 0 and are immovable

    @classmethod
    def breakdown(cls, count: int, **given: float) -> float:  # noqa: ARG003
        """Return the share that docs/rules/huber.md proves; a bound, not the exact share."""
        return min(0.25, 1.0 / (2.0 + 2.0 * NORMAL_MAD * given["huber_bend"]))

    @staticmethod
    def kernel(committee: Committee, huber_bend: float) -> float:
        """Return the estimate."""
        scores, count = committee.scores, committee.scores.size
        centre, mad = median_and_mad(scores, count, committee.ordered, committee.carried)
        reach = huber_bend * NORMAL_MAD * mad
        return _balance(centre, reach, scores, count) if reach > 0.0 else centre
