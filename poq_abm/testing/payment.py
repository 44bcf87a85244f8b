"""What a payment rule of each role owes those it pays, as test classes to inherit from."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poq_abm.rules.committee import Committee, open_committee
from poq_abm.rules.payment import (
    BatchPayment,
    Counted,
    EvaluatorPayment,
    InferencePayment,
    Merits,
    cut_points,
)
from poq_abm.rules.payment.formulas import closeness
from poq_abm.rules.registry import complete
from poq_abm.testing.rule import KernelRuleContract, examples

__all__ = [
    "BatchPaymentContract",
    "EvaluatorPaymentContract",
    "InferencePaymentContract",
    "merits_of",
]

Array = NDArray[np.float64]

_examples = examples()
_score = st.floats(0.0, 10.0)
_share = st.floats(0.0, 1.0)
_coefficient = st.floats(0.0, 100.0)
_committee = st.lists(_score, min_size=1, max_size=20)


class InferencePaymentContract(KernelRuleContract):
    """Tests that a rule which pays for answers passes; inherit and say which.

    A good answer is paid no less than a bad one where the rule claims it, a dear one no more than a
    cheap one, and what is paid is finite and lies between what the telling scores are paid.

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
        """R(c, C) <= R(c', C) for c <= c', where the rule claims so."""
        self.claims("rises_with_quality")
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
    def test_the_telling_scores_tell_the_most_and_the_least(
        self, consensus: float, cost: float, alpha: float, beta: float
    ) -> None:
        """What any score is paid lies between what these are paid, at the same cost."""
        telling = self.rule.telling_scores(self.rule.array(self.values))
        ends = [self.paid(score, cost, alpha, beta) for score in telling]
        assert min(ends) <= self.paid(consensus, cost, alpha, beta) <= max(ends)

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


def merits_of(
    rule: type[BatchPayment],
    reports: Array,
    truth: Array | None = None,
    *,
    honest: Array | None = None,
    **values: float,
) -> Merits:
    """Return what a rule thinks of evaluators who all score the same records.

    ``reports`` has the shape (records, evaluators), one half of the batch at even rows; ``honest``
    are the scores that bins are made of, by default the reports. ``truth`` of shape (records,) is
    for rules that know it. ``values`` are parameters that are not to have their defaults.

    >>> from poq_abm.rules.payment.peer_correlation import PeerCorrelation
    >>> scores = np.array([[1.0, 2.0], [3.0, 6.0], [2.0, 4.0]])
    >>> merits_of(PeerCorrelation, scores, minimum_shared=2).merit.round(9)
    array([1., 1.])
    """
    known = {key: value for key, value in values.items() if key in rule.parameters}
    given = {key: float(value) for key, value in complete(rule, known).items()}
    if rule.counted == Counted.PAIRS:
        of = reports if honest is None else honest
        return rule.merits(_tables(reports, of, int(given["score_bins"])), given)
    others = (reports.sum(axis=1, keepdims=True) - reports) / max(1, reports.shape[1] - 1)
    if rule.counted == Counted.TRUTH:
        others = np.broadcast_to(np.asarray(truth, float)[:, None], reports.shape)
    parts = (np.ones_like(reports), reports, others, reports**2, others**2, reports * others)
    return rule.merits(np.stack([part.sum(axis=0) for part in parts], axis=-1), given)


def _tables(reports: Array, honest: Array, bins: int) -> NDArray[np.int64]:
    """Return the joint tables of all pairs, (M, M, 2, C, C); each pair in one order."""
    records, evaluators = reports.shape
    columns = zip(honest.T, reports.T, strict=True)
    found = [np.searchsorted(cut_points(of, bins), column, "right") for of, column in columns]
    half = np.arange(records) % 2
    tables = np.zeros((evaluators, evaluators, 2, bins, bins), np.int64)
    for one in range(evaluators):
        for other in range(one + 1, evaluators):
            np.add.at(tables[one, other], (half, found[one], found[other]), 1)
    return tables


class BatchPaymentContract(EvaluatorPaymentContract):
    """Tests that a rule which pays for a batch of rounds passes; inherit and say which.

    Who reports the truth beside peers who do is worth 1, whoever they are; comparisons on too few
    records count as the neutral pay; where the rule pays for information, a constant earns nothing.

    Examples
    --------
    >>> from poq_abm.rules.payment.dmi import DeterminantMutualInformation
    >>> class TestDMI(BatchPaymentContract):
    ...     rule = DeterminantMutualInformation
    >>> TestDMI().test_the_truth_is_worth_one()
    """

    rule: ClassVar[type[BatchPayment]]

    @staticmethod
    def seen(evaluators: int, noise: float, records: int = 600) -> tuple[Array, Array]:
        """Return what evaluators see of records, with noise of their own, and the truth."""
        chance = np.random.default_rng(11)
        truth = chance.uniform(0.0, 10.0, records)
        errors = chance.normal(0.0, noise, (records, evaluators))
        return np.clip(truth[:, None] + errors, 0.0, 10.0), truth

    def test_the_truth_is_worth_one(self) -> None:
        """Merits of evaluators without error."""
        reports, truth = self.seen(4, 0.0)
        merits = merits_of(self.rule, reports, truth, **self.values)
        np.testing.assert_allclose(merits.merit, 1.0, rtol=0.05)
        assert merits.thin == 0

    def test_noise_is_worth_less(self) -> None:
        """The one of five whose errors are largest is worth least."""
        reports, truth = self.seen(5, 1.0)
        noisy = np.random.default_rng(5).normal(0.0, 4.0, len(truth))
        reports[:, 2] = np.clip(reports[:, 2] + noisy, 0.0, 10.0)
        merit = merits_of(self.rule, reports, truth, **self.values).merit
        assert np.isfinite(merit).all()
        assert merit.argmin() == 2

    def test_evaluators_have_no_order(self) -> None:
        """Turned round, they are worth the same, but for rounding."""
        reports, truth = self.seen(4, 2.0)
        merit = merits_of(self.rule, reports, truth, **self.values).merit
        turned = merits_of(self.rule, reports[:, ::-1], truth, **self.values).merit
        np.testing.assert_allclose(turned[::-1], merit, rtol=1e-9, atol=1e-12)

    def test_a_constant_earns_nothing_as_claimed(self) -> None:
        """Neither the mean nor the best score, whatever the others report."""
        self.claims("pays_information")
        reports, truth = self.seen(4, 1.0)
        for constant in (float(reports.mean()), 10.0):
            lazy = reports.copy()
            lazy[:, 1] = constant
            merits = merits_of(self.rule, lazy, truth, honest=reports, **self.values)
            assert abs(merits.merit[1]) < 1e-9

    def test_too_few_records_are_paid_neutrally(self) -> None:
        """And counted, where the rule knows a least number of records."""
        if "minimum_shared" not in self.rule.parameters:
            pytest.skip("it asks for no least number of records")
        reports, truth = self.seen(3, 1.0, records=30)
        asked = {**self.values, "minimum_shared": 31, "neutral_pay": 0.25}
        merits = merits_of(self.rule, reports, truth, **asked)
        assert merits.merit.tolist() == [0.25] * 3
        assert merits.thin == 3
