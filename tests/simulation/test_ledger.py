from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_support import game_of, play_compiled, published, small_profile

from poq_abm.rules.payment.formulas import inference_reward
from poq_abm.scenario import Scenario
from poq_abm.simulation.buffers import BATCH_ROUNDS
from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import (
    BLOCK_ROUNDS,
    MID_SCALE,
    ROW,
    Agreement,
    Ledger,
    NodeSum,
    credit,
    fold,
    observe,
    open_ledger,
)
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.replication import Trace

property_test = settings(deadline=None, derandomize=True, max_examples=100)
scores = st.floats(0.0, 10.0)

LONG = 200_000  # three whole blocks and a rest


@pytest.fixture(scope="module")
def long_run() -> tuple[Scenario, Game, Ledger, Trace]:
    scenario = published(
        mechanism__committee_size=2, mechanism__reference="leave_one_out", rounds=LONG
    )
    game = game_of(scenario)
    return scenario, game, *play_compiled(game, scenario, 0, LONG)


def test_a_batch_never_straddles_two_blocks() -> None:
    assert BLOCK_ROUNDS % BATCH_ROUNDS == 0


def test_an_empty_ledger_is_zero() -> None:
    ledger = open_ledger(3)
    assert ledger.nodes().shape == (3, ROW)
    assert not ledger.nodes().any()
    assert not ledger.network().any()


def test_a_credit_by_hand() -> None:
    block = np.zeros((2, ROW))
    credit(block, 1, 0.5, 0.25, 6.0, 4.0, 0.75)
    credit(block, 1, 1.0, 0.25, 8.0, 2.0, 0.25)
    assert not block[0].any()
    expected = {"JOBS": 2.0, "REWARD": 1.5, "SPREAD": 0.0625 + 0.5625, "CONSENSUS": 14.0}
    expected |= {"TRUTH": 6.0, "CLOSENESS": 1.0}
    assert {column.name: block[1, column] for column in NodeSum} == expected


def test_an_observation_by_hand() -> None:
    row = np.zeros(ROW)
    observe(row, 6.0, 2.0)
    observe(row, 3.0, 4.0)
    expected = {"CONSENSUS": -1.0, "TRUTH": -4.0, "CONSENSUS_SQUARED": 5.0, "TRUTH_SQUARED": 10.0}
    expected |= {"PRODUCT": -3.0 + 2.0, "ABSOLUTE_ERROR": 5.0}
    assert {column.name: row[column] for column in Agreement} == expected


@property_test
@given(st.lists(st.tuples(scores, scores), max_size=20), st.integers(0, 2))
def test_folding_moves_everything_and_changes_no_sum(
    played: list[tuple[float, float]], node: int
) -> None:
    ledger = open_ledger(3)
    for consensus, truth in played:
        credit(ledger.node_block, node, consensus / 10, 0.5, consensus, truth, 0.5)
        observe(ledger.network_block, consensus, truth)
    nodes, network = ledger.nodes(), ledger.network()
    fold(ledger)
    assert not ledger.node_block.any()
    assert not ledger.network_block.any()
    assert np.array_equal(ledger.nodes(), nodes)
    assert np.array_equal(ledger.network(), network)
    assert np.array_equal(ledger.node_total, nodes)


# Rounding errors of random sign grow like sqrt(n) units in the last place, here to about 4e-14 of
# the sum; 1e-12 leaves room for bad luck and none for a lost round (5e-6).
TOLERANCE = 1e-12


def assert_sums(found: float, terms: np.ndarray) -> None:
    assert abs(found - math.fsum(terms)) <= TOLERANCE * math.fsum(np.abs(terms))


def test_node_sums_across_blocks_are_the_sums_of_the_trace(
    long_run: tuple[Scenario, Game, Ledger, Trace],
) -> None:
    _, game, ledger, trace = long_run
    sums = ledger.nodes()
    first = game.population.inference_count
    for node in range(game.population.size):
        if node < first:
            at = trace.node == node
            rewards = trace.inference_reward[at]
            assert sums[node, NodeSum.CLOSENESS] == 0.0
        else:
            seats = trace.committee == node
            at, rewards = seats.any(axis=1), trace.evaluator_rewards[seats]
        assert sums[node, NodeSum.JOBS] == rewards.size
        assert_sums(sums[node, NodeSum.REWARD], rewards)
        assert_sums(sums[node, NodeSum.CONSENSUS], trace.consensus[at])
        assert_sums(sums[node, NodeSum.TRUTH], trace.truth[at])


