"""Audits whose outcome can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from poq_abm.analysis.aggregation_robustness import breaking_members
from poq_abm.analysis.audit.attacks import attack_frontier, attack_phases
from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.break_even import break_even
from poq_abm.analysis.audit.compute_cost import cost_run
from poq_abm.analysis.audit.deviations import ALL, Deviation, members_of
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.errors import InputError
from poq_abm.experiment.plan import Plan
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.registry import shipped
from poq_abm.scenario import Scenario, load
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.scenario import build

pytestmark = pytest.mark.usefixtures("shipped_rules")

BOOST = {"name": "boost", "b": 3.0}


def alike(count: int, **settings: object) -> Scenario:
    """Return evaluators that measure the truth, always 5, up to a small error of their own."""
    people = {
        "inference": [{"model": "model_1", "count": 2}],
        "evaluators": [{"model": "evaluator_1", "count": count, "noise_sd": 0.2}],
    }
    made = {"evaluators": 1, "truth_sd": 0.0, "noise_sd": 0.0, "records": 50}
    data = {
        "profile": "synthetic",
        "synthetic": made,
        "population": people,
        "rounds": 300,
        "replications": 4,
        "mechanism": {"committee_size": count},
    }
    return build(data, Origins({})).replace(settings)


def test_alone_on_a_committee_every_behaviour_pays_alike() -> None:
    """K = 1: the consensus is one's own score, so closeness is 1 whatever one reports."""
    found = audit(alike(5, **{"mechanism.committee_size": 1}), roles=["evaluator"])
    assert (found.gains["gain"] == 0.0).all()
    assert (found.gains["verdict"] == "equal").all()
    assert found.gains["deviating"].to_numpy() == pytest.approx(1.0)  # alpha - beta x 0
    assert "honesty is paid exactly as every deviation that acted is" in found.sentences[0]
    assert any("K = 1: each evaluator is compared with itself" in line for line in found.sentences)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_boosting_by_a_share_r_moves_the_mean_by_r_b(share: float) -> None:
    found = audit(alike(10), share=share, behaviours=[BOOST], roles=["evaluator"])
    row = found.gains[found.gains["members"] == found.gains["members"].max()].iloc[0]
    assert row["members"] == 10 * share
    assert row["drift"] == pytest.approx(share * BOOST["b"], abs=1e-9)


def test_who_boosts_alone_loses_what_its_distance_costs() -> None:
    """An error-free member that adds b under the mean is (K - 1) / K b from the consensus."""
    scenario = alike(10, **{"population.evaluators.0.noise_sd": 0.0})
    found = audit(scenario, behaviours=[BOOST], roles=["evaluator"])
    row = found.gains[found.gains["members"] == 1].iloc[0]
    assert row["gain"] == pytest.approx(-0.9 * 3.0 / 10, abs=1e-12)
    assert row["verdict"] == "loses"
    assert "honesty is the best response" in found.sentences[0]


def test_a_ring_gains_what_its_answers_get_less_what_raising_them_costs() -> None:
    """Three of ten raise answers of 5 by 3: Q by .09 an answer, closeness by -.21 a report."""
    scenario = alike(10, **{"population.evaluators.0.noise_sd": 0.0})
    found = audit(scenario, roles=["ring"], behaviours=[{"name": "collude", "favour": "model_1"}])
    (row,) = found.gains.to_dict("records")
    assert (row["role"], row["members"]) == ("evaluator + inference", 5)  # 3, and both nodes
    assert row["gain"] == pytest.approx((0.09 - 3 * 0.21) / 4, abs=1e-12)  # four jobs a round
    assert row["gain_per_round"] == pytest.approx(0.09 - 3 * 0.21, abs=1e-12)
    assert "evaluator + inference all + model_1: honesty is the best response" in found.sentences[0]


def test_one_evaluator_is_ring_enough_and_a_cheat_may_be_covered() -> None:
    """What K = 1 raises by 3 costs the evaluator nothing and is worth .3 a round to the answer."""
    alone = alike(2, **{"population.evaluators.0.noise_sd": 0.0, "mechanism.committee_size": 1})
    targeted = {"name": "targeted", "group": "model_1"}
    found = audit(alone, roles=["ring"], behaviours=[targeted, {"name": "freeload"}])
    boosted, covered = found.gains["gain_per_round"]
    seats = found.gains["acted"].iloc[0]
    assert seats == 1.0
    assert boosted == pytest.approx(0.5 * 0.3, abs=0.02)  # it sits in every other committee
    assert covered == pytest.approx(0.5 * 0.3 - 0.3, abs=0.02)  # a score of 2, not 5
    assert found.profitable[0].name.startswith("targeted")


