"""What an aggregation rule is."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from poq_abm.rules.committee import open_committee
from poq_abm.rules.kernels import KernelRule
from poq_abm.rules.rule import ROBUST, Kind, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["AGGREGATION", "LITERATURE", "RECONSTRUCTED", "Aggregation", "WeighsBy"]

AGGREGATION: Kind[Aggregation] = Kind(
    name="aggregation rule",
    key="mechanism.aggregation",
    package="poq_abm.rules.aggregation",
    arguments=("committee",),
    field="aggregation",
)
RECONSTRUCTED = Source("assumed", f"named by {ROBUST}; the formula is our reconstruction")
LITERATURE = Source("assumed", "ours to use here; the estimator is from the literature")


class WeighsBy(IntEnum):
    """What a rule weighs the members by."""

    NOTHING = 0
    TRUST = 1
    STAKE = 2


class Aggregation(KernelRule):
    """Base class of aggregation rules: from a committee's scores to its consensus, in [0, 10].

    A kernel takes a :class:`~poq_abm.rules.committee.Committee`, then the rule's parameters. What a
    rule claims is tested by :class:`poq_abm.testing.aggregation.AggregationContract`.
    """

    kind = AGGREGATION

    weighs_by: ClassVar[WeighsBy] = WeighsBy.NOTHING
    largest_committee: ClassVar[int | None] = 64  #: sorting by insertion suits no larger one
    translation_equivariant: ClassVar[bool] = True  #: a constant added to all scores is added to it
    scale_equivariant: ClassVar[bool] = True  #: doubled scores double it
    monotone: ClassVar[bool] = True  #: raising a score never lowers it
    #: whether one planted score more than :meth:`breakdown` moves honest members who all agree
    sharp_breakdown: ClassVar[bool] = True

    @classmethod
    def breakdown(cls, count: int, **_given: float) -> float:
        """Return the largest share of ``count`` equal members that cannot leave the honest range.

        The parameters come with their values; 0 unless a rule says otherwise.
        """
        return 0.0 * count

    @classmethod
    def remarks(cls) -> list[str]:
        """Return what it weighs by, and how large a committee it takes."""
        weighs = cls.weighs_by != WeighsBy.NOTHING
        most = cls.largest_committee
        return [
            *([f"weighs by {cls.weighs_by.name.lower()}"] if weighs else []),
            *([f"K up to {most}"] if most is not None else []),
        ]

    @classmethod
    def trial(cls) -> tuple[Any, ...]:
        """Return a committee of three."""
        return (open_committee([2.0, 4.0, 9.0]),)

    @classmethod
    def consensus(
        cls,
        scores: Sequence[float] | Array,
        weights: Sequence[float] | Array | None = None,
        **given: float,
    ) -> float:
        """Return the consensus of a committee; all weigh alike unless ``weights`` are given.

        Raises :class:`~poq_abm.rules.registry.RuleError` for a parameter that is unknown or out of
        range.
        """
        values = cls.arguments(cls.array(given))
        return float(cls.compiled()(open_committee(scores, weights), *values))
