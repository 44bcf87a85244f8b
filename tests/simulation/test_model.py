from __future__ import annotations

import random

import numpy as np
import pytest
from network_support import assert_same_bits, game_of, play_compiled, published, rows

import poq_abm
from poq_abm.simulation.agents import Answer, EvaluatorNode, InferenceNode
from poq_abm.simulation.ledger import NodeSum
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.replication import Trace, open_trace

ROUNDS = 600
SCENARIO = published(rounds=ROUNDS, mechanism__committee_size=2)
GAME = game_of(SCENARIO)


def traced(model: PoQModel, *, agents: bool = False) -> Trace:
    trace = open_trace(ROUNDS, model.game.rules.committee_size)
    if agents:
        model.run_agents(ROUNDS, trace)
    else:
        model.run(trace=trace)
    return trace


HONEST = play_compiled(GAME, SCENARIO, 0, ROUNDS)[1]


# --------------------------------------------------------------------------------- step and run


def test_a_new_model_has_played_nothing() -> None:
    model = PoQModel(SCENARIO)
    assert model.rounds_played == 0
    assert model.last_round is None
    assert not model.ledger.nodes().any()


def test_run_plays_to_the_end_of_the_scenario() -> None:
    model = PoQModel(SCENARIO, game=GAME)
    model.run()
    assert model.rounds_played == ROUNDS
    assert sum(node.jobs for node in model.inference_nodes) == ROUNDS
    assert sum(node.jobs for node in model.evaluator_nodes) == 2 * ROUNDS
    played = model.ledger.nodes()
    model.run()
    model.run(until=3)
    assert model.rounds_played == ROUNDS
    assert np.array_equal(model.ledger.nodes(), played)


@pytest.mark.parametrize("kind", [InferenceNode, type("Own", (InferenceNode,), {})])
def test_mesas_run_model_ends_with_the_scenario(kind: type[InferenceNode]) -> None:
    model, stepped = (PoQModel(published(rounds=30), inference_class=kind) for _ in range(2))
    model.run_model()
    while stepped.running:
        stepped.step()
    assert model.rounds_played == stepped.rounds_played == 30
    assert not model.running
    assert_same_bits(model.ledger, stepped.ledger)


def test_a_step_past_the_end_is_refused_and_plays_nothing() -> None:
    model = PoQModel(published(rounds=3))
    for _ in range(3):
        assert model.running
        model.step()
    played = model.ledger.nodes()
    for past in (model.step, lambda: model.run(4), lambda: model.run_agents(4)):
        with pytest.raises(poq_abm.InputError, match="the scenario ends after 3 rounds"):
            past()
    assert np.array_equal(model.ledger.nodes(), played)
    assert (model.rounds_played, model.running) == (3, False)


def test_steps_and_runs_can_be_mixed() -> None:
    whole, mixed = (PoQModel(SCENARIO, game=GAME) for _ in range(2))
    whole.run()
    for _ in range(7):
        mixed.step()
    mixed.run(until=300)
    mixed.step()
    mixed.run_agents(555)
    assert mixed.rounds_played == 555
    mixed.run()
    assert_same_bits(mixed.ledger, whole.ledger)


def test_memory_has_counted_every_round_that_was_stepped() -> None:
    stepped, ran = PoQModel(SCENARIO), PoQModel(SCENARIO)
    for stop in (1, 3, 260, 261, 500):
        while stepped.rounds_played < stop:
            stepped.step()
        ran.run(stop)
        for left, right in zip(stepped.memory.histograms, ran.memory.histograms, strict=True):
            np.testing.assert_array_equal(left, right)
        assert stepped.memory.histograms.grid.sum() == stop


def test_a_step_shows_the_round_it_played() -> None:
    model = PoQModel(SCENARIO, game=GAME)
    for number in range(20):
        model.step()
        played = model.last_round
        assert played is not None
        assert played.round == number
        for column in Trace._fields:
            shown = np.asarray(getattr(played, column))
            assert np.array_equal(shown, getattr(HONEST, column)[number]), column


def test_a_trace_of_the_rest_starts_at_the_round_reached() -> None:
    for engine in ("run", "run_agents"):
        model = PoQModel(SCENARIO, game=GAME)
        model.run(until=200)
        trace = open_trace(100, 2)
        getattr(model, engine)(300, trace)
        assert_same_bits(trace, rows(HONEST, slice(200, 300)))


# --------------------------------------------------------------------------------------- agents


