"""Boxes in which a design stops being feasible: found where they were planted, and nowhere else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.analysis.design.feasibility import Box, boxes, play_cases, prim
from poq_abm.analysis.design.problem import load_design
from poq_abm.experiment.search import drive
from poq_abm.scenario import ScenarioError


def drawn(count, seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "share": rng.random(count),
            "demand": rng.random(count),
            "profile": rng.choice(["a", "b", "c"], count),
            "idle": rng.random(count),
        }
    )


def test_a_planted_box_is_found_with_its_limits_and_without_what_does_nothing():
    cases = drawn(1_000, 1)
    planted = (cases["share"] > 0.6) & (cases["demand"] < 0.5) & (cases["profile"] != "c")
    noise = np.random.default_rng(2).random(1_000)
    fails = np.where(planted, noise < 0.95, noise < 0.03)
    (found,) = boxes(cases, fails)[:1]
    assert set(found.box.limits) == {"share", "demand", "profile"}
    assert found.box.limits["share"][0] == pytest.approx(0.6, abs=0.03)
    assert found.box.limits["demand"][1] == pytest.approx(0.5, abs=0.03)
    assert found.box.limits["profile"] == {"a", "b"}
    assert found.density[1] > 0.8
    assert found.coverage[0] > 0.75


def test_two_places_need_two_boxes():
    cases = drawn(800, 3)
    fails = ((cases["share"] > 0.8) | (cases["demand"] < 0.15)).to_numpy()
    found = boxes(cases, fails)
    assert len(found) == 2
    assert {name for one in found for name in one.box.limits} == {"share", "demand"}


def test_failures_by_chance_have_no_box():
    """Of 20 draws in which nothing matters, a box is shown in a few: its test is at 95%."""
    wrong = sum(
        bool(boxes(drawn(120, seed), np.random.default_rng(seed + 100).random(120) < 0.3))
        for seed in range(20)
    )
    assert wrong <= 4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.9))
def test_a_box_holds_at_least_what_it_must_and_has_a_better_mean(seed, rate):
    cases = drawn(80, seed)
    fails = np.random.default_rng(seed).random(80) < rate
    box = prim(cases, fails)
    inside = box.contains(cases)
    assert inside.sum() >= 4
    if fails.any():
        assert fails[inside].mean() >= fails.mean()


def test_limits_are_said_in_words():
    box = Box({"share": (0.25, 0.5), "rounds": (-np.inf, 90.0), "profile": frozenset({"b", "a"})})
    assert box.in_words() == "profile a or b, rounds <= 90, share 0.25 to 0.5"
    assert Box().in_words() == "anywhere"


TEXT = """
extends: cost_aware_poq
rounds: 20
search:
  variables: {mechanism.alpha_inference: {low: 0.0, high: 1.0}}
  populations: {boosters: {malicious: {share: 0.4, behaviour: boost}}}
  objectives: [{minimise: bias, under: [honest, boosters]}]
  constraints: [{metric: bias, under: boosters, at_most: 0.67}]
  uncertainties:
    malicious.share: {low: 0.34, high: 1.0}
    rounds: {low: 10, high: 40}
  budget: {designs: 4, generation: 2, replications: 2, cases: 100}
"""


def problem_of(tmp_path, text=TEXT):
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    return load_design(path)


def test_cases_are_laid_over_the_populations_that_have_them_and_played_on_their_own_keys(tmp_path):
    problem = problem_of(tmp_path)
    seen = []

    def play(step):
        seen.append(step)
        shares = [one.malicious.share if one.malicious else 0.0 for one in step.scenarios]
        return [{"bias": np.full(step.last - step.first, share)} for share in shares]

    found = drive(play_cases(problem, {"mechanism.alpha_inference": 0.5}), play)
    (step,) = seen
    assert (step.first, step.last) == (60, 62)
    assert {one.seed for one in step.scenarios} == {problem.scenario.seed + 1}
    honest, attacked = step.scenarios[::2], step.scenarios[1::2]
    assert {one.malicious for one in honest} == {None}
    assert [one.malicious.share for one in attacked] == found.cases["malicious.share"].tolist()
    assert [one.rounds for one in honest] == found.cases["rounds"].tolist()
    assert found.fails.sum() == pytest.approx(50, abs=1)
    (one,) = boxes(found.cases, found.fails)
    assert one.box.in_words().startswith("malicious.share >= 0.6")
    assert one.density[0] == 1.0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("malicious.share:", "malicious.shar:", "has this field"),
        ("malicious.share: {low: 0.34, high: 1.0}", "malicious.share: {low: 0.34, high: 2.0}", "2"),
        ("rounds: {low", "mechanism.alpha_inference: {low", "is a variable as well"),
        ("  constraints: [{metric: bias, under: boosters, at_most: 0.67}]\n", "", "name one"),
        ("malicious.share: {low: 0.34", "verification.stake: {low: 0.0", "verification"),
    ],
)
def test_a_case_that_cannot_be_is_refused(tmp_path, old, new, said):
    assert old in TEXT
    with pytest.raises(ScenarioError) as caught:
        problem_of(tmp_path, TEXT.replace(old, new))
    assert said in str(caught.value)
