"""Strategies added until nothing gains, to ends that can be worked out."""

import numpy as np
import pyarrow as pa
import pytest

from poq_abm import load
from poq_abm.analysis.audit.best_response import SearchSettings
from poq_abm.analysis.audit.deviations import ring_of
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.equilibrium.double_oracle import double_oracle
from poq_abm.experiment.search import SearchBudget, drive

pytestmark = pytest.mark.usefixtures("shipped_rules")


class Mock:
    """Answers for a simulation: what evaluators get for the levels they report of a score of 5."""

    def __init__(self, pay, raising=None):
        self.pay, self.raising, self.firsts = pay, raising, []

    def __call__(self, step):
        if len(self.firsts) == self.raising:
            raise KeyboardInterrupt
        self.firsts.append(step.first)
        return [self.tables(scenario, step.last - step.first) for scenario in step.scenarios]

    def tables(self, scenario, count):
        groups = scenario.population.evaluators
        levels = [level(group.behaviour) for group in groups for _ in range(group.count)]
        pay = [
            self.pay(one, np.array(levels[:n] + levels[n + 1 :])) for n, one in enumerate(levels)
        ]
        rewards = np.tile([*np.zeros(len(scenario.population.inference)), *pay], count)
        zeros = np.zeros(count)
        return {
            "nodes": pa.table({"reward_total": rewards, "jobs": np.ones(rewards.size)}),
            "replications": pa.table({"consensus_mean": zeros, "bias": zeros}),
        }


def level(behaviour):
    line = behaviour["name"] == "linear_report"
    return max(behaviour["a"] + 5.0 * behaviour["b"], 0.0) if line else 5.0


def beauty(own, others):
    """A contest: pay is nearness to half of what the others say. All levels fall to 0."""
    return 1.0 - abs(own - others.mean() / 2.0) / 10.0


def crowding(own, others):
    """High levels pay by how few others are high: half are, and nobody gains by changing."""
    return 1.0 + (own > 7.5) * (0.5 - float((others > 7.5).mean()))


def learned(mock, budget=None, **settings):
    scenario = load("cost_aware_poq", ["population.evaluators.2.count=3"])
    one = ring_of(scenario, "evaluator", "ce_deberta", None)
    how = SearchSettings(tested=2, **settings)
    return drive(double_oracle(VariantRunner.of(scenario), one, how), mock, budget)


def test_levels_fall_by_halves_until_nothing_gains():
    mock = Mock(beauty)
    end = learned(mock, epsilon=0.1)
    levels = [level(spec) for spec in end.strategies]
    assert levels == pytest.approx([5.0, 2.5, 1.25], abs=0.1)
    assert end.mix == pytest.approx([0.0, 0.0, 1.0])
    assert (end.found[-1].ended, end.found[-1].gains) == ("settled", False)
    assert "symmetric equilibrium within that, as far as 3 searches see" in end.sentence
    assert end.sentence.startswith("as all report ")
    assert mock.firsts == sorted(mock.firsts)  # keys are never used again
    assert len(set(mock.firsts)) >= 3 * len(end.found)


def test_what_pays_the_few_alone_is_done_by_half():
    end = learned(Mock(crowding), epsilon=0.01)
    assert [level(spec) > 7.5 for spec in end.strategies] == [False, True]
    assert end.mix == pytest.approx([0.5, 0.5])
    assert [one.gains for one in end.found] == [True, False]
    assert end.found[0].gain.difference == pytest.approx(0.5)
    assert end.sentence.startswith("as 50% ")
    assert end.table["share"].sum() == pytest.approx(1.0)


def test_where_nothing_gains_honesty_is_the_end():
    end = learned(Mock(lambda own, others: 1.0), epsilon=0.01)
    assert (len(end.strategies), len(end.found), end.found[0].gains) == (1, 1, False)
    assert end.sentence.startswith("as all play honest, nothing found gains 0.01")


def test_a_budget_or_an_interrupt_ends_learning_with_what_was_found():
    spent = learned(Mock(beauty), SearchBudget(rounds=9_000_000), epsilon=0.001)
    assert spent.found[0].gains
    assert spent.sentence == f"learning ended early, after {len(spent.found)} searches."
    assert len(spent.table) == len(spent.strategies)
    stopped = learned(Mock(beauty, raising=0), epsilon=0.001)
    assert stopped.interrupted
    assert not stopped.found[0].gains
