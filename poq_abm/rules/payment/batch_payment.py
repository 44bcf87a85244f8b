"""Pay for what a batch of rounds tells of an evaluator: the rules of peer prediction, and of gold.

Every round charges beta C. When the batch has ended (with the run or, in an economy, with the
epoch) each of an evaluator's J jobs in it earns alpha m besides, and its *merit* m is 1 where its
reports are all that a rule can ask for. What is counted until then are integers for each pair of
evaluators, or six sums for each of them: memory does not grow with the rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from poq_abm.rules.payment.formulas import evaluator_reward
from poq_abm.rules.payment.payment import Counted, EvaluatorPayment, Merits
from poq_abm.rules.rule import Parameter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from poq_abm.rules.committee import Committee

    Array: TypeAlias = NDArray[np.float64]
    Counts: TypeAlias = NDArray[np.generic]

__all__ = ["BatchPayment", "MomentPayment", "PairPayment", "correlation", "cut_points"]

_MOST_BINS: Final = 5
_STILL: Final = 1e-9  # points^2: a variance below which reports are all the same but for rounding
_COMPARED: Final = {
    "minimum_shared": Parameter(
        "what a comparison must rest on, in a batch", 20, kind="count", low=1, unit="records"
    ),
    "neutral_pay": Parameter(
        "what a comparison on fewer records counts for",
        0.0,
        low=0.0,
        high=1.0,
        unit="share of alpha",
    ),
}


class BatchPayment(EvaluatorPayment):
    """Base class of the rules that pay when a batch of rounds has ended.

    A rule says in :attr:`counted` what it needs to know of the rounds, and by :meth:`merits` what
    that is worth; its kernel is the charge of a round.
    """

    counted: ClassVar[Counted]
    #: whether who always reports the same earns nothing
    pays_information: ClassVar[bool] = True

    @classmethod
    def merits(cls, counts: Counts, values: Mapping[str, float]) -> Merits:
        """Return what every evaluator's jobs are worth; ``values`` are those of the parameters."""
        raise NotImplementedError

    @classmethod
    def code(cls) -> tuple[Any, ...]:
        """Return the kernel, and what the merits are made of."""
        return (*super().code(), cls.merits)


