"""Best responses to best responses, to an end that can be worked out."""

import numpy as np
import pyarrow as pa
import pytest

from poq_abm import load
from poq_abm.analysis.audit.best_response import SearchSettings
from poq_abm.analysis.audit.deviations import ring_of
from poq_abm.analysis.audit.learning import everybody_learns, learning_sentence
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.experiment.search import SearchBudget, drive

pytestmark = pytest.mark.usefixtures("shipped_rules")


class Beauty:
    """A beauty contest in place of a simulation: pay is nearness of one's level to half of all's.

    The level of a report is that of a score of 5; the best response to a level is half of it, so
    that levels fall by halves to an equilibrium at 0.
    """

    def __init__(self):
        self.firsts = []

    def __call__(self, step):
        self.firsts.append(step.first)
        return [self.tables(scenario, step.last - step.first) for scenario in step.scenarios]

    def tables(self, scenario, count):
        groups = scenario.population.evaluators
        levels = [self.level(group.behaviour) for group in groups for _ in range(group.count)]
        others = levels[-1]  # one that is not the first of its group
        pay = [1.0 - abs(level - others / 2.0) / 10.0 for level in levels]
        rewards = np.tile([*np.zeros(len(scenario.population.inference)), *pay], count)
        zeros = np.zeros(count)
        return {
            "nodes": pa.table({"reward_total": rewards, "jobs": np.ones(rewards.size)}),
            "replications": pa.table({"consensus_mean": zeros, "bias": zeros}),
        }

    @staticmethod
    def level(behaviour):
        line = behaviour["name"] == "linear_report"
        return max(behaviour["a"] + 5.0 * behaviour["b"], 0.0) if line else 5.0


def learned(budget=None, **settings):
    scenario = load("cost_aware_poq", ["population.evaluators.2.count=2"])
    runner = VariantRunner.of(scenario)
    one = ring_of(scenario, "evaluator", "ce_deberta", None)
    how = SearchSettings(tested=2, **settings)
    beauty = Beauty()
    return drive(everybody_learns(runner, one, how), beauty, budget), beauty


def test_levels_fall_by_halves_until_nothing_gains():
    found, beauty = learned(epsilon=0.05)
    levels = [beauty.level(one.deviation.behaviour) for one in found]
    assert levels[:3] == pytest.approx([2.5, 1.25, 0.625], abs=0.1)
    assert (found[-1].ended, found[-1].gains) == ("settled", False)
    assert "symmetric equilibrium within that" in learning_sentence(found)
    assert beauty.firsts == sorted(beauty.firsts)  # keys are never used again
    assert len(set(beauty.firsts)) >= 3 * len(found)


def test_a_budget_ends_learning_with_what_was_found():
    found, _ = learned(SearchBudget(rounds=8_000_000), epsilon=0.001)
    assert found[0].gains
    assert found[-1].ended == "spent"
    assert learning_sentence(found).startswith("Learning ended early")
