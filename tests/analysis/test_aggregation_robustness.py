from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from poq_abm.analysis.aggregation_robustness import (
    SHARES,
    bias_by_share,
    draw_pages,
    simulated_bias,
)
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.registry import shipped

PAGES = Path(__file__).parents[2] / "docs" / "rules"
RULES = list(shipped(AGGREGATION))

# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulated_bias(rounds=2_000)


def test_the_table_has_one_row_per_rule_and_share(table: pd.DataFrame) -> None:
    assert list(table.columns) == ["rule", "share", "bias", "low", "high"]
    assert list(zip(table["rule"], table["share"], strict=True)) == [
        (rule, share) for rule in RULES for share in SHARES
    ]
    assert (table["low"] < table["bias"]).all()
    assert (table["bias"] < table["high"]).all()


def test_without_noise_the_bias_is_what_the_definitions_say() -> None:
    """K = 10, four boosters report 8 for 5: the mean moves by 0.4 x 3, a middle score not."""
    table = simulated_bias(sd=0.0, rounds=2, shares=[0.4]).set_index("rule")["bias"]
    assert table["mean"] == pytest.approx(1.2)
    assert table["trimmed_mean"] == pytest.approx(1.0)  # two of the remaining six
    assert table["winsorized_mean"] == pytest.approx(1.2)
    assert table["median"] == table["huber"] == table["mad_filter"] == 0.0
    assert table["stake_median"] == table["trust_weighted_median"] == 0.0


def test_at_a_share_of_a_fifth_the_mean_moves_further_than_the_robust_rules(
    table: pd.DataFrame,
) -> None:
    bias = table[table["share"] == 0.2].set_index("rule")["bias"]
    assert bias["mean"] == pytest.approx(bias["trust_weighted"])
    assert bias["mean"] > bias["trimmed_mean"] > bias["median"]


def test_the_draws_are_keyed(table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(simulated_bias(rounds=2_000), table)
    fewer = simulated_bias(rounds=2_000, shares=[0.3])
    among_all = table[table["share"] == 0.3].reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer, among_all)
    assert not np.array_equal(simulated_bias(rounds=2_000, seed=2)["bias"], table["bias"])


def test_a_figure_has_one_line_per_rule(table: pd.DataFrame) -> None:
    figure = bias_by_share(table)
    (axes,) = figure.axes
    assert [bar.get_label() for bar in axes.containers] == RULES
    colours = {bar.lines[0].get_color() for bar in axes.containers}
    assert len(colours) == len(RULES)
    for rule, bar in zip(RULES, axes.containers, strict=True):
        expected = table.loc[table["rule"] == rule, "bias"].to_numpy()
        assert bar.lines[0].get_ydata() == pytest.approx(expected)


def test_a_figure_names_units_and_sample_size(table: pd.DataFrame) -> None:
    figure = bias_by_share(table)
    (axes,) = figure.axes
    assert "points of 10" in axes.get_ylabel()
    assert "share" in axes.get_xlabel()
    assert "n = 2,000" in axes.get_title()
    assert figure.get_suptitle()


def test_a_highlighted_rule_alone_has_a_colour(table: pd.DataFrame) -> None:
    (axes,) = bias_by_share(table, highlight="huber").axes
    coloured = [bar.get_label() for bar in axes.containers if bar.lines[0].get_color() != "0.75"]
    assert coloured == ["huber"]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["huber", "other rules"]


def test_rows_in_another_order_and_without_a_caption_draw_the_same_lines(
    table: pd.DataFrame,
) -> None:
    shuffled = table.sort_values("bias")
    shuffled.attrs = {}
    (axes,) = bias_by_share(shuffled).axes
    assert axes.containers[0].lines[0].get_xdata() == pytest.approx(SHARES)


def test_an_unknown_highlight_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no rule 'hubert'"):
        bias_by_share(table, highlight="hubert")


def test_the_same_table_gives_the_same_bytes(table: pd.DataFrame, tmp_path: Path) -> None:
    some = table[table["rule"].isin(["mean", "median"])]
    first, again = draw_pages(tmp_path / "first", some), draw_pages(tmp_path / "again", some)
    assert [path.name for path in first] == ["mean.svg", "median.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_drawing_is_imported_only_when_something_is_drawn() -> None:
    code = (
        "import sys, poq_abm.analysis.aggregation_robustness\n"
        "sys.exit(any(name in sys.modules for name in ('seaborn', 'matplotlib')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_page_and_a_picture(rule: str) -> None:
    text = (PAGES / f"{rule}.md").read_text()
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert {"Formula", "Source", "Parameter", "Breakdown point", "When it fails"} <= set(sections)
    assert f"({rule}.svg)" in text
    assert (PAGES / f"{rule}.svg").read_text().startswith("<?xml")
    assert f"]({rule}.md)" in (PAGES / "README.md").read_text()


@pytest.mark.parametrize("rule", RULES)
def test_every_page_says_what_the_declaration_says(rule: str) -> None:
    text = (PAGES / f"{rule}.md").read_text()
    for name, parameter in shipped(AGGREGATION)[rule].parameters.items():
        assert f"`{name}`" in text
        assert f"default {parameter.default}" in text


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
