"""What every aggregation rule owes its committee, as a test class to inherit from.

A rule that passes neither depends on who sits where nor leaves the range of the scores; it agrees
with the mean where all agree, and it bears the share of planted scores that it claims to bear.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poq_abm.rules.aggregation import Aggregation, WeighsBy
from poq_abm.rules.committee import open_committee
from poq_abm.rules.registry import complete
from poq_abm.testing.rule import KernelRuleContract, examples

__all__ = ["LARGEST_COMMITTEE", "AggregationContract"]

Scores = NDArray[np.float64]

LARGEST_COMMITTEE = 64
TOP = 10.0

_SLACK = 1e-12  #: beyond the range of the scores
_ROUNDING = 1e-11  #: between two ways of adding up to 64 scores

_examples = examples()
# Hundredths make ties, as rounded scores do; doubles make none.
_score = st.one_of(st.integers(0, 1000).map(lambda n: n / 100), st.floats(0.0, TOP))
# A rule may jump, and rounding decides on which side of a jump equals fall. Multiples of 1/64 are
# shifted and doubled without rounding, so that what was equal stays equal.
_dyadic = st.integers(0, 320).map(lambda n: n / 64)
_weight = st.integers(1, 50).map(lambda n: n / 10)


@st.composite
def _committees(draw: st.DrawFn, score: st.SearchStrategy[float] = _score) -> tuple[Scores, Scores]:
    """Draw scores and weights of one committee."""
    rows = draw(st.lists(st.tuples(score, _weight), min_size=1, max_size=LARGEST_COMMITTEE))
    pairs = np.array(rows, dtype=np.float64)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _planted(honest: Scores, count: int, at: float, generator: np.random.Generator) -> Scores:
    """Return ``honest`` with ``count`` scores of ``at`` strewn among them."""
    return generator.permutation(np.concatenate([honest, np.full(count, at)]))


class AggregationContract(KernelRuleContract):
    """Tests that an aggregation rule passes; inherit and say which, or leave it at all that ship.

    Scores lie in [0, 10], weights in (0, 5];
    committees have 1 to 64 members.

    Examples
    --------
    >>> from poq_abm.rules.aggregation.trimmed_mean import TrimmedMean
    >>> class TestTrimmedMean(AggregationContract):
    ...     rule, values = TrimmedMean, {"tau": 0.3}
    >>> TestTrimmedMean().immovable(10)
    3
    """

    rule: ClassVar[type[Aggregation]]

    def consensus(self, scores: Scores, weights: Scores) -> float:
        """Return the consensus of ``scores``, shape (K,), with ``weights`` of the same shape."""
        return self.called(open_committee(scores, weights))

    def breakdown(self, count: int) -> float:
        """Return the largest share of equal members that cannot leave the honest range."""
        return self.rule.breakdown(count, **complete(self.rule, self.values))

    def immovable(self, count: int) -> int:
        """Return that share in members: floor(breakdown x K)."""
        return int(self.breakdown(count) * count + 1e-9)

    @_examples
    @given(_committees())
    def test_it_lies_between_the_extremes(self, committee: tuple[Scores, Scores]) -> None:
        """Lowest score <= consensus <= highest score, and never a bit above 10."""
        scores, weights = committee
        consensus = self.consensus(scores, weights)
        assert scores.min() - _SLACK <= consensus <= scores.max() + _SLACK
        assert 0.0 <= consensus <= TOP

    @_examples
    @given(_committees(), st.integers(0, 2**32 - 1))
    def test_seats_do_not_matter(self, committee: tuple[Scores, Scores], seed: int) -> None:
        """Permuting the members, with their weights, leaves the consensus, but for rounding."""
        scores, weights = committee
        seats = np.random.default_rng(seed).permutation(scores.size)
        moved = self.consensus(scores[seats], weights[seats])
        assert moved == pytest.approx(self.consensus(scores, weights), abs=_ROUNDING)

    @_examples
    @given(_committees())
    def test_it_leaves_scores_and_weights_alone(self, drawn: tuple[Scores, Scores]) -> None:
        """The arrays it is given belong to the caller."""
        scores, weights = drawn
        committee = open_committee(scores, weights)
        self.called(committee)
        assert (committee.scores == scores).all()
        assert (committee.weights == weights).all()

    @_examples
    @given(_score, st.lists(_weight, min_size=1, max_size=LARGEST_COMMITTEE))
    def test_one_voice_is_the_consensus(self, score: float, weights: list[float]) -> None:
        """Where all scores are equal, the consensus is that score, as under the mean."""
        consensus = self.consensus(np.full(len(weights), score), np.array(weights))
        assert consensus == pytest.approx(score, abs=_SLACK)

    @_examples
    @given(_committees(_dyadic), _dyadic)
    def test_a_shift_of_all_shifts_it(self, committee: tuple[Scores, Scores], shift: float) -> None:
        """c(s + a) = c(s) + a."""
        self.claims("translation_equivariant")
        scores, weights = committee
        shifted = self.consensus(scores + shift, weights)
        assert shifted == pytest.approx(self.consensus(scores, weights) + shift, abs=_ROUNDING)

    @_examples
    @given(_committees(_dyadic), st.sampled_from([0.125, 0.5, 2.0]))
    def test_a_stretch_of_all_stretches_it(
        self, committee: tuple[Scores, Scores], factor: float
    ) -> None:
        """c(a s) = a c(s) for a > 0."""
        self.claims("scale_equivariant")
        scores, weights = committee
        stretched = self.consensus(factor * scores, weights)
        assert stretched == pytest.approx(factor * self.consensus(scores, weights), abs=_ROUNDING)

    @_examples
    @given(_committees(), st.integers(0, LARGEST_COMMITTEE - 1), _score)
    def test_a_higher_score_never_lowers_it(
        self, committee: tuple[Scores, Scores], seat: int, score: float
    ) -> None:
        """Raising one member's score raises the consensus or leaves it."""
        self.claims("monotone")
        scores, weights = committee
        raised = scores.copy()
        raised[seat % scores.size] = max(score, raised[seat % scores.size])
        assert self.consensus(raised, weights) >= self.consensus(scores, weights) - _ROUNDING

    @pytest.mark.parametrize("at", [0.0, TOP])
    def test_it_bears_the_share_it_claims(self, at: float) -> None:
        """Planted scores within the claimed share do not move it beyond the honest range."""
        generator = np.random.default_rng(1)
        for count in range(1, LARGEST_COMMITTEE + 1):
            planted = self.immovable(count)
            for _ in range(20):
                low, high = np.sort(generator.uniform(0.0, TOP, 2))
                honest = generator.uniform(low, high, count - planted)
                scores = _planted(honest, planted, at, generator)
                consensus = self.consensus(scores, np.ones(count))
                assert honest.min() - _SLACK <= consensus <= honest.max() + _SLACK, scores

    def test_it_bears_no_more(self) -> None:
        """One planted score more moves a committee whose honest members agree."""
        self.claims("sharp_breakdown")
        generator = np.random.default_rng(2)
        for count in range(2, LARGEST_COMMITTEE + 1):
            planted = self.immovable(count) + 1
            honest = np.full(count - planted, 5.0)
            moved = [
                self.consensus(_planted(honest, planted, at, generator), np.ones(count)) - 5.0
                for at in (0.0, TOP)
            ]
            assert max(map(abs, moved)) > _ROUNDING, (count, planted)

    @_examples
    @given(_committees(), st.integers(0, 2**32 - 1))
    def test_it_bears_that_share_of_the_weight(
        self, committee: tuple[Scores, Scores], seed: int
    ) -> None:
        """Where weights matter, the claimed share is a share of weight."""
        if self.rule.weighs_by == WeighsBy.NOTHING:
            pytest.skip("weighs nobody")
        scores, weights = committee
        seats = np.random.default_rng(seed).permutation(scores.size)
        shares = np.cumsum(weights[seats]) / weights.sum()
        planted = seats[shares <= self.breakdown(scores.size) - 1e-9]
        honest = np.delete(scores, planted)
        for at in (0.0, TOP):
            scores[planted] = at
            consensus = self.consensus(scores, weights)
            assert honest.min() - _SLACK <= consensus <= honest.max() + _SLACK

    @_examples
    @given(_committees(), st.integers(0, 2**32 - 1))
    def test_weights_matter_as_claimed(self, committee: tuple[Scores, Scores], seed: int) -> None:
        """A common factor changes nothing; where weights do not matter, nothing does."""
        scores, weights = committee
        consensus = self.consensus(scores, weights)
        if self.rule.weighs_by != WeighsBy.NOTHING:
            assert self.consensus(scores, 0.1 * weights) == pytest.approx(consensus, abs=_ROUNDING)
        else:
            others = np.random.default_rng(seed).uniform(0.0, 5.0, scores.size)
            assert self.consensus(scores, others) == consensus

    @_examples
    @given(_committees(), st.integers(0, LARGEST_COMMITTEE - 1), _score)
    def test_without_weight_a_member_is_absent(
        self, committee: tuple[Scores, Scores], seat: int, score: float
    ) -> None:
        """A member of weight 0 does not move it; where all have weight 0, all weigh alike."""
        if self.rule.weighs_by == WeighsBy.NOTHING:
            pytest.skip("weighs nobody")
        scores, weights = committee
        seat = seat % (scores.size + 1)
        joined = self.consensus(np.insert(scores, seat, score), np.insert(weights, seat, 0.0))
        assert joined == pytest.approx(self.consensus(scores, weights), abs=_ROUNDING)
        alike = self.consensus(scores, np.ones(scores.size))
        assert self.consensus(scores, np.zeros(scores.size)) == pytest.approx(alike, abs=_ROUNDING)
