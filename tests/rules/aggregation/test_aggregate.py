from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from poq_abm.rules.aggregation import Aggregation, aggregate

PARAMETERS = {
    Aggregation.TRIMMED_MEAN: 0.2,
    Aggregation.WINSORIZED_MEAN: 0.2,
    Aggregation.HUBER: 1.345,
    Aggregation.MAD_FILTER: 3.0,
    Aggregation.STAKE_MEDIAN: 0.5,
}

#: one committee, 1 2 3 6 8 with weights 1 1 1 1 4: each rule's consensus, worked out by hand
BY_HAND = {
    Aggregation.MEAN: 4.0,
    Aggregation.MEDIAN: 3.0,
    Aggregation.TRIMMED_MEAN: 11 / 3,
    Aggregation.WINSORIZED_MEAN: 19 / 5,
    Aggregation.HUBER: (12 + 1.345 * 1.482602218505602 * 2) / 4,  # MAD 2: 8 is just out of reach
    Aggregation.MAD_FILTER: 4.0,  # reach 8.9
    Aggregation.TRUST_WEIGHTED: 44 / 8,
    Aggregation.TRUST_WEIGHTED_MEDIAN: 7.0,
    Aggregation.STAKE_MEDIAN: 8.0,
}


def consensus_of(
    rule: int, scores: NDArray[np.float64], weights: NDArray[np.float64], count: int
) -> float:
    scratch = np.full((2, scores.size), np.nan)
    parameter = PARAMETERS.get(Aggregation(rule), 0.0)
    return aggregate(rule, parameter, scores, weights, count, scratch[0], scratch[1])


@pytest.mark.parametrize("rule", list(Aggregation))
def test_each_number_leads_to_its_rule(rule: Aggregation) -> None:
    scores, weights = np.array([3.0, 1.0, 8.0, 6.0, 2.0]), np.array([1.0, 1.0, 4.0, 1.0, 1.0])
    expected = BY_HAND[rule]
    for number in (rule, int(rule)):
        assert consensus_of(number, scores, weights, 5) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rule", list(Aggregation))
def test_only_the_first_scores_and_places_are_touched(rule: Aggregation) -> None:
    scores, weights = np.array([2.0, 4.0, 9.0, np.nan]), np.array([1.0, 1.0, 1.0, np.nan])
    scratch = np.full((2, 4), -1.0)
    parameter = PARAMETERS.get(rule, 0.0)
    consensus = aggregate(rule, parameter, scores, weights, 3, scratch[0], scratch[1])
    assert 4.0 <= consensus <= 5.0
    assert scratch[:, 3].tolist() == [-1.0, -1.0]


@pytest.mark.parametrize("rule", list(Aggregation))
def test_what_scratch_held_before_does_not_matter(rule: Aggregation) -> None:
    scores, weights = np.array([2.0, 7.5, 9.0]), np.array([0.3, 1.7, 0.4])
    parameter = PARAMETERS.get(rule, 0.0)
    dirty = np.array([[99.0, np.nan, -3.0], [np.inf, 0.0, 7.0]])
    clean = consensus_of(rule, scores, weights, 3)
    assert aggregate(rule, parameter, scores, weights, 3, dirty[0], dirty[1]) == clean


@pytest.mark.parametrize("number", [-1, len(Aggregation), 99])
def test_a_number_that_is_no_rule_gives_nothing_to_pay_by(number: int) -> None:
    scratch = np.empty((2, 1))
    one = np.ones(1)
    assert math.isnan(aggregate(number, 0.5, one, one, 1, scratch[0], scratch[1]))


PLAY = """
import json, sys
import numpy as np
from poq_abm.rules.aggregation import Aggregation, aggregate

generator = np.random.default_rng(5)
played = []
for count in [1, 2, 3, 4, 5, 6, 9, 10, 17, 64] * 4:
    scores = np.round(generator.uniform(0, 10, count), generator.integers(0, 17))
    weights = np.round(generator.uniform(0.1, 5, count), 1)
    for rule, parameter in PARAMETERS.items():
        scratch = np.empty((2, count))
        consensus = aggregate(rule, parameter, scores, weights, count, scratch[0], scratch[1])
        played.append(float(consensus).hex())
print(json.dumps(played))
"""


def test_python_and_compiled_code_agree_to_the_last_bit() -> None:
    parameters = {int(rule): PARAMETERS.get(rule, 0.0) for rule in Aggregation}
    code = PLAY.replace("PARAMETERS", repr(parameters))

    def played(**environment: str) -> list[str]:
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | environment,
            check=True,
            capture_output=True,
            text=True,
        )
        result: list[str] = json.loads(run.stdout)
        return result

    assert played(NUMBA_DISABLE_JIT="1") == played()
