"""The search for the best response: known optima, honest tests, and nothing lost on the way."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from poq_abm import load
from poq_abm.analysis.audit.best_response import (
    FoundAttack,
    SearchSettings,
    best_response,
    climb,
    favouring_most,
)
from poq_abm.analysis.audit.deviations import deviating, ring_of
from poq_abm.analysis.audit.families import Dimension, Family, family_of
from poq_abm.analysis.audit.gains import places
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.errors import InputError
from poq_abm.experiment.paired import paired
from poq_abm.experiment.search import BudgetSpentError, SearchBudget, Step, drive
from poq_abm.scenario import parse
from poq_abm.simulation.population import build_population

LINES = Family((), "linear_report", (Dimension("level", 0.0, 10.0), Dimension("b", -1.0, 2.0)))
MATRIX = Path(__file__).parents[4] / "shared" / "data" / "summeval_scores.csv"


def climbed(family, gain_of, start=None):
    """Drive a climb with a function of a behaviour."""
    climbing = climb(family, 0, start)
    specs = next(climbing)
    while True:
        try:
            specs = climbing.send([gain_of(spec) for spec in specs])
        except StopIteration as end:
            return end.value


def closeness_of_lines(scores, others):
    """Return the mean closeness of a line of some scores to what others report."""

    def closeness(spec):
        reports = np.clip(spec["a"] + spec["b"] * scores, 0.0, 10.0)
        return float(np.mean(1.0 - np.abs(reports - others) / 10.0))

    return closeness


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_of_jointly_normal_scores_the_best_line_is_the_regression(rho):
    """Slope rho sd_c / sd_s, closeness 1 - sqrt(2 / pi) sd_c sqrt(1 - rho^2) / 10.

    Tolerances: the slope of the least absolute deviations has a standard error of
    sqrt(pi / 2) sd_c sqrt(1 - rho^2) / (sd_s sqrt(n)), below .006 here, and the last box of the
    climb is .03 wide in each of two directions, with 64 points; the loss is flat in between.
    """
    count, sd_s, sd_c = 40_000, 1.2, 0.9
    s, z = np.random.default_rng(1).standard_normal((2, count))
    others = 5.5 + sd_c * (rho * s + math.sqrt(1.0 - rho**2) * z)
    spec, best = climbed(LINES, closeness_of_lines(5.0 + sd_s * s, others))
    assert spec["b"] == pytest.approx(rho * sd_c / sd_s, abs=0.04)
    assert spec["a"] + spec["b"] * 5.0 == pytest.approx(5.5, abs=0.05)
    expected = 1.0 - math.sqrt(2.0 / math.pi) * sd_c * math.sqrt(1.0 - rho**2) / 10.0
    assert best == pytest.approx(expected, abs=4 * 0.9 / 10 / math.sqrt(count))


@pytest.mark.skipif(not MATRIX.exists(), reason="the scores of SummEval are not in the repository")
def test_on_the_real_matrix_a_line_beats_the_honest_report():
    """GPT-4 against the mean of the other seven: 4.45 + .30 s at .9273, honest .764."""
    table = pd.read_csv(MATRIX)
    judges = [name for name in table if name.startswith(("sts_", "judge_"))] + ["crowd"]
    others = table[[name for name in judges if name != "judge_gpt4"]].to_numpy().mean(axis=1)
    closeness = closeness_of_lines(table["judge_gpt4"].to_numpy(), others)
    assert closeness({"a": 4.45, "b": 0.3}) == pytest.approx(0.9273, abs=5e-5)
    assert closeness({"a": 0.0, "b": 1.0}) == pytest.approx(0.764, abs=5e-4)
    spec, best = climbed(LINES, closeness)
    assert best == pytest.approx(0.9273, abs=2e-4)
    assert (spec["a"], spec["b"]) == (pytest.approx(4.45, abs=0.3), pytest.approx(0.3, abs=0.04))


def test_a_climb_drops_what_adds_nothing_and_prefers_what_is_declared_where_better():
    wide = Family(
        ({"name": "copycat"},),
        "linear_report",
        (
            *LINES.dimensions,
            Dimension("h", -10.0, 10.0),
            Dimension("group", choices=("x", "y")),
        ),
    )
    spec, _ = climbed(wide, lambda spec: 1.0 - abs(spec.get("b", 5.0) - 0.5))
    assert spec.keys() == {"name", "a", "b"}
    assert climbed(wide, lambda spec: float(spec["name"] == "copycat")) == (
        {"name": "copycat"},
        1.0,
    )
    with pytest.raises(InputError, match="had a job"):
        climbed(wide, lambda spec: math.nan)


def test_a_climb_sees_to_what_is_near_its_start_and_to_what_is_elsewhere():
    """A needle by the start, which points over the whole family miss, and a hill far from both."""
    start = {"name": "linear_report", "a": 6.2, "b": 0.3}

    def needle(spec):
        level = spec["a"] + 5.0 * spec["b"]
        return math.exp(-(((level - 7.6) / 0.05) ** 2) - ((spec["b"] - 0.32) / 0.01) ** 2)

    def hill(spec):
        return 1.0 - abs(spec["a"] + 5.0 * spec["b"] - 2.0) / 10.0 - abs(spec["b"] - 1.5)

    def both(spec):
        return max(needle(spec), 0.4 * hill(spec))

    assert climbed(LINES, both)[1] == pytest.approx(0.4, abs=0.01)
    assert climbed(LINES, both, start)[1] > 0.9
    assert climbed(LINES, hill, start)[1] > 0.98
    assert climbed(LINES, hill, {"name": "boost"}) == climbed(LINES, hill)


# ------------------------------------------------------------------------------- in a simulation


def looked_for(scenario, play=None, *, group="ce_minilm", budget=None, **settings):
    """Drive the search of the first node of a group."""
    runner = VariantRunner.of(scenario)
    who = ring_of(runner.scenario, "evaluator", group, None)
    search = best_response(runner, who, SearchSettings(**{"tested": 4, **settings}))
    return drive(search, play or runner.player, budget)


@pytest.fixture
def short(monkeypatch):
    """Climbs of three batches, not eight."""
    monkeypatch.setattr("poq_abm.analysis.audit.best_response._BATCHES", 3)


@pytest.fixture(scope="module")
def published():
    return load("cost_aware_poq", ["rounds=300"])


def test_a_committee_of_one_leaves_nothing_to_find(published, short):
    found = looked_for(published.replace({"mechanism.committee_size": 1}))
    assert (found.ended, found.found, found.gains) == ("settled", [], False)
    assert found.last[1][3:6] == (0.0, 0.0, 0.0)
    assert "nothing found gains" in found.sentence


def test_what_is_found_gains_on_keys_of_its_own_and_can_be_played(published, short):
    found = looked_for(published, epsilon=0.01)
    assert found.gains
    assert found.gain.low > 0.01
    again = parse(found.as_scenario(), origin="attack.yaml")
    spec = found.deviation.behaviour
    (used,) = (line for line in found.as_scenario().splitlines() if "--set" in line)
    other = load("learned_reports", ["sweep={}", used.partition("--set '")[2].rstrip("'")])
    assert dict(other.malicious.behaviour) == spec
    assert again.population == deviating(published, found.deviation).population
    assert spec in [dict(group.behaviour) for group in again.population.evaluators]


def test_in_a_simulation_the_best_line_is_the_regression_too(monkeypatch):
    """Two evaluators of truth and noise, each compared with the other: slope rho sd_c / sd_s.

    Tolerances: on the 1,600 rounds of the search the slope of the least absolute deviations has a
    standard error of .03; points of the last of five boxes lie .05 of slope apart.
    """
    monkeypatch.setattr("poq_abm.analysis.audit.best_response._BATCHES", 5)
    made = {"models": 1, "evaluators": 2, "truth_sd": 1.0, "noise_sd": 1.0, "records": 3000}
    data = {
        "profile": "synthetic",
        "synthetic": made,
        "rounds": 800,
        "mechanism": {"committee_size": 2, "reference": "leave_one_out"},
        "population": {
            "inference": [{"model": "model_1"}],
            "evaluators": [{"model": "evaluator_1"}, {"model": "evaluator_2"}],
        },
    }
    scenario = load(data)
    s, others = VariantRunner.of(scenario).plan.profile(0).scores[:, 0, :].T
    slope = np.cov(s, others)[0, 1] / s.var(ddof=1)
    found = looked_for(scenario, group="evaluator_1", epsilon=0.001, tested=12)
    assert found.gains
    assert found.deviation.behaviour["b"] == pytest.approx(slope, abs=0.15)
    level = found.deviation.behaviour["a"] + found.deviation.behaviour["b"] * s.mean()
    assert level == pytest.approx(others.mean(), abs=0.3)


class Mock:
    """Answers for a simulation in which a behaviour gains by luck on the first keys alone."""

    def __init__(self, scenario, raising=None, lucky_until=2):
        self.steps, self.raising, self.lucky_until = [], raising, lucky_until
        self.nodes = sum(g.count for g in (*scenario.population.inference,
                                           *scenario.population.evaluators))  # fmt: skip

    def __call__(self, step):
        if len(self.steps) == self.raising:
            raise KeyboardInterrupt
        self.steps.append(step)
        return [self.tables(scenario, step) for scenario in step.scenarios]

    def tables(self, scenario, step):
        names = [group.behaviour["name"] for group in scenario.population.evaluators]
        lucky = 0.5 * ("boost" in names)
        rows = range(step.first, step.last)
        pay = [
            1.0 + (lucky if r < self.lucky_until else -0.01 * (lucky > 0.0) * (r % 3)) for r in rows
        ]
        column = np.repeat(pay, self.nodes)
        nodes = pa.table({"reward_total": column, "jobs": np.ones(column.size)})
        zeros = np.zeros(len(pay))
        return {"nodes": nodes, "replications": pa.table({"consensus_mean": zeros, "bias": zeros})}


def test_luck_on_the_keys_of_the_search_does_not_pass_the_test(published):
    mock = Mock(published)
    found = looked_for(published, mock)
    assert found.last[0]["name"] == "boost"
    assert (found.gains, found.found, found.ended) == (False, [], "settled")
    keys = [(step.first, step.last) for step in mock.steps]
    assert keys == sorted(keys)
    assert {first for first, last in keys if last <= 2} == {0}
    assert keys[-1][0] >= 2  # fresh ones


def test_a_long_replication_tells_candidates_apart_by_itself(published):
    short, long = Mock(published), Mock(published)
    looked_for(published, short)
    looked_for(published.replace({"rounds": 20_000}), long)
    assert (short.steps[1].last, long.steps[1].last) == (2, 1)


@pytest.mark.parametrize("raising", [0, 3])
def test_an_interrupt_ends_a_search(published, raising):
    found = looked_for(published, Mock(published, raising))
    assert (found.ended, found.gains) == ("interrupted", False)
    assert "nothing was tested, the search was interrupted" in found.sentence
    assert ("the best of 135 so far is to play boost (+0.5000?)" in found.sentence) == bool(raising)


def test_an_interrupt_keeps_what_was_found(published):
    mock = Mock(published, raising=15, lucky_until=math.inf)
    found = looked_for(published, mock)
    assert found.ended == "interrupted"
    assert found.found[0][0]["name"] == "boost"
    assert found.gain.difference == pytest.approx(0.5)
    assert "who plays boost gets +0.5000" in found.sentence


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tested": 1}, "two or more are needed"),
        ({"epsilon": 0.0}, "epsilon must be above 0"),
        ({"epsilon": math.nan}, "epsilon must be above 0"),
    ],
)
def test_settings_that_decide_nothing_are_refused(published, settings, message):
    with pytest.raises(InputError, match=message):
        looked_for(published, Mock(published), **settings)


def test_a_budget_ends_a_search(published):
    found = looked_for(published, Mock(published), budget=SearchBudget(rounds=100_000))
    assert found.ended == "spent"
    assert issubclass(BudgetSpentError, Exception)


# ------------------------------------------------------------------------------- rings and families


def test_a_ring_counts_the_pay_of_whom_it_favours(published):
    ring = ring_of(published, "evaluator", "all", 0.7, favour="phi3_mini_4k")
    population = build_population(published, VariantRunner.of(published).plan.profile(0))
    assert (ring.size, ring.roles, ring.groups) == (
        3, "evaluator + inference", "all + phi3_mini_4k")  # fmt: skip
    assert sorted(places(population, ring).tolist())[0] == 4  # the node it favours
    family = family_of(published, ring)
    assert next(one for one in family.dimensions if one.name == "group").choices == (
        "phi3_mini_4k",
    )
    assert any(spec["name"] == "collude" for spec in family.named)
    with pytest.raises(InputError, match="phi3_mini_4k"):
        ring_of(published, "evaluator", "all", 0.7, favour="phi3")


def test_a_ring_favours_whom_it_gains_most_by(published):
    """As many tables as rings in their two ways: only a `targeted` for the third group pays."""
    names = ("llama_3_2_3b", "gemma_2_2b_it", "phi3_mini_4k")
    rings = [ring_of(published, "evaluator", "all", 0.7, favour=name) for name in names]
    runner = VariantRunner.of(published)
    searching = favouring_most(runner, rings, SearchSettings())
    step = next(searching)
    assert (step.first, step.last, len(step.scenarios)) == (0, 2, 7)
    tables = [dict(one) for one in runner.player(Step([published] * 7, 0, 2))]
    nodes = tables[6]["nodes"]
    more = pa.array(nodes.column("reward_total").to_numpy() + 1.0)
    at = nodes.column_names.index("reward_total")
    tables[6]["nodes"] = nodes.set_column(at, "reward_total", more)
    with pytest.raises(StopIteration) as end:
        searching.send(tables)
    assert end.value.value is rings[2]


def test_what_an_inference_node_found_is_told_as_others_take_it_over(published):
    one = ring_of(published, "inference", "phi3_mini_4k", None)
    less = {"name": "misreport_cost", "factor": 0.0}
    found = FoundAttack(replace(one, behaviour=less), SearchSettings(), published)
    (used,) = (line for line in found.as_scenario().splitlines() if "--set" in line)
    other = load("cost_aware_poq", [used.partition("--set '")[2].rstrip("'")])
    assert dict(other.population.inference[0].behaviour) == less


def test_whoever_does_as_before_leaves_the_scenario_as_it_is(published):
    assert deviating(published, ring_of(published, "evaluator", "all", 1.0)) is published


def test_whom_a_ring_favours_may_do_otherwise(published):
    """One that answers nothing is covered by the ring: both changes count, and both are told."""
    ring = ring_of(
        published, "evaluator", "all", 0.7, favour="phi3_mini_4k", answering={"name": "freeload"}
    )
    line = {"name": "linear_report", "a": 10.0, "b": 0.0}
    played = deviating(published, replace(ring, behaviour=line)).population
    assert [dict(g.behaviour)["name"] for g in played.inference].count("freeload") == 1
    assert [dict(g.behaviour)["name"] for g in played.evaluators].count("linear_report") == 2
    gain = paired(np.array([1.0, 1.1, 0.9]), np.array([2.0, 2.1, 1.9]))
    found = FoundAttack(
        replace(ring, behaviour=line), SearchSettings(), published, [(line, gain)], gain,
        last=(line, gain), ended="undecided",
    )  # fmt: skip
    assert "who report 10 + 0 s, as phi3_mini_4k plays freeload, get" in found.sentence


def test_a_ring_may_take_members_out_of_another():
    """Two of a colluding three join a ring of others: the third goes on as they had agreed."""
    published = load("collusion_ring", ["sweep={}", "rounds=300"])
    ring = ring_of(published, "evaluator", "all", 0.3)
    whole = next(g for g in published.population.evaluators if g.name == "ring")
    lone = replace(ring, members=(8, 9), behaviour={"name": "boost"})
    left = [g for g in deviating(published, lone).population.evaluators
            if g.behaviour == whole.behaviour]  # fmt: skip
    assert [group.count for group in left] == [1]
    runner = VariantRunner.of(published)
    played = runner.play({"base": published, "left": deviating(published, lone)}, 0, 1)
    assert (played["base"].jobs[:, -3:] == played["left"].jobs[:, -3:]).all()
    assert played["base"].consensus != played["left"].consensus
