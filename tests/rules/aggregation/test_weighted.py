from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.rules.aggregation.mean import Mean
from poq_abm.rules.aggregation.median import Median
from poq_abm.rules.aggregation.stake_median import StakeMedian
from poq_abm.rules.aggregation.trust_weighted import TrustWeighted
from poq_abm.rules.aggregation.trust_weighted_median import TrustWeightedMedian

property_test = settings(deadline=None, derandomize=True, max_examples=200)
# Integers as weights: their sums carry no rounding, so that a definition can be applied literally.
members = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 2), st.integers(0, 5)), min_size=1, max_size=64
).filter(lambda rows: sum(weight for _, weight in rows) > 0)
kappas = st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])


def of(rule, scores, weights, *kappa: float) -> float:
    return rule.consensus(scores, weights, **dict(zip(rule.parameters, kappa, strict=True)))


def test_by_hand() -> None:
    """Weights 1 1 4 on 2 5 8: mean (2 + 5 + 32) / 6, and more than half of the weight is on 8."""
    scores, weights = [8.0, 2.0, 5.0], [4.0, 1.0, 1.0]
    assert of(TrustWeighted, scores, weights) == 6.5
    assert of(TrustWeightedMedian, scores, weights) == 8.0
    assert of(StakeMedian, scores, weights, 0.5) == 8.0
    assert of(StakeMedian, scores, weights, 0.75) == 5.0  # 8 has 4/6, 5 and above 5/6
    assert of(StakeMedian, scores, weights, 1.0) == 2.0


@property_test
@given(members)
def test_the_weighted_mean_is_numpys(rows: list[tuple[float, int]]) -> None:
    scores, weights = zip(*rows, strict=True)
    expected = np.average(scores, weights=weights)
    assert of(TrustWeighted, scores, weights) == pytest.approx(expected, abs=1e-13)


@property_test
@given(members)
def test_the_weighted_median_is_the_median_of_repeated_scores(rows) -> None:
    scores, weights = zip(*rows, strict=True)
    assert of(TrustWeightedMedian, scores, weights) == np.median(np.repeat(scores, weights))


@property_test
@given(members, kappas)
def test_the_stake_median_is_its_definition(rows: list[tuple[float, int]], kappa: float) -> None:
    """The largest score s whose supporters, those at or above s, hold a share kappa."""
    whole = sum(stake for _, stake in rows)
    supported = [
        s for s, _ in rows if sum(stake for score, stake in rows if score >= s) >= kappa * whole
    ]
    assert of(StakeMedian, *zip(*rows, strict=True), kappa) == max(supported)


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.7, 1.0, 1.1, 5.0, 1e-3])
def test_equal_weights_give_the_unweighted_rule_whatever_their_size(weight: float) -> None:
    """Three times 0.1 is more than half of six times 0.1, when summed in binary."""
    generator = np.random.default_rng(3)
    for count in range(1, 65):
        scores, weights = generator.uniform(0.0, 10.0, count), np.full(count, weight)
        assert of(TrustWeightedMedian, scores, weights) == Median.consensus(scores)
        expected = pytest.approx(Mean.consensus(scores), abs=1e-13)
        assert of(TrustWeighted, scores, weights) == expected


@pytest.mark.parametrize("kappa", [k / 10 for k in range(1, 11)])
@pytest.mark.parametrize("stake", [0.1, 0.7, 1.0])
def test_a_share_that_is_exactly_kappa_supports_a_score(kappa: float, stake: float) -> None:
    """Of ten equal stakes, 10 kappa support the 10 kappa-th highest score, in spite of rounding."""
    scores = np.arange(10.0)
    assert of(StakeMedian, scores, np.full(10, stake), kappa) == 10 - round(10 * kappa)


def test_half_of_the_stake_supports_the_upper_middle_score() -> None:
    assert of(StakeMedian, [1.0, 2.0, 7.0, 9.0], [1.0] * 4, 0.5) == 7.0


def test_where_nobody_has_weight_all_weigh_alike() -> None:
    scores, nothing = [1.0, 2.0, 4.0, 9.0], [0.0] * 4
    assert of(TrustWeighted, scores, nothing) == 4.0
    assert of(TrustWeightedMedian, scores, nothing) == 3.0
    assert of(StakeMedian, scores, nothing, 0.5) == 4.0


def test_a_member_without_weight_is_passed_over_at_a_tie() -> None:
    assert of(TrustWeightedMedian, [1.0, 2.0, 9.0], [1.0, 0.0, 1.0]) == 5.0


def test_ten_is_never_exceeded_by_rounding() -> None:
    generator = np.random.default_rng(4)
    for count in range(1, 65):
        weights = generator.uniform(0.1, 5.0, count)
        assert of(TrustWeighted, np.full(count, 10.0), weights) <= 10.0


#: subtensor's epoch test: stakes of four validators and the raw weights that each sets
STAKES = [0.1, 0.2, 0.3, 0.4]
RAW_WEIGHTS = np.array([16383, 32767, 49149, 65535])
CONSENSUS = [0.0999975584, 0.2000012207, 0.2999926754, 0.400008545]


@pytest.mark.parametrize("silent", [0, 1, 2], ids=["epoch 1", "epoch 2", "epoch 3"])
def test_the_stake_median_is_yumas_published_consensus(silent: int) -> None:
    """Epochs 1 and 2 print it; in 3 the ranks, 0.7 of the stake times it, imply the same."""
    shares = RAW_WEIGHTS / RAW_WEIGHTS.sum()
    for server, consensus in enumerate(CONSENSUS):
        set_by_each = np.full(4, shares[server])
        set_by_each[:silent] = 0.0  # these validators weigh only themselves, which is masked
        assert of(StakeMedian, set_by_each, STAKES, 0.5) == pytest.approx(consensus, abs=2e-8)


def test_yumas_published_ranks_follow_from_it() -> None:
    """Rank = stake-weighted mean of the weights cut at the consensus; epoch 3, validators 2, 3."""
    ranks = [0.0699982906, 0.1400008542, 0.2099948723, 0.2800059812]
    shares = RAW_WEIGHTS / RAW_WEIGHTS.sum()
    for server, rank in enumerate(ranks):
        set_by_each = np.where(np.arange(4) < 2, 0.0, shares[server])
        cut = np.minimum(set_by_each, of(StakeMedian, set_by_each, STAKES, 0.5))
        assert of(TrustWeighted, cut, STAKES) == pytest.approx(rank, abs=2e-8)