@pytest.mark.parametrize(
    ("behaviour", "saved"),
    [
        ({"name": "constant", "score": 1.0}, 1.0),
        ({"name": "intermittent", "p": 0.4, "inner": "copycat"}, 0.4),
        ({"name": "linear_report", "a": 4.0, "b": 0.0}, 1.0),
        ({"name": "linear_report", "a": 4.0, "b": 0.5}, 0.0),
        ({"name": "targeted", "group": "phi3_mini_4k", "inner": "constant"}, 0.0),
    ],
)
def test_who_runs_no_model_saves_its_cost_where_compute_has_one(
    behaviour: dict[str, object], saved: float
) -> None:
    """At K = 1 every report is paid alike, so that what is saved is all that is gained."""
    scenario = load("cost_aware_poq", ["mechanism.committee_size=1", "rounds=60"])
    runner = VariantRunner.of(scenario, compute_cost=0.25)
    found = audit(runner, behaviours=[behaviour], roles=["evaluator"], replications=2)
    gains = dict(zip(found.gains["group"], found.gains["gain"], strict=True))
    assert gains["sts_stsb"] == pytest.approx(0.0, abs=1e-12)  # of cost 0
    assert gains["ce_deberta"] == pytest.approx(0.25 * saved, abs=1e-12)  # of cost 1


def test_running_another_model_costs_what_that_one_does() -> None:
    cheat = "population.inference.4.behaviour={name: downgrade, model: tinylama_1_1b}"
    scenario = load("cost_aware_poq", [cheat])
    costs = cost_run(scenario, Plan.of(scenario).profile(0))
    assert 0.0 < costs[2] == costs[4] < 1.0


def test_a_cost_of_compute_is_refused_where_it_does_nothing() -> None:
    with pytest.raises(InputError, match="does nothing in an economy"):
        VariantRunner.of(load("entry_exit"), compute_cost=0.1)
    with pytest.raises(InputError, match="must be 0 or above"):
        VariantRunner.of(load("cost_aware_poq"), compute_cost=-0.1)


RULES = shipped(AGGREGATION)


def test_the_median_breaks_at_one_half_and_the_mean_at_once() -> None:
    for size in (2, 3, 9, 10, 64):
        assert breaking_members(RULES["median"], size) == (size + 1) // 2
        assert breaking_members(RULES["mean"], size) == 1
        assert breaking_members(RULES["trust_weighted"], size) == 1


def test_a_trimmed_mean_breaks_when_more_attack_than_are_cut() -> None:
    for tau in (0.1, 0.2, 0.3):
        for name in ("trimmed_mean", "winsorized_mean"):
            assert breaking_members(RULES[name], 10, tau=tau) == round(10 * tau) + 1


def test_bounded_pull_breaks_at_a_half() -> None:
    for name in ("huber", "mad_filter", "trust_weighted_median", "stake_median"):
        assert breaking_members(RULES[name], 10) in (5, 6), name
        assert breaking_members(RULES[name], 9) == 5, name


def test_simulated_the_median_gives_way_between_four_and_six_of_ten() -> None:
    runner = VariantRunner.of(alike(10, **{"mechanism.aggregation": "median"}))
    table = attack_frontier(runner, [BOOST], shares=[0.4, 0.6], replications=3)
    below, above = table["drift"]
    assert below < 0.2  # the error of one's own scores, 0.2 points
    assert above > 3.0 - 0.2


def test_a_deviation_breaks_even_half_way_to_what_the_others_do() -> None:
    """Two evaluators measure 5; one boosts by b. Boosting by 2 is nearer than 0 from b = 1 on."""
    scenario = alike(
        2,
        **{
            "population.evaluators.0.noise_sd": 0.0,
            "malicious": {"share": 0.5, "behaviour": {"name": "boost", "b": 3.0}},
        },
    )
    runner = VariantRunner.of(scenario)
    members = members_of(runner.scenario, "evaluator", "evaluator_1", None)
    deviation = Deviation("evaluator", "evaluator_1", members, {"name": "boost", "b": 2.0})
    found = break_even(runner, deviation, "malicious.behaviour.b", 0.0, 4.0, replications=2)
    assert found.value == pytest.approx(1.0, abs=1e-3)
    assert found.low == pytest.approx(found.value, abs=1e-3)
    assert found.high == pytest.approx(found.value, abs=1e-3)


