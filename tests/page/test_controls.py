from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.page.controls import PageState, scenario_of, start
from poq_abm.page.panel import Panel, read_link, write_link
from poq_abm.page.rounds_page import RoundsPage, controls_of, start_of
from poq_abm.scenario import Scenario, ScenarioError, load, scenario_names
from poq_abm.simulation.playable import check_playable, profile_of

RING = load("collusion_ring", ["sweep={}"])
PAGE = RoundsPage(RING, 5000)
CONTROLS = PAGE.controls


@st.composite
def states(draw: st.DrawFn) -> PageState:
    state = start(PAGE).at(draw(st.integers(0, 5000)))
    for key, control in CONTROLS.items():
        if control.kind == "choice":
            value = draw(st.sampled_from(control.choices))
        elif control.kind == "count":
            value = draw(st.integers(int(control.low), int(control.high)))
        else:
            value = draw(st.floats(control.low, control.high))
        state = state.moved(key, value)
    return state


@given(states())
def test_a_link_says_the_whole_state(state: PageState) -> None:
    panel = Panel.of(PAGE)
    assert read_link(panel, "?" + write_link(panel, state)) == (state, [])


@given(states())
def test_every_state_is_a_scenario_that_says_what_the_controls_say(state: PageState) -> None:
    played = scenario_of(PAGE, state)
    assert start_of(played, controls_of(played))["alpha_F"] == state["alpha_F"]
    assert played.mechanism.aggregation == state["rule"]
    assert played.mechanism.committee_size == state["K"]
    assert played.population.evaluators[2].behaviour["b"] == state["strength_2"]
    assert (played.malicious.share if played.malicious else 0.0) == state["share"]


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_that_ships_has_controls_within_their_own_range(name: str) -> None:
    for treatment in load(name).treatments()[:3]:
        controls = controls_of(treatment.scenario)
        values = start_of(treatment.scenario, controls)
        assert [controls[key].fault(value) for key, value in values.items()] == [None] * len(values)


def test_nothing_moved_is_the_scenario_itself(settings: RoundsPage) -> None:
    assert scenario_of(settings, start(settings)) is settings.scenario


def test_nobody_is_malicious_until_the_share_moves() -> None:
    settings = RoundsPage(load("cost_aware_poq"), 5000)
    still = start(settings).moved("attack", "sabotage")
    assert scenario_of(settings, still).malicious is None
    moved = scenario_of(settings, still.moved("share", 0.4).moved("strength", 2.0))
    assert moved.malicious is not None
    assert moved.malicious.behaviour == {"name": "sabotage", "b": 2.0}


def test_an_attack_keeps_its_own_parameters_when_its_strength_moves() -> None:
    base = load("cost_aware_poq").replace(
        {"malicious": {"share": 0.4, "behaviour": {"name": "intermittent", "p": 0.7}}}
    )
    settings = RoundsPage(base, 100)
    moved = scenario_of(settings, start(settings).moved("strength", 1.5))
    assert moved.malicious is not None
    assert moved.malicious.behaviour == {
        "name": "intermittent", "p": 0.7, "inner": {"name": "boost", "b": 1.5}
    }  # fmt: skip


def test_every_attack_that_is_offered_can_be_played(contested: Scenario) -> None:
    settings = RoundsPage(contested, 100)
    profile = profile_of(contested)
    for attack in settings.controls["attack"].choices:
        check_playable(scenario_of(settings, start(settings).moved("attack", attack)), profile)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("K=99", "K: must lie in [1, 20], got 99"),
        ("K=2.5", "K: must be a whole number, got 2.5"),
        ("alpha_F=nan", "alpha_F: must lie in [0, 2], got nan"),
        ("alpha_F=<b>", "alpha_F: must lie in [0, 2], got <b>"),
        ("rule=medain", "rule: must be one of mean, median"),
        ("rul=median", "rul: no such control; did you mean 'rule'?"),
        ("round=-1", "round: must lie in [0, 300], got -1"),
        ("round=1e3", "round: must lie in [0, 300], got 1e3"),
        ("of=other.12345678", "the link was made of another scenario (other.12345678)"),
        ("x=" + "y" * 5000, "the link has more than 4,000 characters"),
    ],
)
def test_what_a_link_says_wrongly_is_told_and_left_as_it_was(
    settings: RoundsPage, query: str, said: str
) -> None:
    state, problems = read_link(Panel.of(settings), query)
    assert state == start(settings)
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_a_link_of_another_kind_is_told_once(settings: RoundsPage) -> None:
    (said,) = read_link(Panel.of(settings), "a=1&b=2&c=3&d=4&of=other.12345678")[1]
    assert said.endswith("; nothing here is moved by a, b, c and 1 more")


@given(st.text(max_size=200))
def test_no_link_breaks_the_page(text: str) -> None:
    state, _ = read_link(Panel.of(PAGE), text)
    try:
        scenario_of(PAGE, state)
    except ScenarioError:
        pytest.fail("a link led to what no scenario can say")


def test_links_of_other_rounds_or_seeds_are_told_apart(contested: Scenario) -> None:
    panel = Panel.of(RoundsPage(contested, 300))
    link = write_link(panel, panel.start)
    for other in (
        RoundsPage(contested, 299),
        RoundsPage(contested.replace({"seed": 2}), 300),
    ):
        assert "another scenario" in read_link(Panel.of(other), link)[1][0]
