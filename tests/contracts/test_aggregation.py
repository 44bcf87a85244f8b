"""Every aggregation rule that ships passes the contract that plug-in authors inherit."""

from __future__ import annotations

import subprocess
import sys

import pytest

from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.aggregation.huber import Huber
from poq_abm.rules.aggregation.stake_median import StakeMedian
from poq_abm.rules.aggregation.trimmed_mean import TrimmedMean
from poq_abm.rules.registry import shipped
from poq_abm.testing.aggregation import AggregationContract


@pytest.fixture(params=list(shipped(AGGREGATION).values()), ids=lambda rule: rule.name)
def rule(request: pytest.FixtureRequest):
    return request.param


class TestEveryRule(AggregationContract):
    """With the default values of its parameters."""

    @pytest.fixture(autouse=True)
    def _rule(self, rule) -> None:
        self.rule = rule


class TestTrimmedMeanTenth(AggregationContract):
    rule, values = TrimmedMean, {"tau": 0.1}


class TestTrimmedMeanTwoFifths(AggregationContract):
    rule, values = TrimmedMean, {"tau": 0.4}


class TestHuberThatBendsEarly(AggregationContract):
    rule, values = Huber, {"huber_bend": 0.1}


class TestStakeMedianOfThreeTenths(AggregationContract):
    rule, values = StakeMedian, {"kappa": 0.3}


def test_the_package_does_not_import_its_own_tests() -> None:
    code = (
        "import sys, pkgutil, poq_abm.experiment.results, poq_abm.analysis.aggregation_robustness\n"
        "sys.exit(any(m.split('.')[0] in ('pytest', 'hypothesis') for m in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
