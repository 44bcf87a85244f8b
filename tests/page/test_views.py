from __future__ import annotations

import numpy as np
import pytest

from poq_abm.experiment.estimates import mean_interval
from poq_abm.page import views
from poq_abm.page.exploring import Exploration
from poq_abm.scenario import load


def test_one_window_is_the_mean_per_job_with_its_interval(exploration: Exploration) -> None:
    played = exploration.play(exploration.start)
    curve = views.reward_curves(played, "evaluator", 300, windows=1)[0]
    per_job = played.reward[:, 300, 1] / played.jobs[:, 300, 1]
    mean, _, low, high = mean_interval(per_job)
    assert (curve.y[0], curve.low[0], curve.high[0]) == pytest.approx((mean, low, high), rel=1e-12)


def test_windows_weighted_by_their_jobs_give_back_what_was_paid(exploration: Exploration) -> None:
    played = exploration.play(exploration.start.moved("K", 20))  # everybody sits in every round
    curve = views.reward_curves(played, "evaluator", 300, windows=30)[0]
    assert curve.y.mean() == pytest.approx(
        (played.reward[:, 300, 1] / played.jobs[:, 300, 1]).mean(), rel=1e-12
    )


def test_before_the_first_round_there_is_nothing_to_see(exploration: Exploration) -> None:
    played = exploration.play(exploration.start)
    assert views.reward_curves(played, "inference", 0) == []
    assert views.agreement(played, 0) == []
    assert [curve.y.tolist() for curve in views.trust_curves(played, 0)] == [[1.0], [1.0]]
    assert all(np.isnan(row.reward[0]) for row in views.rows(played, None, 0))


def test_a_class_without_a_job_has_a_gap_and_not_a_zero() -> None:
    alone = Exploration(load("cost_aware_poq", ["rounds=20", "replications=1"]))
    lonely = alone.play(alone.start)
    curves = views.reward_curves(lonely, "inference", 1)
    assert sorted(np.isnan(one.y[0]) for one in curves) == [False, True, True, True, True]


def test_one_replication_has_no_interval() -> None:
    alone = Exploration(load("cost_aware_poq", ["rounds=50", "replications=1"]))
    lonely = alone.play(alone.start)
    assert np.isnan(views.reward_curves(lonely, "inference", 50)[0].low).all()
    found = views.agreement(lonely, 50)
    assert np.isnan(found[0].estimate[1])


def test_a_difference_is_paired_by_replication(exploration: Exploration) -> None:
    # beta_F charges every inference node beta C, the same in every replication.
    plain = Exploration(load("cost_aware_poq", ["rounds=200", "replications=5"]))
    played = plain.play(plain.start.moved("beta_F", 0.5))
    found = views.rows(played, plain.play(plain.start), 200)
    last = next(row for row in found if row.label == "phi3_mini_4k")
    assert last.difference == pytest.approx((-0.2, -0.2, -0.2), abs=1e-12)
    same = next(row for row in found if row.role == "evaluator")
    assert same.difference == (0.0, 0.0, 0.0)


def test_an_attack_of_another_strength_is_still_the_same_class(exploration: Exploration) -> None:
    played = exploration.play(exploration.start.moved("strength", 1.0))
    found = views.rows(played, exploration.play(exploration.start), 300)
    boosting = next(row for row in found if "boost" in row.label)
    assert boosting.label == "boost(b=1.0)"
    assert boosting.difference is not None
