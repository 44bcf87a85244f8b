"""The consensus of the Yuma mechanism: a quantile weighted by stake."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.aggregation.aggregation import Aggregation, WeighsBy
from poq_abm.rules.aggregation.sorting import SHARE_ROUNDING, sort_by_score
from poq_abm.rules.committee import Committee
from poq_abm.rules.rule import Parameter, Source

__all__ = ["StakeMedian"]


class StakeMedian(Aggregation):
    """The highest score that a share ``kappa`` of the stake supports.

    The consensus of the Yuma mechanism (Bittensor subtensor) with stakes S; kappa is 0.5 there.
    Less than a share kappa of the stake cannot lift it above the others' scores, up to 1 - kappa
    cannot push it below.

    >>> StakeMedian.consensus([2.0, 4.0, 9.0], kappa=0.5)
    4.0
    """

    name = "stake_median"
    formula = "c = max{s : sum_k S_k [s_k >= s] >= kappa sum_k S_k}"
    source = Source("assumed", "ours to use here; after the consensus of Yuma")
    parameters: ClassVar = {
        "kappa": Parameter(
            "share of stake that supports the consensus",
            0.5,
            low=0.0,
            high=1.0,
            open_low=True,
            symbol="kappa",
        )
    }
    weighs_by = WeighsBy.STAKE

    @classmethod
    def breakdown(cls, count: int, **given: float) -> float:
        """Return the largest share that can neither lift it nor push it down."""
        kappa, shares = given["kappa"], [members / count for members in range(count)]
        return max(s for s in shares if s < kappa - 1e-9 and s <= 1.0 - kappa + 1e-9)

    @staticmethod
    def kernel(committee: Committee, kappa: float) -> float:
        """Return the supported score."""
        ordered, carried = committee.ordered, committee.carried
        whole = sort_by_score(
            ordered, carried, committee.scores, committee.weights, committee.scores.size
        )
        above, needed = 0.0, (kappa - SHARE_ROUNDING) * whole
        for k in range(committee.scores.size - 1, 0, -1):
            above += carried[k]
            if above >= needed:
                return float(ordered[k])
        return float(ordered[0])
