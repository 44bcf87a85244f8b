"""What every inference behaviour does to scores, truth and pay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from behaviour_support import SCORES, TRUTH, play, tiny
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.rules.behaviour.base import resolve
from poq_abm.scenario import ScenarioError, load
from poq_abm.simulation.playable import check_playable, profile_of

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


def hack(**values: Any) -> dict[str, Any]:
    return {"name": "hack", "gain": 1.5, "loss": 0.5, **values}


def test_a_hack_fools_its_family_and_others_see_the_truth() -> None:
    """d = 2: the family sees 3 points more, and of the truth's 2 (1.5 - 1) = 1 point others do."""
    honest, played = play(), play(inference={"i1": hack(pressure=2.0, family="m1")})
    own = (played.trace.node == 1)[:, np.newaxis]
    seen = np.minimum(played.table + np.array([1.0, 3.0, 1.0]), 10.0)
    assert np.array_equal(played.reports, np.where(own, seen, played.table))
    truth = honest.trace.truth + np.where(own[:, 0], 1.0, 0.0)
    assert np.array_equal(played.trace.truth, truth)
    assert played.game.population.families == ("m0", "m1", "m2")


def test_without_a_family_a_hack_fools_everybody_and_truth_falls() -> None:
    played = play(inference={"i0": hack(pressure=4.0)})
    own = played.trace.node == 0
    lifted = np.minimum(played.table[own] + 6.0, 10.0)
    assert np.array_equal(played.reports[own], lifted)
    table = TRUTH[played.trace.record[own], 0]
    assert np.array_equal(played.trace.truth[own], np.maximum(table - 2.0, 0.0))


def test_a_hack_takes_time_and_is_charged_for_it() -> None:
    """f0 takes 1 s and f1 3 s: half as long again is .25 of the range of costs, and .75."""
    spec = hack(pressure=5.0, rise=0.1)
    played = play(inference={"i0": spec, "i1": spec})
    assert played.game.nodes.inference_cost.tolist() == [0.25, 1.75]
    assert played.game.population.cost[:2].tolist() == [0.0, 1.0]


def test_no_pressure_is_honest_play() -> None:
    honest, played = play(), play(inference={"i0": hack(pressure=0.0, family="m2")})
    for column in ("scores", "consensus", "truth", "inference_reward"):
        assert np.array_equal(getattr(played.trace, column), getattr(honest.trace, column))


@given(st.floats(0.1, 2.0), st.floats(0.1, 2.0), st.floats(0.0, 10.0))
def test_truth_peaks_at_the_published_dose(gain: float, loss: float, pressure: float) -> None:
    """R(d) = d (alpha - beta d) has its peak alpha^2 / (4 beta) at alpha / (2 beta)."""

    def lift(d: float) -> float:
        spec = {"name": "hack", "gain": gain, "loss": loss, "pressure": d}
        return float(resolve("inference", spec)["truth_lift"])

    best = min(gain / (2.0 * loss), 10.0)
    assert lift(best) >= lift(pressure)
    if gain / (2.0 * loss) < 10.0:
        assert lift(best) == pytest.approx(min(gain**2 / (4.0 * loss), 10.0), rel=1e-12)


def test_families_of_several_models_are_fooled_together() -> None:
    profile = tiny(np.full_like(SCORES, 5.0))
    spec = {"i0": hack(pressure=1.0, family="twins"), "i1": hack(pressure=1.0, family="twins")}
    played = play(inference=spec, profile=profile, families={"e0": "twins", "e2": "twins"})
    assert np.all(played.reports == [6.5, 6.0, 6.5])
    assert played.game.population.families == ("twins", "m1")


def test_a_family_that_nobody_is_of_is_refused_at_its_behaviour() -> None:
    path = "population.inference.0.behaviour"
    scenario = load("cost_aware_poq").replace({path: hack(family="ce_minilmm")})
    with pytest.raises(ScenarioError, match=f"{path}: there is no family of evaluators 'ce_mini"):
        check_playable(scenario, profile_of(scenario))
