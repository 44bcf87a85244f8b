from __future__ import annotations

import pickle

from poq_abm.errors import InputError
from poq_abm.scenario import Place, Problem, ScenarioError
from poq_abm.scenario.checks.problems import Origins, shown

ROOT, SECTION, LEAF = Place("f", 1), Place("f", 2), Place("f", 3)
ORIGINS = Origins({(): ROOT, ("a",): SECTION, ("a", "b"): LEAF})


def test_the_closest_parent_answers_for_what_nobody_wrote() -> None:
    assert ORIGINS.at(("a", "b", 3)) == LEAF
    assert ORIGINS.at(("a", "c")) == SECTION
    assert ORIGINS.at(("z",)) == ROOT
    assert Origins({}).at(("z",)) == Place("<scenario>")


def test_what_is_laid_over_hides_what_is_below_it() -> None:
    over = ORIGINS.laid_over({("a", "b"): Place("first")}).laid_over({("a",): Place("second")})
    assert over.at(("a", "b")) == Place("second")
    assert over.at(()) == ROOT
    assert ORIGINS.laid_over({("a", "b"): Place("deep")}).at(("a",)) == Place("deep")
    again = over.laid_over({("a", "b"): Place("third")})
    assert (again.at(("a", "b")), again.at(("a",))) == (Place("third"), Place("second"))


def test_the_error_is_an_input_error_that_travels_between_processes() -> None:
    error = ScenarioError([Problem(LEAF, "a.b", "wrong"), Problem(Place("--set x"), "", "bad")])
    assert isinstance(error, InputError)
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == "f:3: a.b: wrong\n--set x: bad"
    assert copy.problems == error.problems


def test_a_flood_of_problems_is_cut_and_counted() -> None:
    error = ScenarioError(Problem(ROOT, str(i), "wrong") for i in range(1000))
    assert str(error).splitlines()[-1] == "... and 800 more"
    assert len(error.problems) == 1000


def test_values_are_shown_short() -> None:
    assert len(shown("x" * 1000)) <= 62
    assert len(shown(10**90)) <= 62
    assert len(shown([[i] for i in range(1000)])) < 100
