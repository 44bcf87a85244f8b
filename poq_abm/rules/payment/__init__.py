"""What is paid for an answer and for a score: one small class a rule."""

from poq_abm.rules.payment.batch_payment import (
    BatchPayment,
    MomentPayment,
    PairPayment,
    cut_points,
)
from poq_abm.rules.payment.payment import (
    EVALUATOR_PAYMENT,
    INFERENCE_PAYMENT,
    Counted,
    EvaluatorPayment,
    InferencePayment,
    Merits,
    earned_before_cost,
)
from poq_abm.rules.payment.reference import REFERENCE, MeasuredFrom, Reference

__all__ = [
    "EVALUATOR_PAYMENT",
    "INFERENCE_PAYMENT",
    "REFERENCE",
    "BatchPayment",
    "Counted",
    "EvaluatorPayment",
    "InferencePayment",
    "MeasuredFrom",
    "Merits",
    "MomentPayment",
    "PairPayment",
    "Reference",
    "cut_points",
    "earned_before_cost",
]
