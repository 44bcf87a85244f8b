"""Driving searches: results in order, fresh keys, budgets and interrupts that lose nothing."""

import numpy as np
import pytest

from poq_abm import load, run
from poq_abm.errors import InputError
from poq_abm.experiment.search import BudgetSpentError, PlayInMemory, SearchBudget, Step, drive


@pytest.fixture(scope="module")
def scenario():
    return load("cost_aware_poq", ["rounds=50"])


def climbing(scenario, steps=10):
    """A search that returns what it was sent, and why it stopped."""
    seen = []
    try:
        for number in range(steps):
            seen += yield Step([scenario, scenario], number, number + 1)
    except (BudgetSpentError, KeyboardInterrupt) as stop:
        return seen, type(stop).__name__
    return seen, "done"


def test_a_budget_ends_a_search_that_keeps_what_it_found(scenario):
    budget = SearchBudget(rounds=299)  # two steps of two scenarios x 50 rounds, and no third
    seen, why = drive(climbing(scenario), lambda step: [step.first] * 2, budget)
    assert (seen, why, budget.spent) == ([0, 0, 1, 1], "BudgetSpentError", 200)
    assert drive(climbing(scenario), lambda step: [0, 0], SearchBudget(seconds=0.0))[1] != "done"


def test_a_search_may_go_on_with_what_its_budget_covers(scenario):
    def thrifty():
        try:
            yield Step([scenario], 0, 9)
        except BudgetSpentError:
            return (yield Step([scenario], 0, 1))

    assert drive(thrifty(), lambda step: [step.last], SearchBudget(rounds=50)) == [1]


def test_an_interrupt_loses_nothing(scenario):
    def play(step):
        if step.first == 2:
            raise KeyboardInterrupt
        return ["a", "b"]

    assert drive(climbing(scenario), play) == (["a", "b"] * 2, "KeyboardInterrupt")


def test_a_search_that_minds_neither_passes_them_on(scenario):
    def blind():
        yield Step([scenario], 0, 1)

    with pytest.raises(BudgetSpentError, match="50 rounds are more than the 49 left"):
        drive(blind(), lambda step: [None], SearchBudget(rounds=49))


def test_what_is_played_is_what_a_run_plays(scenario):
    other = scenario.replace({"mechanism.beta_evaluator": 0.1})
    tables = PlayInMemory()(Step([scenario, other], 1, 3))
    for one, played in zip((scenario, other), tables, strict=True):
        rewards = run(one, replications=3).nodes["reward_total"].to_numpy()
        found = played["nodes"].column("reward_total").to_numpy()
        assert np.array_equal(found, rewards[8:])
        assert played["replications"].column("replication").to_pylist() == [1, 2]


def test_nothing_to_play_is_refused(scenario):
    with pytest.raises(InputError, match="at least one replication"):
        PlayInMemory()(Step([scenario], 1, 1))
