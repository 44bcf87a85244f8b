"""What each axis of a sweep does by itself."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.axis_effects import (
    averaged_over,
    averaged_side,
    axis_effects,
    is_grid,
    telling,
    treatments_at,
)
from poq_abm.errors import InputError
from poq_abm.experiment.paired import compare_sides
from poq_abm.experiment.results import Results

SWEEP = {"mechanism.beta_inference": [0.0, 0.3], "mechanism.committee_size": [1, 3]}


@pytest.fixture(scope="module")
def results() -> Results:
    few = {"rounds": 100, "replications": 4, "sweep": SWEEP}
    return poq_abm.run(poq_abm.load("cost_aware_poq").replace(few))


def test_an_effect_is_the_mean_over_the_other_axes(results: Results) -> None:
    found = axis_effects(results).set_index(["axis", "value", "measure"])
    row = found.loc["mechanism.beta_inference", "0.3", "inference_reward_mean"]
    means = (
        results.replications.merge(results.treatments, on="treatment")
        .groupby(["mechanism.beta_inference", "replication"])["inference_reward_mean"]
        .mean()
    )
    assert row["mean"] == pytest.approx(means[0.3].mean(), abs=1e-12)
    assert row["change"] == pytest.approx((means[0.3] - means[0.0]).mean(), abs=1e-12)
    assert row["change_low"] < row["change"] < row["change_high"] < 0.0
    assert row["treatments"] == 2
    assert math.isnan(found.loc["mechanism.beta_inference", "0", "bias"]["change"])


def test_what_an_axis_moves_comes_first(results: Results) -> None:
    found = axis_effects(results)
    assert telling(found, "mechanism.beta_inference")[0] == "inference_reward_mean"
    said = averaged_over(found, "mechanism.committee_size")
    assert said == "mean of the 2 treatments that differ in beta_inference"


def test_a_side_may_be_all_treatments_of_a_value(results: Results) -> None:
    sides = [
        averaged_side(results, treatments_at(results, f"beta_inference={value}"))
        for value in ("0", "0.3")
    ]
    table = compare_sides(*sides, ["inference_reward_mean"]).iloc[0]
    found = axis_effects(results).set_index(["axis", "value", "measure"])
    row = found.loc["mechanism.beta_inference", "0.3", "inference_reward_mean"]
    assert table["difference"] == pytest.approx(row["change"], abs=1e-12)
    assert table["replications"] == 4
    with pytest.raises(InputError, match=r"beta_inference takes no value '0\.4'"):
        treatments_at(results, "beta_inference=0.4")


def test_what_is_no_grid_has_no_effects_of_axes() -> None:
    part = pd.DataFrame({"treatment": ["a", "b", "c"], "x": [1, 1, 2], "y": [1, 2, 1]})
    assert not is_grid(part)
    assert not is_grid(part[["treatment"]])


def test_a_run_of_the_command_line_says_what_the_axes_move(poq, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(
        "# What moves?\nextends: cost_aware_poq\nrounds: 100\nreplications: 4\n"
        "sweep: {mechanism.beta_inference: [0.0, 0.1, 0.3], mechanism.committee_size: [2, 3]}\n"
    )
    done = poq("run", "grid.yaml", "--out", "grid")
    assert "What mechanism.beta_inference moves: mean of the 2 treatments" in done.out
    assert "llama" not in done.out
    assert "axis,value,measure" in poq("analyse", "axes", "grid", "--csv").out
    done = poq(
        "compare", "beta_inference=0", "beta_inference=0.3", "--in", "grid", "--metric", "bias"
    )
    assert "(mean of 2 treatments)" in done.out
