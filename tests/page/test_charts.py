from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.page.charts import PALETTE, charts, line_chart, ticks
from poq_abm.page.exploring import Exploration
from poq_abm.page.samples import Curve
from poq_abm.page.views import ClassRow, reward_table, round_table


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_within_their_range_and_are_few(low: float, span: float) -> None:
    found = ticks(low, low + span)
    slack = 1e-6 * max(1.0, abs(low), span)
    assert 1 <= len(found) <= 7
    assert all(low - slack <= tick <= low + span + slack for tick in found)


@pytest.mark.parametrize("shown", [0, 1, 7, 300])
def test_every_chart_is_a_picture_at_any_round(exploration: Exploration, shown: int) -> None:
    state = exploration.start.moved("rule", "median").at(shown)
    for name, text in charts(*exploration.shown(state)).items():
        figure = ElementTree.fromstring(text)
        assert figure.get("data-chart") == name
        assert "nan" not in text.lower().replace("nance", "")


def test_curves_move_with_a_coefficient_and_axes_stay_while_rounds_are_played(
    exploration: Exploration,
) -> None:
    def axis(text: str) -> list[str | None]:
        return [t.text for t in ElementTree.fromstring(text).iter("text")]

    def paths(text: str) -> list[str | None]:
        return [p.get("d") for p in ElementTree.fromstring(text).iter("path")
                if p.get("class") == "curve"]  # fmt: skip

    moved = exploration.start.moved("alpha_F", 0.5)
    early, late, written = (
        charts(*exploration.shown(state))["inference"]
        for state in (moved.at(100), moved.at(300), exploration.start)
    )
    assert axis(early) == axis(late)
    assert paths(early) != paths(late)
    assert paths(late) != paths(written)


def test_names_cannot_smuggle_markup_into_the_page() -> None:
    nasty = '<script>alert("x")</script>'
    x = np.array([0.0, 1.0])
    chart = line_chart("a", nasty, nasty, [Curve(nasty, 0, x, x, x, x)], 1, (0.0, 1.0))
    table = reward_table([ClassRow(nasty, nasty, 1, (0.0, 0.0, 0.0), None)])
    assert "<script" not in chart + table


def test_the_latest_round_names_who_sat_in_it(exploration: Exploration) -> None:
    played = exploration.play(exploration.start)
    table = ElementTree.fromstring(round_table(played, 300))
    cells = [cell.text for row in table.iter("tr") for cell in list(row)[1:2]][2:]
    assert [int(str(cell).split(",")[0]) for cell in cells] == played.trace.committee[299].tolist()


def test_colours_are_those_of_the_other_figures() -> None:
    seaborn = pytest.importorskip("seaborn")
    assert set(PALETTE) <= set(seaborn.color_palette("colorblind", 10).as_hex())
