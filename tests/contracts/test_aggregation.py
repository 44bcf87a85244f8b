"""Every rule that ships passes the contract that plug-in authors inherit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.aggregation import Aggregation, aggregate
from poq_abm.testing.aggregation import AggregationContract

Array = NDArray[np.float64]


def by(rule: Aggregation, parameter: float = 0.0) -> Callable[[Array, Array], float]:
    """The rule as its contract calls it."""

    def consensus(scores: Array, weights: Array) -> float:
        ordered, carried = np.full((2, scores.size), np.nan)
        return aggregate(rule, parameter, scores, weights, scores.size, ordered, carried)

    return staticmethod(consensus)


class MedianLike(AggregationContract):
    """Fewer than half of the members, or of the weight, cannot move it."""

    def breakdown(self, count: int) -> float:
        return (count - 1) // 2 / count


class Trimming(AggregationContract):
    tau: float

    def breakdown(self, count: int) -> float:
        return int(self.tau * count + 1e-9) / count


class StakeMedian(AggregationContract):
    """Less than kappa cannot lift it, up to 1 - kappa cannot push it down."""

    weighted = True
    kappa: float

    def breakdown(self, count: int) -> float:
        shares = np.arange(count) / count
        safe = (shares < self.kappa - 1e-9) & (shares <= 1.0 - self.kappa + 1e-9)
        return float(shares[safe].max())


class TestMean(AggregationContract):
    rule = by(Aggregation.MEAN)


class TestMedian(MedianLike):
    rule = by(Aggregation.MEDIAN)


class TestTrimmedMeanTenth(Trimming):
    rule, tau = by(Aggregation.TRIMMED_MEAN, 0.1), 0.1


class TestTrimmedMeanFifth(Trimming):
    rule, tau = by(Aggregation.TRIMMED_MEAN, 0.2), 0.2


class TestTrimmedMeanTwoFifths(Trimming):
    rule, tau = by(Aggregation.TRIMMED_MEAN, 0.4), 0.4


class TestWinsorizedMean(Trimming):
    rule, tau = by(Aggregation.WINSORIZED_MEAN, 0.2), 0.2


class TestHuber(AggregationContract):
    """The claimed share is proved in docs/rules/huber.md; it is a bound, not the exact share."""

    rule = by(Aggregation.HUBER, 1.345)
    monotone = False  # raising a low score can shrink the scale, and with it the pull of high ones
    sharp_breakdown = False  # honest members who agree have a scale of 0 and are immovable

    def breakdown(self, count: int) -> float:
        return 1.0 / (2.0 + 2.0 * 1.4826022185056 * 1.345)


class TestHuberThatBendsEarly(TestHuber):
    rule = by(Aggregation.HUBER, 0.1)

    def breakdown(self, count: int) -> float:
        return 0.25


class TestMadFilter(AggregationContract):
    rule = by(Aggregation.MAD_FILTER, 3.0)
    monotone = False
    sharp_breakdown = False


class TestTrustWeighted(AggregationContract):
    rule = by(Aggregation.TRUST_WEIGHTED)
    weighted = True


class TestTrustWeightedMedian(MedianLike):
    rule = by(Aggregation.TRUST_WEIGHTED_MEDIAN)
    weighted = True


class TestStakeMedian(StakeMedian):
    rule, kappa = by(Aggregation.STAKE_MEDIAN, 0.5), 0.5


class TestStakeMedianOfThreeTenths(StakeMedian):
    rule, kappa = by(Aggregation.STAKE_MEDIAN, 0.3), 0.3


def test_the_package_does_not_import_its_own_tests() -> None:
    code = (
        "import sys, pkgutil, poq_abm.experiment.results, poq_abm.analysis.aggregation_robustness\n"
        "sys.exit(any(m.split('.')[0] in ('pytest', 'hypothesis') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
