"""Payment by batch against closed forms, and on the real scores of the reference page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from poq_abm.rules.payment import EVALUATOR_PAYMENT, BatchPayment, PairPayment, cut_points
from poq_abm.rules.payment.batch_payment import correlation
from poq_abm.rules.payment.correlated_agreement import CorrelatedAgreement
from poq_abm.rules.payment.dmi import DeterminantMutualInformation
from poq_abm.rules.payment.formulas import closeness
from poq_abm.rules.payment.gold import GoldPayment
from poq_abm.rules.payment.mutual_information import MutualInformation
from poq_abm.rules.payment.output_agreement import OutputAgreement
from poq_abm.rules.payment.peer_correlation import PeerCorrelation
from poq_abm.rules.payment.truth_serum import TruthSerum
from poq_abm.rules.registry import shipped
from poq_abm.testing.payment import merits_of

SUMMEVAL = Path(__file__).parents[4] / "shared" / "data" / "summeval_scores.csv"
EVALUATORS = [
    "sts_minilm_reference",
    "sts_minilm_source",
    "judge_gpt4",
    "judge_gpt35",
    "judge_llama2_7b",
    "judge_llama2_13b",
    "judge_llama2_70b",
    "crowd",
]
GPT_4 = EVALUATORS.index("judge_gpt4")
BATCHED = [rule for rule in shipped(EVALUATOR_PAYMENT).values() if issubclass(rule, BatchPayment)]
PAIRED: list[type[PairPayment]] = [rule for rule in BATCHED if issubclass(rule, PairPayment)]


def joint(one: float, other: float, records: float) -> NDArray[np.float64]:
    """The expected counts of a pair that is right with these chances about an even truth."""
    same, apart = one * other + (1 - one) * (1 - other), one * (1 - other) + (1 - one) * other
    half = np.array([[same, apart], [apart, same]]) / 2.0
    return np.array([[half, half]]) * records / 2.0


@pytest.mark.parametrize(("one", "other"), [(0.8, 0.8), (0.9, 0.6), (0.7, 0.5)])
def test_closed_forms(one: float, other: float) -> None:
    tables, lean = joint(one, other, 1e7), (2 * one - 1) * (2 * other - 1)
    same = one * other + (1 - one) * (1 - other)
    entropy = -same * math.log(same) - (1 - same) * math.log(1 - same)
    assert CorrelatedAgreement.information(tables)[0] == pytest.approx(lean / 2, abs=1e-12)
    assert MutualInformation.information(tables)[0] == pytest.approx(math.log(2) - entropy)
    determinant = DeterminantMutualInformation.information(tables)[0]
    assert determinant == pytest.approx(lean**2 / 16, rel=1e-6, abs=1e-12)
    assert OutputAgreement.information(tables)[0] == pytest.approx(same)
    assert TruthSerum.information(tables)[0] == pytest.approx(2 * same - 1)


def test_the_published_numbers_at_eight_in_ten() -> None:
    tables = joint(0.8, 0.8, 1e7)
    assert DeterminantMutualInformation.information(tables)[0] == pytest.approx(0.0081, rel=1e-6)
    assert CorrelatedAgreement.information(tables)[0] == pytest.approx(0.18)
    assert MutualInformation.information(tables)[0] == pytest.approx(0.0663, abs=5e-5)


def test_the_determinant_is_unbiased_in_small_batches() -> None:
    chance = np.random.default_rng(3)
    drawn = chance.multinomial(4, joint(0.8, 0.8, 1.0)[0, 0].ravel() * 2, size=(200_000, 2))
    found = DeterminantMutualInformation.information(drawn.reshape(-1, 2, 2, 2).astype(float))
    standard_error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - 0.0081) < 4.0 * standard_error


@pytest.mark.parametrize("bins", [2, 3, 4, 5])
@pytest.mark.parametrize("rule", PAIRED, ids=lambda rule: rule.name)
def test_full_agreement_is_worth_one(rule: type[PairPayment], bins: int) -> None:
    tables = np.array([[np.eye(bins) * 1000.0] * 2])
    assert rule.information(tables)[0] / rule.most(bins) == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("bins", [2, 3, 5])
def test_a_constant_reporter_is_told_nothing(bins: int) -> None:
    tables = np.zeros((1, 2, bins, bins))
    tables[..., 1, :] = np.arange(1.0, bins + 1.0) * 7.0
    for rule in (CorrelatedAgreement, DeterminantMutualInformation, MutualInformation, TruthSerum):
        assert rule.information(tables)[0] == pytest.approx(0.0, abs=1e-12), rule.name
    assert OutputAgreement.information(tables)[0] > 0.0


def test_bins_of_equal_probability_do_not_tear_ties_apart() -> None:
    even = np.arange(12.0)
    assert cut_points(even, 3).tolist() == [4.0, 8.0]
    binary = np.array([0.0] * 30 + [10.0] * 70)
    assert cut_points(binary, 2).tolist() == [10.0]
    assert cut_points(np.array([0.0] * 70 + [10.0] * 30), 2).tolist() == [10.0]
    assert cut_points(np.full(5, 3.0), 2).tolist() == [3.0]


def test_a_series_that_does_not_vary_has_no_correlation() -> None:
    sums = np.array([[4.0, 8.0, 1.0, 16.0, 3.0, 2.0], [0.0] * 6])
    assert correlation(sums).tolist() == [0.0, 0.0]


def test_pairs_that_share_too_little_count_as_the_neutral_pay() -> None:
    counts = np.zeros((3, 3, 2, 2, 2), np.uint32)
    counts[0, 1] = np.eye(2, dtype=np.uint32) * 50  # they always agree, on 200 records
    counts[2, 0] = np.eye(2, dtype=np.uint32)  # on 4
    values = {"score_bins": 2, "minimum_shared": 5, "neutral_pay": 0.25}
    merits = OutputAgreement.merits(counts, values)
    assert merits.merit.tolist() == [0.625, 1.0, 0.25]
    assert merits.thin == 1
    strict = OutputAgreement.merits(counts, {**values, "minimum_shared": 4})
    assert (strict.merit.tolist(), strict.thin) == ([1.0, 1.0, 1.0], 0)


def test_who_met_nobody_gets_the_neutral_pay() -> None:
    values = {"score_bins": 2, "minimum_shared": 1, "neutral_pay": 0.5}
    nobody = OutputAgreement.merits(np.zeros((2, 2, 2, 2, 2), np.uint32), values)
    assert (nobody.merit.tolist(), nobody.thin) == ([0.5, 0.5], 0)
    moments = np.array([[3.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 6])
    few = PeerCorrelation.merits(moments, {"minimum_shared": 4, "neutral_pay": 0.5})
    assert (few.merit.tolist(), few.thin) == ([0.5, 0.5], 1)


@pytest.fixture(scope="module")
def scores() -> Any:
    if not SUMMEVAL.is_file():
        pytest.skip(f"{SUMMEVAL} is not there")
    return pd.read_csv(SUMMEVAL)


@pytest.fixture(scope="module")
def accuracy(scores: Any) -> NDArray[np.float64]:
    return np.array([scores[name].corr(scores.human_expert) for name in EVALUATORS])


@pytest.mark.parametrize(
    ("rule", "bins", "published"),
    [
        (CorrelatedAgreement, 3, 0.83),
        (MutualInformation, 3, 0.90),
        (DeterminantMutualInformation, 2, 0.91),
        (PeerCorrelation, 3, 0.86),  # .81 where it is the mean of the correlations of pairs
    ],
)
def test_pay_follows_accuracy_on_real_evaluators(
    rule: type[BatchPayment], bins: int, published: float, scores: Any, accuracy: Any
) -> None:
    merits = merits_of(rule, scores[EVALUATORS].to_numpy(), score_bins=bins)
    assert np.corrcoef(merits.merit, accuracy)[0, 1] == pytest.approx(published, abs=0.005)


def test_closeness_runs_against_accuracy_on_real_evaluators(scores: Any, accuracy: Any) -> None:
    reports = scores[EVALUATORS].to_numpy()
    others = (reports.sum(axis=1, keepdims=True) - reports) / (len(EVALUATORS) - 1)
    columns = zip(reports.T, others.T, strict=True)
    near = [[closeness(*pair) for pair in zip(*column, strict=True)] for column in columns]
    paid = np.mean(near, axis=1)
    assert np.corrcoef(paid, accuracy)[0, 1] == pytest.approx(-0.53, abs=0.005)
    assert paid[GPT_4] == pytest.approx(0.764, abs=5e-4)
    seven = np.delete(reports, GPT_4, axis=1).mean(axis=1)
    lazy = np.mean([closeness(float(seven.mean()), float(other)) for other in seven])
    assert lazy == pytest.approx(0.908, abs=5e-4)


def test_a_lazy_node_earns_nothing_for_information_on_real_evaluators(scores: Any) -> None:
    reports = scores[EVALUATORS].to_numpy().copy()
    honest = reports.copy()
    reports[:, GPT_4] = np.delete(reports, GPT_4, axis=1).mean()
    for rule in BATCHED:
        merit = merits_of(rule, reports, scores.human_expert.to_numpy(), honest=honest).merit[GPT_4]
        if rule is not OutputAgreement:
            assert merit == pytest.approx(0.0, abs=1e-9), rule.name
        else:
            assert merit > 0.2


def test_gold_is_the_correlation_with_the_truth(scores: Any, accuracy: Any) -> None:
    merits = merits_of(GoldPayment, scores[EVALUATORS].to_numpy(), scores.human_expert.to_numpy())
    np.testing.assert_allclose(merits.merit, accuracy, atol=1e-12)
