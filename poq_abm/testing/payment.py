"""What a payment rule of each role owes those it pays, as test classes to inherit from."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.rules.committee import Committee, open_committee
from poq_abm.rules.payment import EvaluatorPayment, InferencePayment
from poq_abm.rules.payment.formulas import closeness
from poq_abm.testing.rule import KernelRuleContract, examples

__all__ = ["EvaluatorPaymentContract", "InferencePaymentContract"]

_examples = examples()
_score = st.floats(0.0, 10.0)
_share = st.floats(0.0, 1.0)
_coefficient = st.floats(0.0, 100.0)
_committee = st.lists(_score, min_size=1, max_size=20)


class InferencePaymentContract(KernelRuleContract):
    """Tests that a rule which pays for answers passes; inherit and say which.

    A good answer is paid no less than a bad one, a dear one no more than a cheap one, and what is
    paid is finite.

    Examples
    --------
    >>> from poq_abm.rules.payment.linear import Linear
    >>> class TestLinear(InferencePaymentContract):
    ...     rule = Linear
    >>> TestLinear().paid(6.0, 0.5, 1.0, 0.5)
    0.35
    """

    rule: ClassVar[type[InferencePayment]]

    def paid(self, consensus: float, cost: float, alpha: float, beta: float) -> float:
        """Return the points for an answer."""
        return self.called(consensus, cost, alpha, beta)

    @_examples
    @given(_score, _score, _share, _coefficient, _coefficient)
    def test_quality_is_paid_no_less(
        self, one: float, other: float, cost: float, alpha: float, beta: float
    ) -> None:
        """R(c, C) <= R(c', C) for c <= c'."""
        low, high = sorted((one, other))
        assert self.paid(low, cost, alpha, beta) <= self.paid(high, cost, alpha, beta)

    @_examples
    @given(_score, _share, _share, _coefficient, _coefficient)
    def test_cost_is_paid_no_more(
        self, consensus: float, one: float, other: float, alpha: float, beta: float
    ) -> None:
        """R(c, C') <= R(c, C) for C <= C'."""
        cheap, dear = sorted((one, other))
        assert self.paid(consensus, dear, alpha, beta) <= self.paid(consensus, cheap, alpha, beta)

    @_examples
    @given(_score, _share, _coefficient, _coefficient)
    def test_it_is_a_number(self, consensus: float, cost: float, alpha: float, beta: float) -> None:
        """Finite, whatever the coefficients."""
        assert np.isfinite(self.paid(consensus, cost, alpha, beta))


class EvaluatorPaymentContract(KernelRuleContract):
    """Tests that a rule which pays for scores passes; inherit and say which.

    What is paid is finite, does not depend on the order of the seats, and falls in cost; where the
    rule pays for closeness, it is alpha times that, less beta C.

    Examples
    --------
    >>> from poq_abm.rules.payment.closeness import Closeness
    >>> class TestCloseness(EvaluatorPaymentContract):
    ...     rule = Closeness
    >>> TestCloseness().paid(open_committee([4.0]), 0, 0.5, 1.0, 0.5)
    nan
    """

    rule: ClassVar[type[EvaluatorPayment]]

    def paid(
        self, committee: Committee, seat: int, cost: float, alpha: float, beta: float
    ) -> float:
        """Return the points for the score of the member in a seat."""
        return self.called(committee, seat, cost, alpha, beta)

    @staticmethod
    def compared(scores: list[float]) -> Committee:
        """Return a committee whose members were compared with its mean."""
        committee = open_committee(scores)
        mean = sum(scores) / len(scores)
        committee.nearness[:] = [closeness(score, mean) for score in scores]
        return committee

    @_examples
    @given(_committee, _share, _coefficient, _coefficient)
    def test_it_is_a_number(
        self, scores: list[float], cost: float, alpha: float, beta: float
    ) -> None:
        """Finite for every member, and the committee stays as it was."""
        committee = self.compared(scores)
        before = committee.scores.copy(), committee.nearness.copy()
        paid = [self.paid(committee, seat, cost, alpha, beta) for seat in range(len(scores))]
        assert np.isfinite(paid).all()
        assert (committee.scores == before[0]).all()
        assert (committee.nearness == before[1]).all()

    @_examples
    @given(_committee, _share, _share, _coefficient, _coefficient)
    def test_cost_is_paid_no_more(
        self, scores: list[float], one: float, other: float, alpha: float, beta: float
    ) -> None:
        """A dearer member is paid no more for the same score."""
        committee, (cheap, dear) = self.compared(scores), sorted((one, other))
        paid = [self.paid(committee, 0, cost, alpha, beta) for cost in (dear, cheap)]
        assert paid[0] <= paid[1]

    @_examples
    @given(_committee, _share)
    def test_seats_do_not_matter(self, scores: list[float], cost: float) -> None:
        """Members in the reverse order are paid the same, but for rounding."""
        committee, turned = self.compared(scores), self.compared(scores[::-1])
        for seat in range(len(scores)):
            there = self.paid(turned, len(scores) - 1 - seat, cost, 1.0, 0.3)
            assert there == pytest.approx(self.paid(committee, seat, cost, 1.0, 0.3), abs=1e-9)

    @_examples
    @given(_committee, _share, _coefficient, _coefficient)
    def test_it_pays_closeness_as_claimed(
        self, scores: list[float], cost: float, alpha: float, beta: float
    ) -> None:
        """Alpha times closeness less beta C, to the last bit."""
        self.claims("pays_closeness")
        committee = self.compared(scores)
        expected = alpha * committee.nearness[0] - beta * cost
        assert self.paid(committee, 0, cost, alpha, beta) == expected
