"""Pictures and pages of the aggregation rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from poq_abm.figures.rules import bias_by_share, simulated_bias
from poq_abm.mechanism.aggregation import Aggregation

PAGES = Path(__file__).parents[2] / "docs" / "rules"
HEADINGS = ("Formula", "Source", "Parameters", "Breakdown point", "When it fails")
NAMES = [rule.name.lower() for rule in Aggregation]


@pytest.mark.parametrize("rule", NAMES)
def test_every_rule_has_a_page_with_formula_source_and_picture(rule: str) -> None:
    text = (PAGES / f"{rule}.md").read_text()
    assert [heading for heading in HEADINGS if f"**{heading}.**" not in text] == []
    assert f"({rule}.svg)" in text
    assert (PAGES / f"{rule}.svg").is_file()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_the_figure_has_a_line_per_rule_with_units_and_setting() -> None:
    frame = simulated_bias()
    figure = bias_by_share(frame, "median")
    axes = figure.axes[0]
    assert set(frame["rule"]) == set(NAMES)
    assert len(axes.get_lines()) >= len(NAMES)
    assert axes.get_xlabel()
    assert "point" in axes.get_ylabel()


def test_the_mean_is_moved_most() -> None:
    frame = simulated_bias()
    bias = frame[frame["share"] == frame["share"].unique()[2]].set_index("rule")["bias"]
    assert bias["mean"] == pytest.approx(bias["trust_weighted"])
    assert bias["mean"] > bias["trimmed_mean"] > bias["median"] - 0.05
