"""Posteriors by rejection: what is known exactly, ridges, and the table that a sweep reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poq_abm.analysis.reproduce.cost_aware import _rewards
from poq_abm.analysis.reproduce.posterior import (
    Posterior,
    Unknown,
    UnknownConstants,
    identified,
    posterior,
    write_posterior,
)
from poq_abm.errors import InputError
from poq_abm.profile.published_figures import ASSUMED_ALPHA, ASSUMED_BETA, INFERENCE
from poq_abm.scenario import load
from tests.conftest import Poq

COST = np.array([[printed.cost for printed in INFERENCE.values()]])
QUALITY = np.array(
    [[printed.reward + ASSUMED_BETA * printed.cost for printed in INFERENCE.values()]]
)
REWARDS = (QUALITY - ASSUMED_BETA * COST)[0]
PRIORS = (Unknown("a.alpha", 0.0, 2.0), Unknown("a.beta", 0.0, 1.0))
OPEN = (*PRIORS, Unknown("level, x", 0.5, 1.5), Unknown("tilt, x", -0.3, 0.3))


def ask(unknowns: tuple[Unknown, ...], draws: int = 200_000) -> Posterior:
    return posterior(
        [UnknownConstants(unknowns, REWARDS, 0.0005, _rewards(QUALITY, COST))], draws, 100, 1
    )


def test_known_quality_gives_back_the_coefficients() -> None:
    told = identified(ask(PRIORS)).set_index("constant")
    assert told.loc["a.alpha", "mean"] == pytest.approx(ASSUMED_ALPHA, abs=0.02)
    assert told.loc["a.beta", "mean"] == pytest.approx(ASSUMED_BETA, abs=0.02)
    assert (told["narrowed"] > 0.9).all()


def test_open_quality_leaves_two_ridges() -> None:
    found = ask(OPEN)
    told = identified(found).set_index("constant")
    assert told.loc["a.alpha", ["moves_with"]].tolist() == ["level, x"]
    assert told.loc["a.alpha", "correlation"] < -0.9
    assert told.loc["a.beta", "moves_with"] == "tilt, x"
    assert told.loc["a.beta", "correlation"] > 0.95
    assert told.loc[["level, x", "tilt, x"], "narrowed"].max() < 0.3
    product = found.sample["a.alpha"] * found.sample["level, x"]
    assert product.std() < 0.05 < found.sample["a.alpha"].std()  # this is what the figures fix


def test_more_draws_come_nearer_and_a_seed_gives_the_same() -> None:
    few, many = ask(PRIORS, 20_000), ask(PRIORS, 250_000)
    assert many.distance < few.distance
    assert ask(PRIORS, 20_000).sample.equals(few.sample)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(InputError, match="2 <= keep <= draws is needed, got 100 and 50"):
        ask(PRIORS, 50)


def test_a_table_has_its_provenance_and_only_fields(tmp_path: Path) -> None:
    file = tmp_path / "found.csv"
    write_posterior(ask(OPEN, 1000), file, "cost-aware")
    lines = file.read_text().splitlines()
    assert lines[0].startswith("# poq reproduce cost-aware: rejection ABC, 100 of 1,000 draws")
    assert next(line for line in lines if not line.startswith("#")) == "a.alpha,a.beta"
    with pytest.raises(InputError, match="exists; a posterior is never overwritten"):
        write_posterior(ask(OPEN, 1000), file, "cost-aware")
    with pytest.raises(InputError, match="cannot write"):
        write_posterior(ask(OPEN, 1000), tmp_path / "nowhere" / "a.csv", "cost-aware")


def test_the_verb_writes_what_a_sweep_plays(
    poq: Poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["reproduce", "cost-aware", "--posterior", "found.csv", "--replications", "8"]
    told = poq(*asked, "--draws", "20000", "--keep", "5")
    assert told.code == 0
    assert "5 of 20,000 draws kept" in told.out
    assert poq(*asked).code == 2
    scenario = load("cost_aware_poq", ["sweep.from=found.csv"])
    assert len(scenario.treatments()) == 5
    assert list(scenario.treatments()[0].settings) == [
        f"mechanism.{name}_{role}"
        for role in ("inference", "evaluator")
        for name in ("alpha", "beta")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [["robust", "--posterior", "x.csv"], ["cost-aware", "--keep", "5"],
     ["cost-aware", "--open-quality"]],
)  # fmt: skip
def test_options_that_do_nothing_are_refused(poq: Poq, asked: list[str]) -> None:
    told = poq("reproduce", *asked)
    assert told.code == 2
    assert "does nothing" in told.err