def test_a_noisy_break_even_has_an_interval_around_it() -> None:
    scenario = alike(
        2,
        rounds=50,
        **{
            "population.evaluators.0.noise_sd": 1.0,
            "malicious": {"share": 0.5, "behaviour": {"name": "boost", "b": 3.0}},
        },
    )
    runner = VariantRunner.of(scenario)
    members = members_of(runner.scenario, "evaluator", "evaluator_1", None)
    deviation = Deviation("evaluator", "evaluator_1", members, {"name": "boost", "b": 2.0})
    found = break_even(runner, deviation, "malicious.behaviour.b", 0.0, 4.0, replications=6)
    assert found.low < found.value < found.high
    assert found.low < 1.0 < found.high
    assert "breaks even at malicious.behaviour.b" in found.said


def test_a_value_at_which_nothing_acts_is_no_break_even() -> None:
    """At beta = 0 a misreported cost is not charged at all; above, it gains."""
    runner = VariantRunner.of(alike(3))
    slow = runner.scenario.replace(
        {
            "synthetic.models": 2,
            "synthetic.latency_ms": [1000.0, 2000.0],
            "population.inference": [{"model": "model_1"}, {"model": "model_2"}],
        }
    )
    lie = Deviation("inference", "model_2", (1,), {"name": "misreport_cost", "factor": 0.5})
    found = break_even(
        VariantRunner.of(slow), lie, "mechanism.beta_inference", 0.0, 1.0, replications=3
    )
    assert np.isnan(found.value)
    assert found.said.endswith(
        "gains for every mechanism.beta_inference tried from 0 to 1 but 0, where it changes no pay"
    )


def test_what_beta_does_not_touch_has_no_break_even_in_it() -> None:
    runner = VariantRunner.of(alike(3))
    deviation = Deviation("evaluator", ALL, (0,), BOOST)
    found = break_even(runner, deviation, "mechanism.beta_evaluator", 0.0, 1.0, replications=3)
    assert np.isnan(found.value)
    assert "mechanism.beta_evaluator changes nothing from 0 to 1" in found.said
    assert "loses the same, -" in found.said


def test_the_frontier_marks_what_no_other_attack_beats() -> None:
    scenario = alike(10, **{"population.evaluators.0.noise_sd": 0.0})
    attacks = [BOOST, {"name": "sabotage", "b": 1.0}]
    table = attack_frontier(VariantRunner.of(scenario), attacks, shares=[0.1, 0.2], replications=2)
    # By hand: m of 10 that add b drift m b / 10 and lose (10 - m) / 10 x b / 10 each.
    expected = [m * (10 - m) * b / 100 for b in (3.0, 1.0) for m in (1, 2)]
    assert table["cost_per_round"].to_numpy() == pytest.approx(np.array(expected))
    assert table["drift"].to_numpy() == pytest.approx(np.array([0.3, 0.6, -0.1, -0.2]))
    assert table["efficient"].tolist() == [True, True, True, True]
    worse = attack_frontier(
        VariantRunner.of(scenario),
        [BOOST, {"name": "noise", "sigma": 3.0}],
        shares=[0.1],
        replications=8,
    )
    assert worse["efficient"].tolist() == [True, bool(worse["cost_per_round"].idxmin() == 1)]


def test_phases_follow_the_sign_of_the_gain() -> None:
    scenario = alike(10, **{"population.evaluators.0.noise_sd": 0.0})
    table = attack_phases(
        VariantRunner.of(scenario),
        BOOST,
        "mechanism.aggregation",
        ["mean", "median"],
        shares=[0.2, 0.8],
        replications=2,
    ).set_index(["value", "share"])["phase"]
    assert table["mean", 0.2] == table["mean", 0.8] == "costs"
    assert table["median", 0.2] == "costs"
    assert table["median", 0.8] == "undecided"  # once they rule it, they are as near as before
