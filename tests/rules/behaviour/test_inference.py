"""What every inference behaviour does to scores, truth and pay."""

from __future__ import annotations

import numpy as np
from behaviour_support import SCORES, TRUTH, play

ALPHA, BETA = 1.0, 0.3  # of the published scenario


def test_downgrade_answers_with_the_other_model_and_is_paid_as_the_named_one() -> None:
    honest, played = play(), play(inference={"i1": {"name": "downgrade", "model": "f0"}})
    assert played.game.nodes.model.tolist() == [0, 0]
    records = played.trace.record
    assert np.array_equal(played.reports, SCORES[records, 0])
    assert np.array_equal(played.trace.truth, TRUTH[records, 0])
    assert played.game.nodes.inference_cost.tolist() == [0.0, 1.0]
    own = played.trace.node == 1
    paid = ALPHA * (played.trace.consensus[own] / 10.0) - BETA * 1.0
    assert np.array_equal(played.trace.inference_reward[own], paid)
    assert np.array_equal(played.trace.scores[~own], honest.trace.scores[~own])


def test_judge_hack_raises_scores_and_not_truth() -> None:
    honest, played = play(), play(inference={"i0": {"name": "judge_hack"}})
    own = played.trace.node == 0
    lifted = np.minimum(played.table + 2.0, 10.0)
    assert np.array_equal(played.reports, np.where(own[:, np.newaxis], lifted, played.table))
    assert (played.reports[own] == 10.0).any()
    assert np.array_equal(played.trace.truth, honest.trace.truth)
    assert np.all(played.trace.consensus[own] > honest.trace.consensus[own])


def test_judge_hack_is_measured_before_anybody_misreports() -> None:
    """9.0 measured, 10 after the lift, 7 after sabotage: not 9.0 - 3 + 2."""
    played = play({"e0": {"name": "sabotage"}}, {"i0": {"name": "judge_hack"}})
    at = (played.trace.node == 0) & (played.trace.record == 0)
    assert at.any()
    assert np.all(played.reports[at, 0] == 7.0)


def test_freeloading_is_scored_alike_and_worth_nothing() -> None:
    honest, played = play(), play(inference={"i1": {"name": "freeload", "score": 6.25}})
    own = played.trace.node == 1
    assert np.all(played.reports[own] == 6.25)
    assert np.all(played.trace.truth[own] == 0.0)
    assert np.array_equal(played.reports[~own], played.table[~own])
    assert np.array_equal(played.trace.truth[~own], honest.trace.truth[~own])


def test_misreported_cost_is_a_fraction_of_the_cost() -> None:
    spec = {"name": "misreport_cost", "factor": 0.25}
    honest, played = play(), play(inference={"i0": spec, "i1": spec})
    assert honest.game.nodes.inference_cost.tolist() == [0.0, 1.0]
    assert played.game.nodes.inference_cost.tolist() == [0.0, 0.25]
    assert played.game.population.cost.tolist() == honest.game.population.cost.tolist()
    assert np.array_equal(played.trace.consensus, honest.trace.consensus)
    gain = played.trace.inference_reward - honest.trace.inference_reward
    # beta (1 - 0.25) C, up to the rounding of two rewards below 1.
    expected = np.where(played.trace.node == 1, 0.3 * 0.75, 0.0)
    assert np.allclose(gain, expected, rtol=0.0, atol=1e-15)
