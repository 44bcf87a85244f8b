"""The shipped profile ``five_evaluators``: its figures, and the fit that made it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.shipped import five_evaluators_fit
from calibration.shipped.five_evaluators import PROVENANCE, main, targets_of_the_paper
from calibration.shipped.five_evaluators_fit import (
    Figure,
    OutputTable,
    figures_of,
    first_draw,
    fit_outputs,
)
from poq_abm.profile import Profile, load_profile

SHIPPED = Path(__file__).parents[3] / "poq_abm" / "profile" / "data" / "five_evaluators"


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("five_evaluators")


@pytest.fixture(scope="module")
def shipped_figures(profile: Profile) -> list[Figure]:
    table = OutputTable(profile.scores.reshape(-1, 5), profile.truth.ravel())
    return list(figures_of(table, targets_of_the_paper()))


def test_shape(profile: Profile) -> None:
    assert profile.scores.shape == (400, 5, 5)
    assert profile.tasks == ("qa", "summarization")
    assert np.isnan(profile.judge).all()
    assert profile.provenance == json.loads(json.dumps(PROVENANCE))


@pytest.mark.parametrize(
    ("what", "within"),
    [("correlation", 0.0035), ("quality", 0.0025), ("closeness", 0.006), (" under ", 0.0091)],
)
def test_the_figures_are_met(shipped_figures: list[Figure], what: str, within: float) -> None:
    misses = [abs(f.value - f.target) for f in shipped_figures if what in f.name]
    assert misses
    assert max(misses) < within


def test_every_figure_is_met_to_a_hundredth(shipped_figures: list[Figure]) -> None:
    assert all(abs(figure.value - figure.target) < 0.01 for figure in shipped_figures)
    assert len(shipped_figures) == 34


def test_derivatives_are_those_of_the_figures() -> None:
    """A small step in a random direction changes each figure by what its derivatives say."""
    targets = targets_of_the_paper()
    table = first_draw(targets, 4)
    step = np.random.default_rng(1).normal(size=table.scores.size + table.truth.size) * 1e-7
    moved = OutputTable(
        table.scores + step[: table.scores.size].reshape(table.scores.shape),
        table.truth + step[table.scores.size :],
    )
    for old, new in zip(figures_of(table, targets), figures_of(moved, targets), strict=True):
        slope = np.append(old.by_score.ravel(), old.by_truth)
        assert new.value - old.value == pytest.approx(float((slope * step).sum()), abs=1e-12), (
            old.name
        )


def test_a_few_steps_come_nearer() -> None:
    targets = targets_of_the_paper()

    def miss(table: OutputTable) -> float:
        return sum((f.weight * (f.value - f.target)) ** 2 for f in figures_of(table, targets))

    assert miss(fit_outputs(targets, 20, steps=3)) < 0.7 * miss(first_draw(targets, 20))


def test_command_writes_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("calibration.shipped.five_evaluators.fit_outputs", lambda targets, records:
                        five_evaluators_fit.fit_outputs(targets, records, steps=0))  # fmt: skip
    assert main([str(tmp_path / "mine")]) == 0
    assert load_profile(tmp_path / "mine").scores.shape == (400, 5, 5)
    assert main([str(tmp_path / "mine")]) == 2
    assert "never overwritten" in capsys.readouterr().err
