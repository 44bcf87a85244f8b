"""A cascade of evaluators: its published numbers, and its guarantee on records nobody planted."""

from __future__ import annotations

import numpy as np
import pytest
from economy_support import small_profile

from poq_abm.analysis.cascade import (
    agreement_bound,
    cascade_sentence,
    cascade_table,
    expected_cost,
    loosest_threshold,
)
from poq_abm.errors import InputError
from poq_abm.profile import load_profile


def test_the_published_numbers() -> None:
    assert agreement_bound(0, 200, 0.05) == pytest.approx(0.01487, abs=5e-6)
    assert 1.0 - expected_cost((0.0, 1.0), (0.273,)) == pytest.approx(0.727)
    assert expected_cost((1.0, 2.0, 4.0), (0.5, 0.25)) == 1.0 + 1.0 + 0.5


@pytest.mark.parametrize(("errors", "trials"), [(0, 10), (3, 50), (49, 50)])
def test_so_few_errors_have_the_level_s_chance_at_the_bound(errors: int, trials: int) -> None:
    share = agreement_bound(errors, trials, 0.05)
    few = [
        np.prod([(trials - i) / (k - i) for i in range(k)]) * share**k * (1 - share) ** (trials - k)
        for k in range(errors + 1)
    ]
    assert sum(few) == pytest.approx(0.05)
    assert agreement_bound(trials, trials) == 1.0


def test_the_first_threshold_that_fails_ends_the_search() -> None:
    spread, wrong = np.arange(400.0), np.zeros(400, dtype=bool)
    assert loosest_threshold(spread, wrong, 0.05, 0.05) == 399.0
    wrong[60:70] = True  # later ones would pass again
    found = loosest_threshold(spread, wrong, 0.05, 0.05)
    assert 58.0 <= found < 70.0
    assert loosest_threshold(spread, ~wrong, 0.05, 0.05) == -1.0
    assert loosest_threshold(spread[:20], wrong[:20], 0.05, 0.05) == -1.0  # too few to know


def test_the_guarantee_holds_in_nearly_all_draws() -> None:
    chance, misses = np.random.default_rng(7), 0
    for _ in range(200):
        spread = chance.uniform(size=400)
        wrong = chance.uniform(size=400) < 0.2 * spread  # a share of theta / 10 up to theta
        misses += loosest_threshold(spread, wrong, 0.05, 0.1) > 0.5
    assert misses <= 32  # 20 expected at most; three standard deviations above


def test_seats_are_taken_in_order_of_cost_until_scores_agree() -> None:
    profile = load_profile("published")
    table = cascade_table(profile)
    assert table["seat"].tolist() == ["1", "2", "3", "all"]
    assert (np.diff(table["cost"][:3]) >= 0.0).all()
    assert table["reached"][0] == table["reached"][1] == 1.0
    assert table["accepted"][:3].sum() == pytest.approx(1.0)
    last = table.iloc[-1]
    assert last["cost"] == pytest.approx((table["cost"] * table["reached"])[:3].sum())
    assert last["low"] <= last["cost"] <= last["high"]
    assert cascade_sentence(table).startswith("Nothing is saved")  # these evaluators disagree


def test_who_always_agrees_needs_two_seats_and_two_are_no_cascade() -> None:
    alike = small_profile(records=(80, 80), scores=5.0)
    table = cascade_table(alike)
    assert table["reached"].tolist()[:3] == [1.0, 1.0, 0.0]
    assert table["errors"].tolist()[1] == 0
    assert cascade_sentence(table).startswith("The cascade saves 40.0%")
    with pytest.raises(InputError, match="three evaluators or more"):
        cascade_table(small_profile((1000.0, 2000.0, 50.0, 100.0)))
