"""Payment by batch: counted alike by both engines and in every stretch, settled at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from network_support import assert_same_bits, game_of, published, small_profile

import poq_abm
from poq_abm.rules.payment import EVALUATOR_PAYMENT, Counted
from poq_abm.rules.registry import shipped
from poq_abm.scenario import Scenario, ScenarioError
from poq_abm.simulation.batch_counts import counted_for
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.economy_model import EconomyModel
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.playable import check_playable
from poq_abm.simulation.replication import Counter, Replication, open_replication, open_trace
from poq_abm.simulation.rounds import play_rounds
from poq_abm.simulation.settlement import settle_batch
from poq_abm.simulation.stages import open_stages, play
from poq_abm.testing.payment import merits_of

PROFILE = small_profile(records=(9, 6), models=2, evaluators=4)
KINDS = {Counted.PAIRS: "dmi", Counted.PEERS: "peer_correlation", Counted.TRUTH: "gold"}
LIARS = {"share": 0.4, "behaviour": {"name": "intermittent", "p": 0.5, "inner": "boost"}}


def scenario_with(rule: str, size: int = 3, **more: Any) -> Scenario:
    people = {
        "inference": [{"model": "f0", "count": 2}, {"model": "f1"}],
        "evaluators": [{"model": f"m{i}", "count": 1 + i % 2} for i in range(4)],
    }
    settings = {
        "mechanism__evaluator_reward": rule,
        "mechanism__committee_size": size,
        "mechanism__minimum_shared": 5,
        "rounds": 700,
        "population": people,
        **({"mechanism__trust__gold_share": 0.5} if rule == "gold" else {}),
        **more,
    }
    return published(**settings)


def compiled(game: Game, scenario: Scenario, *stops: int, staged: bool = True) -> Replication:
    kept = open_replication(game.arrays, scenario.seed, 0, scenario.rounds)
    stages = open_stages(game) if staged else None
    start = 0
    for stop in (*stops, scenario.rounds):
        if staged:
            play(start, stop, game, kept, stages)
        else:
            trace = open_trace(stop - start, game.rules.committee_size)
            play_rounds(start, stop, game.arrays, kept, game.active, trace, game.kernels)
        start = stop
    settle_batch(game, game.arrays, kept.ledger, kept.memory)
    return kept


@pytest.mark.parametrize("rule", KINDS.values())
@pytest.mark.parametrize("liars", [None, LIARS], ids=["honest", "liars"])
def test_every_engine_leaves_the_same_bits(rule: str, liars: Any) -> None:
    scenario = scenario_with(rule, malicious=liars)
    game = game_of(scenario, PROFILE)
    assert open_stages(game) is not None
    one, other = compiled(game, scenario), compiled(game, scenario, 1, 300, staged=False)
    model = PoQModel(scenario, game=game)
    model.run_agents(250)
    model.run(400)
    model.run_agents(700)
    for kept in (other, model.kept):
        assert_same_bits(kept.ledger, one.ledger)
        assert_same_bits(kept.memory.counts, one.memory.counts)
        assert kept.memory.counters[Counter.THIN] == one.memory.counters[Counter.THIN]


@pytest.mark.parametrize("rule", KINDS.values())
def test_the_counts_are_those_of_the_trace_and_pay_is_their_merit(rule: str) -> None:
    scenario = scenario_with(rule, size=6)  # everybody scores every record
    game = game_of(scenario, PROFILE)
    kept, trace = open_replication(game.arrays, 1, 0, 700), open_trace(700, 6)
    play(0, 700, game, kept, None, trace)
    charged = kept.ledger.nodes()[3:, NodeSum.REWARD].copy()
    np.testing.assert_allclose(charged, -0.3 * 700 * game.nodes.evaluator_cost, rtol=1e-12)
    settle_batch(game, game.arrays, kept.ledger, kept.memory)
    order = np.argsort(trace.committee, axis=1)
    reports = np.take_along_axis(trace.scores, order, axis=1)
    honest = np.stack([PROFILE.scores[:, :, m].ravel() for m in game.nodes.evaluator], axis=1)
    truth = trace.truth
    if rule == "gold":
        planted = game.tables.gold[trace.record]
        reports, truth = reports[planted], truth[planted]
    declared = game.in_play.evaluator_payment
    if rule == "dmi":
        tables = counted_for(declared, game.nodes, kept.memory.counts)
        assert tables.sum() == 700 * 15
        # merits_of cuts at the quantiles of what it is given; the game at those of the profile
        cuts = [np.searchsorted(game.nodes.score_cuts[m], reports[:, m], "right") for m in range(6)]
        reports, honest = np.stack(cuts, axis=1).astype(float), np.tile([[0.0], [1.0], [2.0]], 6)
        assert game.nodes.score_cuts.shape == (6, 2)
    expected = merits_of(declared, reports, truth, honest=honest, minimum_shared=5)
    earned = kept.ledger.nodes()[3:, NodeSum.REWARD] - charged
    np.testing.assert_allclose(earned, 700 * expected.merit, rtol=1e-9, atol=1e-9)


def test_pay_that_is_the_same_for_every_job_does_not_spread() -> None:
    scenario = scenario_with("peer_correlation")
    model = PoQModel(scenario, profile=PROFILE)
    model.run(500)
    before = model.node_table().query("role == 'evaluator'")
    assert (before.reward_total <= 0.0).all()  # charged, and not paid yet
    model.run()
    table = model.node_table().query("role == 'evaluator'")
    assert table.reward_sd.max() < 1e-6
    assert (table.reward_total != before.reward_total).any()


def test_a_run_tells_what_a_model_does_and_counts_thin_comparisons() -> None:
    scenario = scenario_with("dmi", rounds=60, replications=2, mechanism__minimum_shared=20)
    results = poq_abm.run(scenario, profile=PROFILE)
    model = PoQModel(scenario, profile=PROFILE, replication=1)
    model.run()
    run = results.nodes.query("replication == 1").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        model.node_table(), run, check_exact=True, check_categorical=False
    )
    row = results.replications.iloc[1]
    assert row.thin_comparisons == model.memory.counters[Counter.THIN] > 0
    assert np.isnan(row.honest_evaluator_reward_q05)
    assert np.isfinite(row.honest_inference_reward_q05)


@pytest.mark.parametrize("rule", ["mutual_information", "peer_correlation"])
def test_an_epoch_is_a_batch_and_agents_play_it_to_the_same_bits(rule: str) -> None:
    economy = {
        "epochs": 4,
        "payment": {"scheme": "pool", "pool": 50.0},
        "options": {"evaluator": ["noise"]},
        "adaptation": [{"name": "best_response", "role": "evaluator", "revisions": 1}],
    }
    scenario = scenario_with(rule, rounds=240, economy=economy)
    played = Economy(scenario, build_game(scenario, PROFILE), PROFILE)
    played.run()  # accounts are checked in every epoch
    by_agents = EconomyModel(scenario, profile=PROFILE, by_agents=True)
    by_agents.run()
    assert_same_bits(by_agents.economy.ledger, played.ledger)
    nodes = played.record.nodes()
    assert np.array_equal(by_agents.economy.record.nodes(), nodes, equal_nan=True)
    assert played.ledger.nodes()[3:, NodeSum.REWARD].any()


RANKED = {"mechanism__reward": {"family": "bradley_terry", "minimum_shared": 5}}


def test_every_engine_ranks_answers_alike_and_pays_chances() -> None:
    """Inference nodes by ranking beside evaluators by correlation, each from their own counts."""
    scenario = scenario_with("peer_correlation", malicious=LIARS, **RANKED)
    game = game_of(scenario, PROFILE)
    assert open_stages(game) is None
    one, other = compiled(game, scenario), compiled(game, scenario, 1, 300, staged=False)
    model = PoQModel(scenario, game=game)
    model.run_agents(250)
    model.run(400)
    model.run_agents(700)
    for kept in (other, model.kept):
        assert_same_bits(kept.ledger, one.ledger)
        assert_same_bits(kept.memory.counts, one.memory.counts)
    answers, rows = one.memory.counts.answers, one.ledger.nodes()[:3]
    assert answers[:, :, 0].sum(axis=0).tolist() == rows[:, NodeSum.JOBS].tolist()
    values = game.in_play.inference_payment.parameters
    assert list(values) == ["minimum_shared", "neutral_pay", "prior_ties"]
    merits = game.in_play.inference_payment.merits(
        answers, {"minimum_shared": 5, "neutral_pay": 0.5, "prior_ties": 1.0}
    )
    assert merits.thin == 0
    paid = rows[:, NodeSum.JOBS] * (merits.merit - 0.3 * game.nodes.inference_cost)
    np.testing.assert_allclose(rows[:, NodeSum.REWARD], paid, rtol=1e-9)
    assert merits.merit.mean() == pytest.approx(0.5, abs=1e-12)


def test_a_node_with_too_few_comparisons_is_paid_the_neutral_amount_and_counted() -> None:
    """Of three nodes in 20 rounds on 15 records, nobody meets the others 28 times."""
    reward = {"family": "bradley_terry", "minimum_shared": 18, "neutral_pay": 0.25}
    scenario = scenario_with("closeness", rounds=20, replications=1, mechanism__reward=reward,
                             mechanism__minimum_shared=20)  # fmt: skip
    results = poq_abm.run(scenario, profile=PROFILE)
    row = results.replications.iloc[0]
    assert row.thin_comparisons == 3
    assert np.isnan(row.honest_inference_reward_q05)
    assert np.isfinite(row.honest_evaluator_reward_q05)
    nodes = results.nodes.query("role == 'inference'")
    paid = nodes.reward_mean + 0.3 * nodes.cost
    np.testing.assert_allclose(paid, 0.25, rtol=1e-12)


def test_an_epoch_is_ranked_by_itself_and_agents_play_it_to_the_same_bits() -> None:
    economy = {
        "epochs": 3,
        "payment": {"scheme": "pool", "pool": 50.0},
        "options": {"inference": ["judge_hack"]},
        "adaptation": [{"name": "best_response", "role": "inference", "revisions": 1}],
    }
    scenario = scenario_with("closeness", rounds=240, economy=economy,
                             mechanism__minimum_shared=20, **RANKED)  # fmt: skip
    played = Economy(scenario, build_game(scenario, PROFILE), PROFILE)
    played.run()  # accounts are checked in every epoch
    by_agents = EconomyModel(scenario, profile=PROFILE, by_agents=True)
    by_agents.run()
    assert_same_bits(by_agents.economy.ledger, played.ledger)
    nodes = played.record.nodes()
    assert np.array_equal(by_agents.economy.record.nodes(), nodes, equal_nan=True)


ALONE = {"population": {"inference": [{"model": "f0"}], "evaluators": [{"model": "m0"}] * 3}}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (ALONE, "family: bradley_terry compares inference nodes: 1 has nobody"),
        ({"rounds": 4}, "minimum_shared: is 5, and 3 nodes can be compared at most 4 times"),
        ({"verification": {"protocol": "poq"}}, "bradley_terry pays by batches of rounds"),
    ],
)
def test_what_cannot_be_ranked_is_refused(more: Any, said: str) -> None:
    ranked = scenario_with("closeness", mechanism__minimum_shared=20, **RANKED, **more)
    with pytest.raises(ScenarioError, match="(?s)" + said):
        check_playable(ranked, PROFILE)


@pytest.mark.parametrize(
    ("rule", "more", "said"),
    [
        ("dmi", {"size": 1}, "committee_size: dmi compares members: 1 has no peers"),
        ("dmi", {"rounds": 4}, "minimum_shared: is 5, and a batch has 4 rounds"),
        ("dmi", {"mechanism__score_bins": 1}, "score_bins: must be at least 2, got 1"),
        ("dmi", {"verification": {"protocol": "poq"}}, "a verification plays none"),
    ],
)
def test_what_cannot_be_paid_by_batch_is_refused(rule: str, more: Any, said: str) -> None:
    with pytest.raises(ScenarioError, match="(?s)" + said):
        check_playable(scenario_with(rule, **more), PROFILE)


def test_too_many_evaluators_for_tables_of_pairs_are_refused() -> None:
    people = {"inference": [{"model": "f0"}], "evaluators": [{"model": "m0", "count": 9000}]}
    crowd = scenario_with("dmi", population=people)
    with pytest.raises(ScenarioError, match=r"counts every pair of 9000 evaluators.*GiB"):
        check_playable(crowd, PROFILE)
    check_playable(scenario_with("peer_correlation", population=people), PROFILE)


def test_gold_takes_a_committee_of_one() -> None:
    check_playable(scenario_with("gold", size=1), PROFILE)


def test_every_rule_that_counts_is_tried_here() -> None:
    counted = {rule.counted for rule in shipped(EVALUATOR_PAYMENT).values()}
    assert counted == {Counted.NOTHING, *KINDS}
