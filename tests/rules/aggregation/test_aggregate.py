from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from poq_abm.rules.aggregation import AGGREGATION, Aggregation
from poq_abm.rules.committee import Committee, open_committee
from poq_abm.rules.compiled import Kernels, aggregate, number_of, own_kernel
from poq_abm.rules.registry import shipped

RULES = shipped(AGGREGATION)

#: one committee, 1 2 3 6 8 with weights 1 1 1 1 4: each rule's consensus, worked out by hand
BY_HAND = {
    "mean": 4.0,
    "median": 3.0,
    "trimmed_mean": 11 / 3,
    "winsorized_mean": 19 / 5,
    "huber": (12 + 1.345 * 1.482602218505602 * 2) / 4,  # MAD 2: 8 is just out of reach
    "mad_filter": 4.0,  # reach 8.9
    "trust_weighted": 44 / 8,
    "trust_weighted_median": 7.0,
    "stake_median": 8.0,
}

each_rule = pytest.mark.parametrize("rule", list(RULES.values()), ids=lambda rule: rule.name)


def agreed(rule: type[Aggregation], committee: Committee) -> float:
    return aggregate(number_of(rule), rule.array({}), None, committee)


@pytest.mark.parametrize("name", BY_HAND)
def test_each_number_leads_to_its_rule(name: str) -> None:
    rule, expected = RULES[name], pytest.approx(BY_HAND[name], abs=1e-12)
    scores, weights = [3.0, 1.0, 8.0, 6.0, 2.0], [1.0, 1.0, 4.0, 1.0, 1.0]
    assert agreed(rule, open_committee(scores, weights)) == expected
    own = Kernels(aggregation=own_kernel(rule))
    assert aggregate(-1, rule.array({}), own, open_committee(scores, weights)) == expected


@each_rule
def test_what_working_places_held_before_does_not_matter(rule: type[Aggregation]) -> None:
    clean, dirty = (open_committee([2.0, 7.5, 9.0], [0.3, 1.7, 0.4]) for _ in range(2))
    dirty.ordered[:], dirty.carried[:] = [99.0, np.nan, -3.0], [np.inf, 0.0, 7.0]
    assert agreed(rule, dirty) == agreed(rule, clean)


@pytest.mark.parametrize("number", [-1, len(RULES), 99])
def test_a_number_that_is_no_rule_gives_nothing_to_pay_by(number: int) -> None:
    assert math.isnan(aggregate(number, np.array([0.5]), None, open_committee([1.0])))


@each_rule
def test_a_parameter_that_a_rule_lacks_is_no_argument_of_it(rule: type[Aggregation]) -> None:
    takes = rule.kernel.__code__.co_varnames[: rule.kernel.__code__.co_argcount]
    assert takes == ("committee", *rule.parameters)
    with pytest.raises(TypeError):
        rule.kernel(open_committee([1.0, 2.0]), *([0.5] * (len(rule.parameters) + 1)))


PLAY = """
import json
import numpy as np
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.committee import open_committee
from poq_abm.rules.compiled import aggregate, number_of
from poq_abm.rules.registry import shipped

generator = np.random.default_rng(5)
played = []
for count in [1, 2, 3, 4, 5, 6, 9, 10, 17, 64] * 4:
    scores = np.round(generator.uniform(0, 10, count), generator.integers(0, 17))
    weights = np.round(generator.uniform(0.1, 5, count), 1)
    for rule in shipped(AGGREGATION).values():
        committee = open_committee(scores, weights)
        played.append(float(aggregate(number_of(rule), rule.array({}), None, committee)).hex())
print(json.dumps(played))
"""


def test_python_and_compiled_code_agree_to_the_last_bit() -> None:
    def played(**environment: str) -> list[str]:
        run = subprocess.run(
            [sys.executable, "-c", PLAY],
            env=os.environ | environment,
            check=True,
            capture_output=True,
            text=True,
        )
        result: list[str] = json.loads(run.stdout)
        return result

    assert played(NUMBA_DISABLE_JIT="1") == played()
