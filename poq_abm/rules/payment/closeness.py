"""Pay for closeness: the published payment of evaluators."""

from __future__ import annotations

from poq_abm.rules.committee import Committee
from poq_abm.rules.payment.formulas import evaluator_reward
from poq_abm.rules.payment.payment import EvaluatorPayment
from poq_abm.rules.rule import COST_AWARE, Source

__all__ = ["Closeness"]


class Closeness(EvaluatorPayment):
    """Alpha for closeness to the reference less beta for cost."""

    name = "closeness"
    formula = "alpha (1 - |s - c| / 10) - beta C"
    source = Source("published", f"{COST_AWARE}, Eq. 3 to 5")
    pays_closeness = True

    @staticmethod
    def kernel(committee: Committee, seat: int, cost: float, alpha: float, beta: float) -> float:
        """Return the reward."""
        return evaluator_reward(alpha, beta, committee.nearness[seat], cost)