class PairPayment(BatchPayment):
    """Base class of the rules that compare evaluators pair by pair, by how their reports agree.

    Reports are put into bins of equal probability, whose limits are those of the honest scores of
    the evaluator's model (:func:`cut_points`). An evaluator's merit is the mean, over the peers it
    scored answers with, of :meth:`information`, as a share of :meth:`most`. Limits that everybody
    knows beforehand let both engines and every chunk of rounds count alike.
    """

    counted = Counted.PAIRS
    parameters: ClassVar = {
        "score_bins": Parameter(
            "bins of equal probability that reports are compared in",
            3,
            kind="count",
            low=2,
            high=_MOST_BINS,
            symbol="n",
        ),
        **_COMPARED,
    }

    @staticmethod
    def kernel(
        committee: Committee,
        seat: int,
        cost: float,
        alpha: float,
        beta: float,
        score_bins: float,
        minimum_shared: float,
        neutral_pay: float,
    ) -> float:
        """Return the charge of a round."""
        return evaluator_reward(0.0, beta, 0.0, cost)

    @staticmethod
    def information(tables: Array) -> Array:
        """Return what an evaluator's reports tell of each peer's.

        ``tables`` are counts of shape (peers, 2, C, C): of the records in both halves of the batch,
        by the bin of the evaluator's report (rows) and of the peer's.
        """
        raise NotImplementedError

    @staticmethod
    def most(bins: int) -> float:
        """Return the information of two evaluators who always agree and use all bins alike."""
        raise NotImplementedError

    @classmethod
    def merits(cls, counts: Counts, values: Mapping[str, float]) -> Merits:
        """Return every evaluator's mean over peers.

        ``counts`` has the shape (M, M, 2, C, C); a record that two evaluators score counts once,
        for one of both orders. Peers it never met do not count.
        """
        import numpy as np  # noqa: PLC0415  (what a scenario declares is read without arrays)

        merit, thin = np.full(len(counts), float(values["neutral_pay"])), 0
        most = cls.most(counts.shape[-1])
        for one in range(len(counts)):
            tables = counts[one].astype(float) + counts[:, one].swapaxes(-1, -2)
            shared = tables.sum(axis=(1, 2, 3))
            enough = shared >= max(1.0, values["minimum_shared"])
            met, full = int((shared > 0.0).sum()), int(enough.sum())
            if met:
                told = cls.information(tables[enough]).sum() / most if full else 0.0
                merit[one] = (told + values["neutral_pay"] * (met - full)) / met
            thin += met - full
        return Merits(merit, thin // 2)

    @classmethod
    def code(cls) -> tuple[Any, ...]:
        """Return the kernel, and what the merits are made of."""
        return (*super().code(), cls.information, cls.most)


class MomentPayment(BatchPayment):
    """Base class of the rules that correlate an evaluator's reports with one other series."""

    parameters: ClassVar = dict(_COMPARED)

    @staticmethod
    def kernel(
        committee: Committee,
        seat: int,
        cost: float,
        alpha: float,
        beta: float,
        minimum_shared: float,
        neutral_pay: float,
    ) -> float:
        """Return the charge of a round."""
        return evaluator_reward(0.0, beta, 0.0, cost)

    @classmethod
    def merits(cls, counts: Counts, values: Mapping[str, float]) -> Merits:
        """Return every evaluator's correlation; ``counts`` are sums of shape (M, 6)."""
        import numpy as np  # noqa: PLC0415

        records = counts[:, 0].astype(float)
        enough = records >= max(1.0, values["minimum_shared"])
        merit = np.where(enough, correlation(counts), float(values["neutral_pay"]))
        return Merits(merit, int(((records > 0.0) & ~enough).sum()))


def correlation(sums: Counts) -> Array:
    """Return Pearson's correlations; 0 where either series does not vary.

    ``sums`` has the shape (..., 6): how many pairs, then the sums of x, y, x^2, y^2 and x y.

    >>> import numpy as np
    >>> correlation(np.array([[2.0, 3.0, 3.0, 5.0, 5.0, 4.0], [2.0, 2.0, 3.0, 2.0, 5.0, 3.0]]))
    array([-1.,  0.])
    """
    import numpy as np  # noqa: PLC0415

    count, *moments = np.moveaxis(np.asarray(sums, float), -1, 0)
    x, y, xx, yy, xy = (moment / np.maximum(count, 1.0) for moment in moments)
    one, other = xx - x * x, yy - y * y
    varies = (one > _STILL) & (other > _STILL)
    scale = np.sqrt(np.where(varies, one * other, 1.0))
    found: Array = np.clip(np.where(varies, (xy - x * y) / scale, 0.0), -1.0, 1.0)
    return found


def cut_points(scores: Array, bins: int) -> Array:
    """Return the least score of each bin but the first, for bins of equal probability.

    A score that many records have is not torn apart: its place is that of the middle of them, so
    that bin k begins with the first score v for which P(s < v) + P(s = v) / 2 >= k / bins. A bin
    that no score reaches begins at infinity.

    >>> import numpy as np
    >>> cut_points(np.array([1.0, 2.0, 3.0, 4.0, 4.0, 4.0]), 2), cut_points(np.full(9, 5.0), 3)
    (array([4.]), array([ 5., inf]))
    """
    import numpy as np  # noqa: PLC0415

    values, counts = np.unique(scores, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * counts
    wanted = np.arange(1, bins) * (scores.size / bins)
    first = np.searchsorted(middle, wanted, side="left")
    cuts: Array = np.append(values, math.inf)[first]
    return cuts
