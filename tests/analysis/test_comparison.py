"""A comparison in plain words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from poq_abm.analysis.comparison import describe, factor
from poq_abm.experiment.paired import compare

LUCK = np.random.default_rng(4).normal(size=12)
OTHER = np.random.default_rng(9).normal(size=12)


def told(**pairs: tuple[object, object]) -> str:
    """Describe metrics given as their values in A and in B."""
    sides = ({name: pair[k] for name, pair in pairs.items()} for k in (0, 1))
    a, b = (pd.DataFrame({"replication": range(12), **values}) for values in sides)
    return describe(compare(a, b), "small", "large")


def test_a_rise_is_told_with_its_interval_and_what_matching_was_worth() -> None:
    said = told(correlation=(LUCK, LUCK + 0.5 + 0.1 * (OTHER - OTHER.mean())))
    assert said.startswith("From small to large, correlation rose by 0.50 [0.4")
    assert "(12 matched replications)." in said
    assert "divided the variance of this difference by" in said
    assert "independent seeds would need about" in said


def test_a_fall_is_told_by_its_size() -> None:
    said = told(bias=(LUCK, LUCK - 0.5 + 0.1 * OTHER))
    assert "bias fell by 0." in said
    low, high = (float(end) for end in said.split("[")[1].split("]")[0].split(", "))
    assert 0.0 < low < high


def test_what_did_not_move_is_named_with_its_difference() -> None:
    said = told(bias=(LUCK, OTHER), correlation=(LUCK, LUCK + 0.5 + 0.1 * OTHER))
    assert "No evidence that bias (" in said
    assert said.split(". ")[0].count("bias") == 0


def test_nothing_moved_is_said() -> None:
    assert "nothing is shown to have moved" in told(bias=(LUCK, OTHER))


def test_equal_figures_are_told_apart_from_unclear_ones() -> None:
    said = told(bias=(LUCK, OTHER), cost=(LUCK, LUCK))
    assert "Equal in every pair: cost." in said
    assert "cost moved" not in said


def test_a_constant_difference_is_certain() -> None:
    said = told(cost=(LUCK, LUCK + 0.25))
    assert "cost rose by 0.2500 in every pair" in said
    assert "left no variance" in said


def test_many_are_named_and_counted_but_not_spelt_out() -> None:
    moved = {f"m{k}": (LUCK, LUCK + 0.5 + 0.1 * np.roll(OTHER, k)) for k in range(11)}
    said = told(**moved)
    assert "m0, m1, m2, m3, m4, m5, m6, m7 and 3 more rose (12" in said
    assert "these differences" in said


def test_rises_and_falls_are_kept_apart() -> None:
    up = {f"up{k}": (LUCK, LUCK + 0.5 + 0.1 * np.roll(OTHER, k)) for k in range(3)}
    down = {f"down{k}": (LUCK, LUCK - 0.5 + 0.1 * np.roll(OTHER, k)) for k in range(2)}
    assert "up0, up1 and up2 rose and down0 and down1 fell" in told(**up, **down)


def test_an_interval_off_zero_among_many_may_be_chance() -> None:
    noise = {f"m{k}": (LUCK, np.roll(OTHER, k)) for k in range(1, 12)}
    spread = OTHER - OTHER.mean()
    shift = 2.4 * spread.std(ddof=1) / math.sqrt(12)  # t = 2.4 on 11 degrees: p = 0.035
    said = told(x=(LUCK, LUCK + spread + shift), **noise)
    assert "which may be chance among 12 metrics)" in said


def test_matching_that_did_not_help_is_said() -> None:
    said = told(bias=(LUCK, -LUCK + 0.1 * OTHER))
    assert "by 0.5" in said
    assert "no evidence that matching helped" in said


def test_too_few_pairs_are_said() -> None:
    alone = np.where(np.arange(12) == 3, 1.0, math.nan)
    said = told(spearman=(alone, LUCK), bias=(LUCK, OTHER))
    assert "Too few pairs to judge: spearman." in said
    assert "(12 matched replications)" in said


def test_one_replication_is_singular() -> None:
    one = pd.DataFrame({"replication": [0], "bias": [1.0]})
    assert "(1 matched replication)" in describe(compare(one, one), "a", "b")


def test_nothing_in_common_is_said() -> None:
    assert told() == "From small to large, no metric has a number in both."


def test_factors_claim_no_more_digits_than_they_have() -> None:
    values = (0.973, 35.27, 99.7, 123.4, 97300.0, math.nan)
    assert [factor(value) for value in values] == ["0.97", "35", "100", "123", "97300", "-"]