def test_agents_show_the_columns_of_the_ledger() -> None:
    model = PoQModel(SCENARIO, game=GAME)
    model.run(until=100)
    model.step()
    sums = model.ledger.nodes()
    nodes = [*model.inference_nodes, *model.evaluator_nodes]
    assert [node.jobs for node in nodes] == sums[:, NodeSum.JOBS].tolist()
    assert [node.reward_total for node in nodes] == sums[:, NodeSum.REWARD].tolist()
    assert all(isinstance(node.jobs, int) for node in nodes)


def test_node_ids_are_unique_across_roles() -> None:
    model = PoQModel(SCENARIO, game=GAME)
    ids = [node.index for node in (*model.inference_nodes, *model.evaluator_nodes)]
    assert ids == list(range(GAME.population.size))
    first = GAME.population.inference_count
    trace = traced(model)
    assert set(trace.node.tolist()) == set(range(first))
    assert set(trace.committee.ravel().tolist()) == set(range(first, GAME.population.size))


def test_mesa_and_the_global_generators_are_left_alone() -> None:
    model = PoQModel(SCENARIO, game=GAME)

    def state() -> str:
        model_state = (model.random.getstate(), model.rng.bit_generator.state)
        return repr((random.getstate(), np.random.get_state(), model_state))  # noqa: NPY002

    before = state()
    for _ in range(50):
        model.step()
    model.run()
    assert state() == before


def test_mesas_generator_does_not_matter() -> None:
    model = PoQModel(SCENARIO, game=GAME)
    model.random.seed(12345)
    model.rng = np.random.default_rng(54321)
    assert_same_bits(traced(model, agents=True), HONEST)


@pytest.mark.parametrize("schedule", ["uniform", "weighted", "round_robin"])
def test_ten_thousand_nodes_of_each_class_play_on_both_engines(schedule: str) -> None:
    scenario = published(
        rounds=300,
        schedule=schedule,
        mechanism__committee_size=7,
        population={
            "inference": [
                {"model": "phi3_mini_4k", "count": 6000},
                {"model": "qwen2_1_5b", "count": 4000, "weight": 2.0},
            ],
            "evaluators": [
                {"model": "sts_stsb", "count": 5000},
                {"model": "ce_deberta", "count": 5000},
            ],
        },
    )
    game = game_of(scenario)
    ledger, trace = play_compiled(game, scenario, 0, 300)
    model = PoQModel(scenario, game=game)
    by_agents = open_trace(300, 7)
    model.run_agents(300, by_agents)
    assert_same_bits(by_agents, trace)
    assert_same_bits(model.ledger, ledger)
    # 2,100 seats for 10,000: 10,000 (1 - exp(-0.21)) = 1,894 get one, s.d. 12.5; six of those.
    assert abs(np.unique(trace.committee).size - 1894) < 75
    assert trace.committee.min() >= 10_000
    assert all(len(set(committee)) == 7 for committee in trace.committee.tolist())


# ---------------------------------------------------------------------------------- subclassing


class Plain(EvaluatorNode):
    """Changes nothing."""


class Generous(EvaluatorNode):
    """The first evaluator node gives everybody full marks; the others are honest."""

    def report(self, answer: Answer) -> float:
        first = self.model.game.population.inference_count
        return 10.0 if self.index == first else super().report(answer)


class Copycat(InferenceNode):
    """Inference node 0 answers with the model of node 1."""

    def answer(self, record: int) -> Answer:
        if self.index != 0:
            return super().answer(record)
        return self.model.inference_nodes[1].answer(record)


def test_a_subclass_is_played_by_the_agents() -> None:
    """Every round goes through the user's method, though only the class was given."""
    seen: list[int] = []

    class Watching(EvaluatorNode):
        def report(self, answer: Answer) -> float:
            seen.append(answer.record)
            return super().report(answer)

    model = PoQModel(SCENARIO, game=GAME, evaluator_class=Watching)
    assert not model.compiled
    assert_same_bits(traced(model), HONEST)
    assert seen == np.repeat(HONEST.record, 2).tolist()


def test_stock_nodes_are_played_by_the_compiled_loop() -> None:
    assert PoQModel(SCENARIO, game=GAME).compiled
    assert not PoQModel(SCENARIO, game=GAME, inference_class=Copycat).compiled


def test_a_subclass_that_changes_nothing_changes_nothing() -> None:
    model = PoQModel(SCENARIO, game=GAME, evaluator_class=Plain)
    assert_same_bits(traced(model), HONEST)


