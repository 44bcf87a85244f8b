"""What is paid for an answer and for a score: one small class a rule."""

from poq_abm.rules.payment.payment import (
    EVALUATOR_PAYMENT,
    INFERENCE_PAYMENT,
    EvaluatorPayment,
    InferencePayment,
    earned_before_cost,
)
from poq_abm.rules.payment.reference import REFERENCE, MeasuredFrom, Reference

__all__ = [
    "EVALUATOR_PAYMENT",
    "INFERENCE_PAYMENT",
    "REFERENCE",
    "EvaluatorPayment",
    "InferencePayment",
    "MeasuredFrom",
    "Reference",
    "earned_before_cost",
]
