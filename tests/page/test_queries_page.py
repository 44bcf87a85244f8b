from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

import poq_abm
from poq_abm.page.exploring import Exploration, explorable
from poq_abm.page.panel import read_link, write_link
from poq_abm.page.queries_page import QueriesPage
from poq_abm.scenario import load, scenario_names

CHARTS = ("vulnerability", "delay", "cost", "quality")


@pytest.fixture(scope="module")
def opened() -> Exploration:
    """Ten protocols on the same queries."""
    return Exploration(explorable(load("verification_trilemma", ["rounds=200", "replications=3"])))


def test_the_page_plays_what_a_run_plays(opened: Exploration) -> None:
    queries = poq_abm.run(opened.page.scenario).queries
    for name, rows in opened.play(opened.start).by_protocol.items():
        theirs = queries[queries["treatment"].astype(str) == f"protocol={name}"]
        for measure in ("dishonest_stands", "economic_p50_s", "total_usd"):
            assert rows[measure].tolist() == theirs[measure].tolist()


def test_a_sweep_of_protocols_answers_its_question_side_by_side(opened: Exploration) -> None:
    drawn = opened.page.charts(*opened.shown(opened.start))
    assert tuple(drawn) == CHARTS
    for name, text in drawn.items():
        figure = ElementTree.fromstring(text)
        assert figure.get("data-chart") == name
        assert "nan" not in text.lower()
        said = {one.text for one in figure.iter("text")}
        assert {"centralised", "none", "poq+otr"} <= said
    assert "before" not in drawn["cost"]


def test_a_moved_control_keeps_what_was_written_in_sight(opened: Exploration) -> None:
    (shown,) = opened.shown(opened.start.moved("rational", 0.0))
    assert opened.page.charts(shown)["vulnerability"].count('"before"') == 10
    rows = (
        one.by_protocol["none"]["dishonest_stands"].mean() for one in (shown.written, shown.played)
    )
    before, now = rows
    assert now < 0.2 < before
    assert "-0." in opened.page.said(shown)


def test_a_link_restores_what_was_moved_and_knows_no_step(opened: Exploration) -> None:
    state = opened.start.moved("load", 0.5)
    link = write_link(opened.panel, state)
    assert "query=" not in link
    assert read_link(opened.panel, link) == (state, [])
    seen = opened.scenario(state)
    assert seen.verification.demand.load == 0.5
    assert len(seen.treatments()) == 10


def test_one_protocol_has_sliders_of_its_own_figures() -> None:
    for name in scenario_names():
        scenario = load(name)
        if scenario.verification is None:
            continue
        page = QueriesPage(explorable(scenario))
        for key, control in page.controls.items():
            assert control.fault(page.start[key]) is None
        protocols = {t.scenario.verification.protocol for t in explorable(scenario).treatments()}
        own = [key for key in page.controls if key.partition("_")[0] in protocols]
        assert bool(own) == ("otr" in protocols and len(protocols) < 4)
