"""Every payment rule and trust update that ships passes the contract of its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from poq_abm.rules.payment import EVALUATOR_PAYMENT, INFERENCE_PAYMENT, BatchPayment
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Kind
from poq_abm.rules.trust import TRUST_UPDATE
from poq_abm.testing.payment import (
    BatchPaymentContract,
    EvaluatorPaymentContract,
    InferencePaymentContract,
)
from poq_abm.testing.trust import TrustUpdateContract


def each(kind: Kind[Any], test: Callable[[type], bool] = lambda _: True):
    ships = list(filter(test, shipped(kind).values()))
    return pytest.mark.parametrize("rule", ships, ids=lambda rule: rule.name)


class Given:
    """Tests of the rule that a parameter names."""

    @pytest.fixture(autouse=True)
    def _rule(self, rule) -> None:
        self.rule = rule


@each(INFERENCE_PAYMENT)
class TestInferencePayment(Given, InferencePaymentContract):
    pass


@each(EVALUATOR_PAYMENT, test=lambda rule: not issubclass(rule, BatchPayment))
class TestEvaluatorPayment(Given, EvaluatorPaymentContract):
    pass


@each(EVALUATOR_PAYMENT, test=lambda rule: issubclass(rule, BatchPayment))
class TestBatchPayment(Given, BatchPaymentContract):
    pass


@each(TRUST_UPDATE)
class TestTrustUpdate(Given, TrustUpdateContract):
    pass