def test_evaluators_closeness_is_the_sum_of_the_trace(
    long_run: tuple[Scenario, Game, Ledger, Trace],
) -> None:
    """With K = 2 and one's own score left out, the reference is the other member's score."""
    _, game, ledger, trace = long_run
    near = 1.0 - np.abs(trace.scores[:, 0] - trace.scores[:, 1]) / 10.0
    for node in range(game.population.inference_count, game.population.size):
        at = (trace.committee == node).any(axis=1)
        assert_sums(ledger.nodes()[node, NodeSum.CLOSENESS], near[at])


def test_network_sums_across_blocks_are_the_sums_of_the_trace(
    long_run: tuple[Scenario, Game, Ledger, Trace],
) -> None:
    *_, ledger, trace = long_run
    sums = ledger.network()
    c, t = trace.consensus - MID_SCALE, trace.truth - MID_SCALE
    for column, terms in {
        Agreement.CONSENSUS: c,
        Agreement.TRUTH: t,
        Agreement.CONSENSUS_SQUARED: c * c,
        Agreement.TRUTH_SQUARED: t * t,
        Agreement.PRODUCT: c * t,
        Agreement.ABSOLUTE_ERROR: np.abs(trace.consensus - trace.truth),
    }.items():
        assert_sums(sums[column], terms)


def test_only_the_rest_of_the_last_block_is_not_folded(
    long_run: tuple[Scenario, Game, Ledger, Trace],
) -> None:
    _, game, ledger, _ = long_run
    first = game.population.inference_count
    assert ledger.node_block[:first, NodeSum.JOBS].sum() == LONG % BLOCK_ROUNDS
    assert ledger.node_total[:first, NodeSum.JOBS].sum() == LONG - LONG % BLOCK_ROUNDS


def test_two_levels_round_less_than_a_running_sum() -> None:
    """A reward that never varies rounds the same way every time: the worst case for a plain sum."""
    scenario = published(
        rounds=1, mechanism__committee_size=1, mechanism__beta_inference=0.0,
        population={"inference": [{"model": "f0"}], "evaluators": [{"model": "m0"}]},
    )  # fmt: skip
    profile = small_profile(records=(1,), models=1, evaluators=1)
    game = game_of(scenario, profile)
    reward = inference_reward(1.0, 0.0, float(profile.scores[0, 0, 0]), 0.0)
    rounds = 32 * BLOCK_ROUNDS
    ledger, _ = play_compiled(game, scenario, 0, rounds)
    exact = math.fsum([reward] * rounds)
    error = abs(ledger.nodes()[0, NodeSum.REWARD] - exact)
    running = abs(float(np.cumsum(np.full(rounds, reward))[-1]) - exact)
    # The bound of the module's docstring, in units of 2**-53 of the sum.
    assert error <= (BLOCK_ROUNDS + rounds / BLOCK_ROUNDS) * 2.0**-53 * exact
    assert error < running / 4


def test_the_reward_spread_is_the_standard_deviation_of_the_trace(
    long_run: tuple[Scenario, Game, Ledger, Trace],
) -> None:
    scenario, game, _, trace = long_run
    model = PoQModel(scenario, game=game)
    model.run(LONG)
    spread = model.node_table()["reward_sd"].to_numpy()
    first = game.population.inference_count
    for node in range(game.population.size):
        rewards = (
            trace.inference_reward[trace.node == node]
            if node < first
            else trace.evaluator_rewards[trace.committee == node]
        )
        # The anchor is within a few standard deviations of the mean: few digits are lost.
        assert spread[node] == pytest.approx(rewards.std(ddof=1), rel=1e-11)


def test_a_small_spread_on_a_large_reward_is_not_lost() -> None:
    """Costs of a million, qualities of one half: about zero, no digit of it would be left."""
    scenario = published(
        mechanism__committee_size=1, mechanism__beta_inference=1e6, mechanism__alpha_inference=1e-3
    )
    game = game_of(scenario)
    _, trace = play_compiled(game, scenario, 0, 5000)
    model = PoQModel(scenario, game=game)
    model.run(5000)
    spread = model.node_table()["reward_sd"].to_numpy()
    dearest = int(np.argmax(game.nodes.inference_cost))
    rewards = trace.inference_reward[trace.node == dearest]
    assert np.all(rewards < -999_999.0)
    # Quality varies by about 0.15, the reward by 1.5e-4; the mean is known to 1e-16 of a million.
    exact = 1e-3 * (trace.consensus[trace.node == dearest] / 10.0).std(ddof=1)
    assert spread[dearest] == pytest.approx(exact, rel=1e-5)
