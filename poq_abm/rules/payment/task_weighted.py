"""A reward that weighs quality by task."""

from __future__ import annotations

from typing import ClassVar

from poq_abm.rules.payment.formulas import inference_reward
from poq_abm.rules.payment.payment import InferencePayment
from poq_abm.rules.rule import Parameter, Source

__all__ = ["TaskWeighted"]


class TaskWeighted(InferencePayment):
    """The linear reward with a factor on alpha for each task."""

    name = "task_weighted"
    formula = "w alpha Q - beta C, w by task"
    source = Source("assumed", "ours")
    parameters: ClassVar = {
        "task_weights": Parameter(
            "factor on alpha by task, else 1", 1.0, kind="by task", low=0.0, symbol="w"
        )
    }

    @staticmethod
    def kernel(
        consensus: float, cost: float, alpha: float, beta: float, task_weights: float
    ) -> float:
        """Return the reward for an answer of a task with this weight."""
        return inference_reward(task_weights * alpha, beta, consensus, cost)
