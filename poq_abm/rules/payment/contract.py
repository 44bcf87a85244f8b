"""A reward by score bin: a statistical contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final

from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.payment.payment import InferencePayment
from poq_abm.rules.rule import Parameter, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_BINS", "Contract"]

MOST_BINS: Final = 12


class Contract(InferencePayment):
    """Pay by the bin of the consensus; `poq contract` finds the cheapest that makes a model best.

    Bin b begins at edge b - 1. Pay may fall from bin to bin, as that of a cheapest contract can.
    """

    name = "contract"
    formula = "alpha t_b - beta C, b the bin of c"
    source = Source("inferred", "arXiv 2406.11118; bins of the consensus are ours")
    parameters: ClassVar = {
        "score_edges": Parameter(
            "rising scores at which the bins but the first begin",
            (5.0,),
            kind="list",
            most=MOST_BINS - 1,
            low=0.0,
            high=SCORE_SCALE,
            open_low=True,
            unit="points of score",
        ),
        "pays": Parameter(
            "pay of every bin, one more than there are edges",
            (0.0, 1.0),
            kind="list",
            most=MOST_BINS,
            low=0.0,
            high=1e12,
            symbol="t",
            unit="points",
        ),
    }
    rises_with_quality = False

    @classmethod
    def conflict(cls, values: Mapping[str, Any]) -> str | None:
        """Return whether edges do not rise, or do not part as many bins as are paid.

        >>> Contract.conflict({"score_edges": (4.0, 6.0), "pays": (0.0, 1.0)})
        '2 score_edges part 3 bins, and pays has 2'
        """
        edges, pays = values["score_edges"], values["pays"]
        if any(high <= low for low, high in pairwise(edges)):
            return f"score_edges must rise, got {', '.join(f'{edge:g}' for edge in edges)}"
        if len(pays) != len(edges) + 1:
            return f"{len(edges)} score_edges part {len(edges) + 1} bins, and pays has {len(pays)}"
        return None

    @classmethod
    def telling_scores(cls, parameters: NDArray[Any]) -> Sequence[float]:
        """Return the least score of every bin."""
        edges = cls.arguments(parameters)[0].tolist()
        return [0.0, *(edge for edge in edges if not math.isnan(edge))]

    @staticmethod
    def kernel(
        consensus: float,
        cost: float,
        alpha: float,
        beta: float,
        score_edges: NDArray[Any],
        pays: NDArray[Any],
    ) -> float:
        """Return the reward; places of a list that are left over hold NaN, which nothing reaches.

        >>> import numpy as np
        >>> terms = np.array([4.0, 6.0, np.nan]), np.array([0.0, 0.25, 1.0, np.nan])
        >>> [float(Contract.kernel(s, 0.5, 2.0, 0.5, *terms)) for s in (3.9, 4.0, 10.0)]
        [-0.25, 0.25, 1.75]
        """
        place = 0
        while place < score_edges.size and consensus >= score_edges[place]:
            place += 1
        pay: float = pays[place]
        return alpha * pay - beta * cost
