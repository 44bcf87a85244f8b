"""A log without a truth: rounds are played, and what needs a truth is missing or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from importing_support import import_parts

from calibration.profile.smoothing import fit_task
from poq_abm.analysis.composite import composite_table
from poq_abm.analysis.evaluator_correlation import (
    correlation_table,
    evaluator_correlation_bars,
    evaluator_correlations,
)
from poq_abm.analysis.pay_and_accuracy import pay_on_profile
from poq_abm.analysis.quality_latency import (
    quality_against_cost,
    quality_against_latency,
    quality_latency_points,
)
from poq_abm.analysis.variance import variance_shares
from poq_abm.errors import InputError
from poq_abm.experiment.running import run
from poq_abm.page.exploring import Exploration
from poq_abm.page.views import agreement, agreement_line
from poq_abm.profile import Profile, read_profile
from poq_abm.scenario import Scenario
from poq_abm.simulation.playable import check_playable
from tests.conftest import Poq

RECORDS, MODELS = 24, ("ada", "bob")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of two models, two evaluators and no truth."""
    room, draws = tmp_path_factory.mktemp("bare"), np.random.default_rng(7)
    rows = [
        {"prompt": f"p{i}", "system": model, "cosine": round(draws.uniform(0, 1), 3),
         "marks": int(draws.integers(0, 101))}
        for i in range(RECORDS) for model in MODELS
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(room / "scores.csv", index=False)
    said: list[str] = []
    roles = {"record": "prompt", "model": "system", "evaluators": ["cosine", "marks"]}
    made = import_parts(room / "scores.csv", out=room / "mine", report=said.append, **roles)
    assert said[0] == "The truth is not known: what needs it is missing from every result."
    return made


@pytest.fixture(scope="module")
def profile(folder: Path) -> Profile:
    return read_profile(folder)


def scenario(folder: Path, **changes: Any) -> Scenario:
    people = {
        "inference": [{"model": model} for model in MODELS],
        "evaluators": [{"model": "cosine", "count": 2}, {"model": "marks", "count": 2}],
    }
    mechanism = {"committee_size": 3, **changes.pop("mechanism", {})}
    usual = {"profile": str(folder), "population": people, "mechanism": mechanism}
    return Scenario.model_validate({**usual, "rounds": 300, "replications": 3, **changes})


def test_the_profile_says_that_it_knows_none(profile: Profile, folder: Path) -> None:
    assert not profile.knows_truth
    assert np.isnan(profile.truth).all()
    provenance = json.loads((folder / "profile.json").read_text())["provenance"]
    assert "The truth is not known" in provenance["caveats"][-1]
    assert {row["against"] for row in provenance["findings"]["correlations"]} == {"judge"}


def test_rounds_are_played_and_pay_the_same_on_both_engines(folder: Path) -> None:
    compiled = run(scenario(folder), trace=True)
    agents = run(scenario(folder), engine="agents", trace=True)
    for table in ("nodes", "replications", "rounds"):
        pd.testing.assert_frame_equal(getattr(compiled, table), getattr(agents, table))
    assert compiled.nodes["reward_mean"].notna().all()
    assert compiled.rounds["truth"].isna().all()
    assert compiled.nodes["truth_mean"].isna().all()
    assert quality_against_cost(compiled.nodes)["truth"].isna().all()
    measures = compiled.replications
    unknown = ["truth_mean", "correlation", "mean_absolute_error", "bias", "spearman"]
    assert measures[unknown].isna().all(axis=None)
    assert measures[["consensus_mean", "inference_reward_mean"]].notna().all(axis=None)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"mechanism": {"evaluator_reward": "gold"}}, "mechanism.evaluator_reward"),
        (
            {"mechanism": {"aggregation": "trust_weighted", "trust": {"update": "gold"}}},
            "mechanism.trust.update",
        ),
        (
            {"economy": {"epochs": 3, "stake": {"bond": 10.0, "slashing": {"gold": 0.5}}}},
            "economy.stake.slashing.gold",
        ),
    ],
)
def test_rules_that_look_at_the_truth_are_refused(
    folder: Path, profile: Profile, changes: dict[str, Any], path: str
) -> None:
    with pytest.raises(InputError, match=f"{path}: needs the truth of planted records, and"):
        check_playable(scenario(folder, **changes), profile)


def test_tables_and_figures_leave_out_what_needs_it(profile: Profile) -> None:
    assert set(correlation_table(profile, resamples=20)["against"]) == {"judge"}
    assert set(variance_shares(profile, resamples=20)["quantity"]) == {"judge", *profile.evaluators}
    qualities = quality_against_latency(profile, resamples=20)
    assert qualities["consensus"].notna().all()
    assert qualities["truth_per_second"].isna().all()
    with pytest.raises(InputError, match="neither truth nor judge is known"):
        quality_latency_points(qualities)
    with pytest.raises(InputError, match="neither truth nor judge is known"):
        evaluator_correlation_bars(evaluator_correlations(profile, resamples=20))
    for table in (composite_table, pay_on_profile):
        with pytest.raises(InputError, match="knows no truth"):
            table(profile)


def test_the_page_says_that_nobody_knows(folder: Path) -> None:
    opened = Exploration(scenario(folder))
    assert "Nobody knows" in agreement_line(agreement(opened.play(opened.start), 10))


def test_a_smoothed_profile_knows_none_either(profile: Profile) -> None:
    assert fit_task(profile, 0, tolerance=1.0).columns == profile.evaluators


def test_what_a_terminal_shows(poq: Poq, folder: Path, tmp_path: Path) -> None:
    shown = poq("profile", "show", folder)
    assert shown.code == 0
    assert (
        "truth"
        not in shown.out.replace("The truth is not known", "")
        .replace("caveats", "")
        .split("Costs")[1]
    )
    assert "nan" not in shown.out
    settings = [f"profile={folder}", "rounds=200", "replications=2",
                f"population.inference=[{{model: {MODELS[0]}}}]",
                "population.evaluators=[{model: cosine, count: 3}]"]  # fmt: skip
    played = poq("run", "cost_aware_poq", *(p for s in settings for p in ("--set", s)),
                 "--out", tmp_path / "run")  # fmt: skip
    assert played.code == 0
    assert "nan" not in played.out
