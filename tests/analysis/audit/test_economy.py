"""Audits of economies: profits instead of rewards, bonds that can be lost; solved by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from poq_abm.analysis.audit.attacks import attack_frontier, attack_frontier_figure
from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.break_even import BreakEven, break_even, usual_ranges
from poq_abm.analysis.audit.deviations import ALL, Deviation, deviating, deviations, members_of
from poq_abm.analysis.audit.empirical_game import empirical_game
from poq_abm.analysis.audit.gains import cheapest, sentences
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.profile import load_profile
from poq_abm.profile.hardware import hardware
from poq_abm.profile.latencies import latency_of
from poq_abm.scenario import Scenario, load
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.scenario import build
from poq_abm.simulation.population import build_population

pytestmark = pytest.mark.usefixtures("shipped_rules")

BOOST = {"name": "boost", "b": 2.0}
ROUNDS = 300


def alike(economy: dict, **settings: object) -> Scenario:
    """Return two models, quick and slow, and evaluators that all measure the truth, always 5."""
    made = {
        "models": 2, "evaluators": 1, "truth_sd": 0.0, "noise_sd": 0.0, "records": 50,
        "latency_ms": [1000.0, 2000.0],
    }  # fmt: skip
    data = {
        "profile": "synthetic",
        "synthetic": made,
        "population": {
            "inference": [{"model": "model_1"}, {"model": "model_2"}],
            "evaluators": [{"model": "evaluator_1", "count": 2}],
        },
        "rounds": ROUNDS,
        "replications": 4,
        "schedule": "round_robin",
        "mechanism": {"committee_size": 2},
        "economy": economy,
    }
    return build(data, Origins({})).replace(settings)


def near_a_booster(bond: float, rate: float) -> Scenario:
    """Return two evaluators, one of which adds 3: the other gains by adding 2, and is found out.

    Alone in honesty it is 1.5 points from the consensus, adding 2 it is 0.5: 0.1 tokens a job more,
    30 an epoch of 300 rounds. Half of the records are planted; on each its score is 2 points off,
    more than the 1.5 allowed, so its severity is 1 and it loses rate x bond.
    """
    slashing = {"rate": rate, "gold": 0.5, "gold_tolerance": 0.15}
    return alike(
        {"epochs": 1, "stake": {"bond": bond, "slashing": slashing}},
        **{
            "malicious": {"share": 0.5, "behaviour": {"name": "boost", "b": 3.0}},
            "mechanism.trust.gold_share": 0.5,
        },
    )


def joins_in(scenario: Scenario) -> Deviation:
    members = members_of(scenario, "evaluator", "evaluator_1", None)
    return Deviation("evaluator", "evaluator_1", members, BOOST)


def test_an_expected_slash_cancels_what_a_deviation_gains() -> None:
    for bond, rate, gain in ((0.0, 0.3, 30.0), (100.0, 0.3, 0.0), (200.0, 0.3, -30.0)):
        found = audit(near_a_booster(bond, rate), behaviours=[BOOST], roles=["evaluator"])
        row = found.gains.iloc[0]
        assert row["gain"] == pytest.approx(gain, abs=1e-9)
        assert row["acted"] == 1.0
        assert (row["per"], row["bonds"]) == ("epoch", bond)


@pytest.mark.parametrize(
    ("field", "high", "value"),
    [("economy.stake.bond", 1000.0, 150.0), ("economy.stake.slashing.rate", 1.0, 0.6)],
)
def test_bond_and_slash_break_even_where_their_product_is_the_gain(field, high, value) -> None:
    scenario = near_a_booster(bond=50.0, rate=0.2)
    found = break_even(
        VariantRunner.of(scenario), joins_in(scenario), field, 0.0, high, replications=2
    )
    assert found.value == pytest.approx(value, rel=1e-3)
    assert found.low == pytest.approx(value, rel=1e-3)
    assert found.high == pytest.approx(value, rel=1e-3)


def misreporting(epochs: int) -> Scenario:
    """Return two inference nodes with 5 jobs an epoch each, of which the slow one has cost 1.

    At alpha 1, beta 0.6 and Q one half it is paid -0.1 a job, and 0.2 if it reports half its cost:
    G = 1.5 and F = 1 an epoch. With S = 2, p (S + F) = G at p = 0.5.
    """
    return alike(
        {"epochs": epochs, "stake": {"bond": 1e4}, "audits": {"rate": 0.1, "slash": 2.0}},
        rounds=10 * epochs,
        **{"mechanism.beta_inference": 0.6},
    )


def misreports(epochs: int, replications: int) -> BreakEven:
    scenario = misreporting(epochs)
    deviation = Deviation("inference", "model_2", (1,), {"name": "misreport_cost", "factor": 0.5})
    runner = VariantRunner.of(scenario)
    return break_even(runner, deviation, "economy.audits.rate", 0.0, 1.0, replications=replications)


def test_misreporting_breaks_even_where_p_times_s_plus_f_is_g() -> None:
    found = misreports(epochs=12, replications=6)
    assert found.low < 0.5 < found.high
    # the share of 72 audits below the chance has an s.d. of 0.059 at one half; four of them
    assert found.value == pytest.approx(0.5, abs=0.236)
    assert found.high - found.low < 0.6


def test_a_bond_that_runs_out_is_named_and_topped_up_on_request() -> None:
    """A bond of one fine: from the second audit on nothing is lost but the reward, F < G."""
    spec = {"name": "misreport_cost", "factor": 0.5}
    spent = misreporting(12).replace({"economy.stake.bond": 2.0, "economy.audits.rate": 0.75})
    found = audit(spent, behaviours=[spec], roles=["inference"], replications=6)
    row = found.gains[found.gains["group"] == "model_2"].iloc[0]
    assert row["ran_out"] == 6
    said = [line for line in found.sentences if "ran out" in line]
    assert any(line.startswith("inference model_2: ") for line in said)
    assert "in 6 of 6 replications" in said[-1]
    lasting = spent.replace({"economy.stake.top_up": True})
    found = audit(lasting, behaviours=[spec], roles=["inference"], replications=6)
    assert found.gains["ran_out"].tolist() == [0] * len(found.gains)
    assert not any("ran out" in line for line in found.sentences)
    assert (found.gains["gain"] < row["gain"])[found.gains["group"] == "model_2"].all()


def test_a_break_even_with_a_bond_that_lasts_is_that_of_theory_and_one_without_says_so() -> None:
    scenario = misreporting(12).replace({"economy.stake.bond": 2.0})
    deviation = Deviation("inference", "model_2", (1,), {"name": "misreport_cost", "factor": 0.5})
    field = "economy.audits.rate"
    spent = break_even(VariantRunner.of(scenario), deviation, field, 0.0, 1.0, replications=6)
    assert "the bond ran out in up to 6 of 6 replications" in spent.said
    lasting = scenario.replace({"economy.stake.top_up": True})
    found = break_even(VariantRunner.of(lasting), deviation, field, 0.0, 1.0, replications=6)
    assert found.value == misreports(epochs=12, replications=6).value
    assert "ran out" not in found.said


def test_the_compute_that_a_lazy_evaluator_saves_is_profit_or_is_said_to_be_unpriced() -> None:
    """Two evaluators of one model have a C of 0 on either basis: what is saved is the difference.

    Full power less idle power for the time that a job takes, 300 jobs an epoch, in tokens.
    """
    gains, said = {}, {}
    for basis in ("latency", "money"):
        cost: dict[str, object] = {"basis": basis}
        if basis == "money":
            cost |= {"ownership": "own", "usd_per_mwh": 1000.0, "idle_share": 0.25}
        scenario = load("cost_aware_poq").replace(
            {
                "population.inference": [{"model": "llama_3_2_3b"}],
                "population.evaluators": [{"model": "ce_deberta", "count": 2}],
                "mechanism.committee_size": 2,
                "rounds": 900,
                "replications": 3,
                "economy": {"epochs": 3, "cost": cost},
            }
        )
        found = audit(scenario, behaviours=[{"name": "constant"}], roles=["evaluator"])
        gains[basis] = found.gains["gain"].to_numpy()
        said[basis] = any(line.startswith("Who runs no model (const") for line in found.sentences)
    profile = load_profile("published")
    seconds = 300.0 * latency_of(profile, "ce_deberta", "rtx_4090").ms / 1000.0
    saved = 0.75 * hardware("rtx_4090").power_w * seconds / 3.6e9 * 1000.0 / 0.001
    np.testing.assert_allclose(gains["money"] - gains["latency"], saved, rtol=1e-9)
    assert said == {"latency": True, "money": False}


def test_at_the_break_even_of_theory_intervals_hold_zero_at_their_nominal_rate() -> None:
    """25 audits at p = 0.5, of 6 replications x 10 epochs; four s.d. of a share of 25 near 95 %."""
    spec = {"name": "misreport_cost", "factor": 0.5}
    covered = []
    for seed in range(25):
        scenario = misreporting(10).replace({"seed": seed, "economy.audits.rate": 0.5})
        found = audit(scenario, behaviours=[spec], roles=["inference"], replications=6).gains
        row = found[found["group"] == "model_2"].iloc[0]
        covered.append(row["low"] <= 0.0 <= row["high"])
    assert np.mean(covered) > 0.95 - 4 * 0.044


def test_who_is_driven_out_has_nothing_from_then_on() -> None:
    """Slashed below nine tenths in the first of three epochs, a booster earns in that one only.

    It is 2.5 points from the consensus of two: it has 0.75 a job of at most 100 and loses
    (0.25 - 0.05) / 0.95 of its 10 tokens. Who shares every other committee with it keeps 92 %.
    """
    slashing = {"rate": 1.0, "deviation": 0.05}
    stake = {"bond": 10.0, "eject_below": 0.9, "slashing": slashing}
    scenario = alike({"epochs": 3, "stake": stake}, **{"population.evaluators.0.count": 3})
    deviation = Deviation("evaluator", ALL, (0,), {"name": "boost", "b": 5.0})
    played = VariantRunner.of(scenario).play({"one": deviating(scenario, deviation)}, 0, 2)["one"]
    lost = 10.0 * (0.25 - 0.05) / 0.95
    assert (played.rewards[:, 2] < 0.75 * 100 - lost).all()
    assert (played.rewards[:, 2] > 0.75 * 30 - lost).all()
    assert (played.rewards[:, 3:] > 100.0).all()
    assert (played.jobs == 3).all()
    assert (played.rounds, played.per) == (3, "epoch")


def test_adaptation_is_left_out_and_that_is_said() -> None:
    rules = [{"name": "imitation", "role": "evaluator", "rate": 1.0, "temperature": 0.01}]
    fixed, adaptive = alike({"epochs": 3}), alike({"epochs": 3, "adaptation": rules})
    said = audit(adaptive, behaviours=[BOOST], roles=["evaluator"])
    plain = audit(fixed, behaviours=[BOOST], roles=["evaluator"])
    pd.testing.assert_frame_equal(said.gains, plain.gains)
    assert "Adaptation is left out (imitation)" in said.sentences[-1]
    assert not any("Adaptation" in line for line in plain.sentences)


def test_what_the_options_name_is_tried_besides() -> None:
    given = ["honest", {"name": "misreport_cost", "factor": 0.1}, {"name": "freeload"}]
    scenario = alike({"epochs": 3, "options": {"inference": given}})
    tried = [d.behaviour for d in deviations(scenario, roles=["inference"])[0]]
    assert {"name": "misreport_cost", "factor": 0.1} in tried
    assert [spec["name"] for spec in tried].count("freeload") == 2  # once for each node


def test_nodes_that_are_not_there_do_not_deviate() -> None:
    scenario = alike({"epochs": 3}, **{"population.evaluators.0.count": 6}).replace(
        {"population.evaluators.0.active": 4}
    )
    assert members_of(scenario, "evaluator", ALL, 1.0) == (0, 1, 2, 3)
    changed = deviating(scenario, Deviation("evaluator", ALL, (1,), BOOST))
    there = [(group.count, group.active) for group in changed.population.evaluators]
    assert there == [(1, 1), (1, 1), (2, 2), (2, 0)]


def test_nodes_of_a_mix_keep_their_machines() -> None:
    mix = {"rtx_4090": 0.5, "t4": 0.5}
    scenario = load("hardware_mix", ["rounds=400", "sweep={}"]).replace(
        {"population.inference.0.hardware": mix}
    )
    runner = VariantRunner.of(scenario)
    changed = deviating(runner.scenario, Deviation("inference", ALL, (1, 2), {"name": "freeload"}))
    before, after = (
        build_population(one, runner.plan.profile(0)) for one in (runner.scenario, changed)
    )
    machines = [[people.groups[g].hardware for g in people.group] for people in (before, after)]
    assert machines[0] == machines[1]
    assert (before.cost == after.cost).all()


def test_verdicts_speak_of_profit_per_epoch() -> None:
    gaining = audit(near_a_booster(50.0, 0.2), behaviours=[BOOST], roles=["evaluator"])
    said = " ".join(gaining.sentences)
    assert "boost(b=2.0) by one node of evaluator_1 gains 20.0" in said
    assert "in profit per epoch" in said
    assert "bonds put up: 50 tokens" in said
    honest = audit(near_a_booster(200.0, 0.3), behaviours=[BOOST, BOOST], roles=["evaluator"])
    assert "per job" not in " ".join(honest.sentences)


def test_the_cheapest_puts_up_the_least_bonds() -> None:
    row = {"role": "evaluator", "verdict": "gains", "members": 1, "gain": 1.0, "bonds": 100.0}
    rows = pd.DataFrame([row, row | {"bonds": 30.0, "members": 3}, row | {"gain": 2.0}])
    found = cheapest(rows)
    assert found is not None
    assert found["members"] == 3


def test_a_ring_is_said_to_gain_per_epoch_together() -> None:
    row = {
        "role": "evaluator", "group": "all", "behaviour": "boost", "members": 3, "bonds": 300.0,
        "instead_of": "honest", "replications": 20, "per": "epoch", "gain": 1.5, "low": 1.25,
        "high": 1.75, "family_high": 2.0, "gain_per_epoch": 4.5, "verdict": "gains",
        "epsilon": 0.1, "needed": float("nan"),
    }  # fmt: skip
    first, second, _ = sentences(pd.DataFrame([row]))
    assert first == (
        "evaluator all: boost by a ring of 3 of all gains 1.50 in profit per epoch of a member "
        "[1.25, 1.75], 4.5 per epoch together."
    )
    assert second.endswith("; bonds put up: 300 tokens.")


def test_the_usual_ranges_follow_what_can_be_lost() -> None:
    def fields(scenario: Scenario, role: str) -> list[str]:
        return [span.field for span in usual_ranges(scenario, role)]

    assert fields(near_a_booster(50.0, 0.2), "evaluator")[1:] == [
        "economy.stake.bond", "economy.stake.slashing.rate",
    ]  # fmt: skip
    assert fields(misreporting(3), "inference")[1:] == ["economy.stake.bond", "economy.audits.rate"]
    assert fields(misreporting(3), "evaluator") == ["mechanism.beta_evaluator"]
    tiered = near_a_booster(50.0, 0.2).replace({"economy.stake.slashing.form": "tiered"})
    assert "economy.stake.slashing.rate" not in fields(tiered, "evaluator")


def test_frontier_and_game_count_in_profit_per_epoch() -> None:
    runner = VariantRunner.of(near_a_booster(200.0, 0.3))
    table = attack_frontier(runner, [BOOST], shares=[1.0], replications=2)
    assert table["cost_per_epoch"].tolist() == pytest.approx([30.0])
    assert "tokens per epoch" in attack_frontier_figure(table).axes[0].get_xlabel()
    stake = {"bond": 100.0, "capital_rate": 0.1}
    game = empirical_game(VariantRunner.of(alike({"epochs": 3, "stake": stake})),
                          [{"name": "honest"}, BOOST], replications=2)  # fmt: skip
    # closeness 1 in 100 jobs an epoch less 10 tokens of capital; 1 point away in disagreement
    assert game.payoffs() == pytest.approx(np.array([[90.0, 80.0], [80.0, 90.0]]))


@pytest.mark.parametrize("name", ["cost_misreporting", "stake_and_slash", "hardware_mix"])
def test_choices_that_rest_on_rules_left_out_do_not_stop_an_audit(name: str) -> None:
    runner = VariantRunner.of(load(name).treatments()[0].scenario)
    assert runner.left_out
    assert runner.scenario.economy is not None
    assert not runner.scenario.economy.adaptation


def test_nobody_is_charged_for_cost_where_yuma_pays() -> None:
    """Neither does the weight of cost break even, nor is a lazy node charged all the same."""
    scenario = load("yuma_rival").treatments()[-1].scenario
    assert scenario.economy is not None
    assert scenario.economy.payment.scheme == "yuma"
    for role in ("inference", "evaluator"):
        assert not [span for span in usual_ranges(scenario, role) if "beta" in span.field]
    short = scenario.replace({"rounds": 120, "replications": 2})
    found = audit(short, behaviours=[{"name": "constant"}], roles=["evaluator"])
    (note,) = [line for line in found.sentences if line.startswith("Who runs no model")]
    assert "Yuma charges nobody for cost" in note
