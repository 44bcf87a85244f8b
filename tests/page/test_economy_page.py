from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import poq_abm
from poq_abm.analysis.epochs import over_epochs
from poq_abm.page.economy_page import CHARTS, EconomyPage, epoch_curves
from poq_abm.page.exploring import Exploration, explorable
from poq_abm.page.panel import read_link, write_link
from poq_abm.scenario import load, scenario_names
from poq_abm.simulation.epochs.record import GROUP_COLUMNS

SHORT = ["rounds=1200", "economy.epochs=60", "replications=3"]


@pytest.fixture(scope="module")
def opened() -> Exploration:
    """Free entry: twenty queries an epoch, ten nodes of two hundred at first."""
    return Exploration(explorable(load("entry_exit", SHORT)))


def test_the_page_plays_what_a_run_plays(opened: Exploration) -> None:
    epochs = poq_abm.run(opened.page.scenario).epochs
    theirs = epochs.sort_values(["replication", "epoch"], kind="stable")
    columns = [name for name, *_ in GROUP_COLUMNS]
    found = theirs[columns].to_numpy(np.float64).reshape(opened.play(opened.start).group.shape)
    np.testing.assert_array_equal(opened.play(opened.start).group, found)


def test_nodes_are_told_as_a_run_s_summary_and_figure_tell_them() -> None:
    scenario = explorable(load("entry_exit", [*SHORT, "sweep={}", "economy.payment.pool=200"]))
    page = Exploration(scenario)
    (shown,) = page.shown(page.start)
    results = poq_abm.run(page.page.scenario)
    rows = results.economy_summary()
    rows = rows[(rows["measure"] == "nodes") & (rows["role"] != "network")]
    figures = page.page.figures(shown.played, shown.length)
    nodes = [one.estimate for one in figures if one.what == "nodes present"]
    np.testing.assert_allclose(nodes, rows[["last", "low", "high"]], rtol=1e-12)
    assert 0.0 <= nodes[0][1] < nodes[0][0] < nodes[0][2]
    quality = results.economy_summary().set_index("measure").loc["quality"]
    np.testing.assert_allclose(
        figures[0].estimate, quality[["last", "low", "high"]].to_numpy(float)
    )
    drawn = over_epochs(results.epochs, "nodes", "base")
    places = {owner: place for place, owner in enumerate(shown.played.owners)}
    for curve in epoch_curves(CHARTS[0], shown.played, shown.length, places):
        ours = np.transpose([curve.y, curve.low, curve.high])
        theirs = drawn[drawn["group"] == curve.label][["mean", "low", "high"]]
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_twice_the_pool_pays_twice_for_an_answer_and_feeds_more_nodes(opened: Exploration) -> None:
    played = opened.play(opened.start.moved("pool", 2.0 * opened.start["pool"]))
    before, now = (one.group[:, :, -1] for one in (opened.play(opened.start), played))
    reward, nodes = (next(i for i, (n, *_) in enumerate(GROUP_COLUMNS) if n == name)
                     for name in ("reward", "nodes"))  # fmt: skip
    assert now[:, :, reward] == pytest.approx(2.0 * before[:, :, reward], rel=1e-12)
    assert (now[:, -1, nodes] > before[:, -1, nodes]).all()


def test_a_difference_is_paired_and_nothing_moved_is_none(opened: Exploration) -> None:
    said = opened.page.said(*opened.shown(opened.start))
    assert said.count('<td data-head="against the scenario as written">-</td>') == 2
    (moved,) = opened.shown(opened.start.moved("entry_exit_0_outside", 1.0))
    rows = ElementTree.fromstring(f"<p>{opened.page.said(moved)}</p>")
    cells = [cell.text or "" for cell in rows.iter("td")]
    assert cells[4].startswith("-")  # more nodes share the pool
    assert "[-" in cells[4]


@pytest.mark.parametrize("shown", [0, 1, 60])
def test_every_chart_is_a_picture_after_any_epoch(opened: Exploration, shown: int) -> None:
    drawn = opened.page.charts(*opened.shown(opened.start.moved("demand", 30).at(shown)))
    assert {"nodes", "profit", "pay", "quality"} <= set(drawn)
    for name, text in drawn.items():
        figure = ElementTree.fromstring(text)
        assert figure.get("data-chart") == name
        assert "nan" not in text.lower()
        assert any(one.text == "epoch" for one in figure.iter("text"))


def test_a_link_restores_the_epoch_and_what_was_moved(opened: Exploration) -> None:
    state = opened.start.moved("bond", 25.0).moved("arrivals", "poisson").at(7)
    link = write_link(opened.panel, state)
    assert "epoch=7" in link
    assert read_link(opened.panel, link) == (state, [])
    seen = opened.scenario(state)
    assert (seen.economy.stake.bond, seen.economy.demand.arrivals) == (25.0, "poisson")


def test_controls_are_those_of_fields_that_act() -> None:
    economies = [load(name) for name in scenario_names() if load(name).economy is not None]
    assert len(economies) > 5
    for scenario in economies:
        page = EconomyPage(explorable(scenario))
        for key, control in page.controls.items():
            assert control.fault(page.start[key]) is None
        assert ("kappa" in page.controls) == (page.scenario.economy.payment.scheme == "yuma")
        rules = {str(spec["name"]) for spec in page.scenario.economy.adaptation}
        assert all(any(key.startswith(rule) for key in page.controls) for rule in rules)


def test_a_long_economy_is_shown_for_fewer_epochs_of_as_many_queries() -> None:
    long = load("entry_exit", ["sweep={}", "rounds=2000000", "economy.epochs=1000"])
    page = EconomyPage(long)
    assert 1 < page.length < 1000
    assert page.scenario.rounds == 2000 * page.length
