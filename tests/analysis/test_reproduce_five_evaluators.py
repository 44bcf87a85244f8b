"""The figures of arXiv 2603.04028, as the reproduction holds them."""

from __future__ import annotations

import pytest

from poq_abm.analysis.reproduce.checks import Check
from poq_abm.analysis.reproduce.five_evaluators import five_evaluator_checks
from poq_abm.profile import five_evaluators_figures as figures


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    return five_evaluator_checks(4, 1, 1)


def test_every_figure_is_there_and_as_documented(checks: list[Check]) -> None:
    assert [check.item for check in checks if not check.as_documented] == []
    quantities = [check.quantity for check in checks]
    assert quantities.count("inference reward") == quantities.count("the figure's blend") == 32
    assert quantities.count("correlation with truth") == 8 + 3


def test_both_papers_stand_side_by_side(checks: list[Check]) -> None:
    found = {
        (check.figure, check.item): check.observed
        for check in checks
        if check.quantity == "correlation with truth"
    }
    assert found["2512.16317", "ce_minilm"] == pytest.approx(-0.24, abs=0.005)
    assert found["2603.04028", "ce_minilm"] == pytest.approx(0.39, abs=0.005)


def test_the_blend_is_an_affine_image_of_the_consensus() -> None:
    """The slope and intercept that were inferred miss no printed blend by more than 0.0035."""
    slope, intercept = figures.BLEND
    for attack, rows in figures.ATTACK_REWARDS.items():
        for row, blends in zip(rows, figures.BLEND_REWARDS[attack], strict=True):
            for reward, blend in zip(row, blends, strict=True):
                assert slope * reward + intercept == pytest.approx(blend, abs=0.0035)
