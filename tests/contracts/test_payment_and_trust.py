"""Every payment rule and trust update that ships passes the contract of its kind."""

from __future__ import annotations

from typing import Any

import pytest

from poq_abm.rules.payment import EVALUATOR_PAYMENT, INFERENCE_PAYMENT
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Kind
from poq_abm.rules.trust import TRUST_UPDATE
from poq_abm.testing.payment import EvaluatorPaymentContract, InferencePaymentContract
from poq_abm.testing.trust import TrustUpdateContract


def each(kind: Kind[Any]):
    return pytest.mark.parametrize("rule", list(shipped(kind).values()), ids=lambda rule: rule.name)


class Given:
    """Tests of the rule that a parameter names."""

    @pytest.fixture(autouse=True)
    def _rule(self, rule) -> None:
        self.rule = rule


@each(INFERENCE_PAYMENT)
class TestInferencePayment(Given, InferencePaymentContract):
    pass


@each(EVALUATOR_PAYMENT)
class TestEvaluatorPayment(Given, EvaluatorPaymentContract):
    pass


@each(TRUST_UPDATE)
class TestTrustUpdate(Given, TrustUpdateContract):
    pass