def test_one_evaluators_report_changes_its_own_committees_only() -> None:
    trace = traced(PoQModel(SCENARIO, game=GAME, evaluator_class=Generous))
    generous = GAME.population.inference_count
    for column in ("record", "task", "node", "committee", "truth"):
        assert np.array_equal(getattr(trace, column), getattr(HONEST, column)), column
    seats = trace.committee == generous
    assert np.all(trace.scores[seats] == 10.0)
    assert np.array_equal(trace.scores[~seats], HONEST.scores[~seats])
    elsewhere = ~seats.any(axis=1)
    assert 100 < elsewhere.sum() < 300  # it sits on two committees of three
    assert_same_bits(rows(trace, elsewhere), rows(HONEST, elsewhere))
    moved = trace.consensus[~elsewhere] >= HONEST.consensus[~elsewhere]
    assert np.all(moved)


def test_one_inference_nodes_answer_changes_its_own_rounds_only() -> None:
    trace = traced(PoQModel(SCENARIO, game=GAME, inference_class=Copycat))
    for column in ("record", "task", "node", "committee"):
        assert np.array_equal(getattr(trace, column), getattr(HONEST, column)), column
    own = trace.node == 0
    assert_same_bits(rows(trace, ~own), rows(HONEST, ~own))
    other = GAME.nodes.model[1]
    records = trace.record[own]
    assert np.array_equal(trace.truth[own], GAME.tables.truth[records, other])
    runs = GAME.nodes.evaluator[trace.committee[own] - GAME.population.inference_count]
    assert np.array_equal(trace.scores[own], GAME.tables.scores[records[:, None], other, runs])


def test_a_deviation_pays_what_the_rules_say() -> None:
    """Two evaluators, K = 2, both references are the mean of a known pair of scores."""
    model = PoQModel(SCENARIO, game=GAME, evaluator_class=Generous)
    trace = traced(model)
    seats = trace.committee == GAME.population.inference_count
    with_it = seats.any(axis=1)
    scores = trace.scores[with_it]
    consensus = (scores[:, 0] + scores[:, 1]) / 2
    assert np.array_equal(trace.consensus[with_it], consensus)
    cost = GAME.nodes.inference_cost[trace.node[with_it]]
    assert np.array_equal(trace.inference_reward[with_it], 1.0 * (consensus / 10.0) - 0.3 * cost)
    near = 1.0 - np.abs(trace.scores[seats] - consensus) / 10.0
    assert np.array_equal(
        trace.evaluator_rewards[seats], 1.0 * near - 0.3 * GAME.nodes.evaluator_cost[0]
    )


def test_a_scenario_that_cannot_be_played_is_refused() -> None:
    with pytest.raises(poq_abm.InputError, match="committee"):
        PoQModel(published(mechanism__committee_size=4))


class Reporting(EvaluatorNode):
    """Reports what it is told to."""

    told = 5.0

    def report(self, answer: Answer) -> float:
        return self.told


@pytest.mark.parametrize("told", [float("nan"), -0.1, 10.1, float("inf")])
def test_a_report_that_is_no_score_stops_the_round(told: float) -> None:
    kind = type("Broken", (Reporting,), {"told": told})
    model = PoQModel(SCENARIO, game=GAME, evaluator_class=kind)
    with pytest.raises(poq_abm.InputError, match=r"round 0: evaluator node \d+ \(Broken honest\)"):
        model.step()


@pytest.mark.parametrize("replication", [-1, 2**32])
def test_a_replication_beyond_the_counter_is_refused(replication: int) -> None:
    with pytest.raises(poq_abm.InputError, match="replication"):
        PoQModel(SCENARIO, game=GAME, replication=replication)


def test_a_round_beyond_the_counter_is_refused() -> None:
    with pytest.raises(poq_abm.InputError, match="numbered below"):
        PoQModel(SCENARIO, game=GAME).run(2**48)


def test_a_model_with_a_step_of_its_own_is_played_step_by_step() -> None:
    class Counting(PoQModel):
        steps_taken = 0

        def step(self) -> None:
            self.steps_taken += 1
            super().step()

    model = Counting(SCENARIO, game=GAME)
    model.run(20)
    assert model.steps_taken == 20


def test_the_compiled_loop_leaves_no_stale_last_round() -> None:
    model = PoQModel(SCENARIO, game=GAME)
    model.step()
    assert model.last_round is not None
    model.run()
    assert model.last_round is None
