"""Rounds in stages leave what rounds one by one do, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_support import assert_same_bits, game_of, published, small_profile

from benchmarks.robust import scenarios
from poq_abm.simulation.buffers import BATCH_ROUNDS
from poq_abm.simulation.game import Game
from poq_abm.simulation.histograms import MEASURES, measure_histograms
from poq_abm.simulation.ledger import BLOCK_ROUNDS, NodeSum
from poq_abm.simulation.replication import (
    Replication,
    open_replication,
    open_sums,
    open_trace,
)
from poq_abm.simulation.rounds import play_rounds
from poq_abm.simulation.stages import (
    LARGEST_COMMITTEE,
    is_published,
    open_stages,
    play,
    play_contested_in_stages,
    play_in_stages,
    play_replications_in_stages,
)

PROFILES = {tasks: small_profile(records=(3, 1, 7, 2)[:tasks]) for tasks in (1, 2, 4)}


def small_game(inference: int, evaluators: int, size: int, tasks: int = 2, **more: Any) -> Game:
    """A game of so many nodes, of two inference and three evaluator models in turn."""
    groups = {"inference": ("f0", "f1"), "evaluators": ("m0", "m1", "m2")}
    counts = {"inference": inference, "evaluators": evaluators}
    population = {
        role: [
            {"model": model, "count": share}
            for i, model in enumerate(models)
            if (share := len(range(i, counts[role], len(models))))
        ]
        for role, models in groups.items()
    }
    settings_of = {"mechanism__committee_size": size, "population": population}
    return game_of(published(**settings_of, **more), PROFILES[tasks])


def played(game: Game, first: int, *stops: int, seed: int = 1) -> tuple[Replication, Replication]:
    """A replication played in stages, in stretches that end at these rounds, and one by one."""
    stages = open_stages(game)
    assert stages is not None
    ours, theirs = (open_replication(game.arrays, seed, 2, stops[-1]) for _ in range(2))
    start = first
    for stop in stops:
        play_in_stages(start, stop, game.arrays, ours, stages)
        start = stop
    play_rounds(first, stops[-1], game.arrays, theirs)
    return ours, theirs


def assert_same(ours: Replication, theirs: Replication) -> None:
    assert_same_bits(ours.ledger, theirs.ledger)
    assert_same_bits(ours.memory.histograms, theirs.memory.histograms)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, LARGEST_COMMITTEE),
    st.sampled_from(sorted(PROFILES)),
    st.integers(0, BLOCK_ROUNDS),
    st.lists(st.integers(1, 3 * BATCH_ROUNDS), min_size=1, max_size=3),
)
def test_the_same_bits_as_round_by_round(
    inference: int, evaluators: int, size: int, tasks: int, first: int, lengths: list[int]
) -> None:
    game = small_game(inference, evaluators, min(size, evaluators), tasks)
    stops = (first + np.cumsum(lengths)).tolist()
    assert_same(*played(game, first, *stops, seed=first))


@pytest.mark.parametrize("schedule", ["uniform", "round_robin", "weighted"])
def test_across_the_end_of_a_block_by_every_schedule(schedule: str) -> None:
    game = small_game(3, 5, 3, schedule=schedule)
    last = BLOCK_ROUNDS + 301
    ours, theirs = played(game, BLOCK_ROUNDS - 300, BLOCK_ROUNDS - 1, BLOCK_ROUNDS, last)
    assert ours.ledger.node_total.any()
    assert_same(ours, theirs)


def test_words_that_are_rejected_are_drawn_again_alike() -> None:
    """Of ten thousand nodes, some word in every few thousand rounds may have to be."""
    assert_same(*played(small_game(10_000, 10_000, 9), 0, 20_000))


def test_pay_with_other_coefficients_and_costs() -> None:
    alphas = {"mechanism__alpha_inference": 2.5, "mechanism__alpha_evaluator": 1e-3}
    betas = {"mechanism__beta_inference": 0.0, "mechanism__beta_evaluator": 1e3}
    assert_same(*played(small_game(2, 3, 2, **alphas, **betas), 7, 900))


def test_replications_in_one_call_are_those_of_calls_of_their_own() -> None:
    game, rounds = small_game(4, 6, 3), 300
    kept, stages = open_replication(game.arrays, 5, 0, rounds), open_stages(game)
    assert stages is not None
    sums = open_sums(4, 7, kept)
    play_replications_in_stages(rounds, game.arrays, kept, sums, stages)
    for row in range(3):
        alone = open_replication(game.arrays, 5, 4 + row, rounds)
        play_rounds(0, rounds, game.arrays, alone)
        measures = np.empty(len(MEASURES))
        measure_histograms(alone.memory.histograms, measures)
        assert sums.nodes[row].tobytes() == alone.ledger.nodes().tobytes()
        assert sums.network[row].tobytes() == alone.ledger.network().tobytes()
        assert sums.measures[row].tobytes() == measures.tobytes()


def test_only_honest_means_are_published() -> None:
    assert is_published(game_of(published()))
    for changes in (
        {"mechanism__aggregation": "median"},
        {"malicious": {"share": 0.5, "behaviour": "boost"}},
    ):
        game = game_of(published(**changes))
        assert not is_published(game)
        assert open_stages(game) is not None


CONTESTED = {
    **scenarios(),
    "mean without oneself": published(mechanism__reference="leave_one_out"),
    "trust, compared with the others": published(
        mechanism={"aggregation": "trust_weighted", "reference": "leave_one_out"},
        mechanism__trust={"update": "hedge"},
        malicious={"share": 0.4, "behaviour": "boost"},
    ),
    "trust by task, logged": published(
        mechanism__aggregation="trust_weighted_median",
        mechanism__trust={"update": "ema", "per_task": True, "interval": 50},
        malicious={"share": 0.4, "behaviour": {"name": "intermittent", "p": 0.5}},
    ),
    "planted records": published(
        mechanism__aggregation="trust_weighted",
        mechanism__trust={"update": "gold", "gold_share": 0.3},
        population__evaluators=[{"model": "sts_stsb", "count": 4, "noise_sd": 0.5, "bias_sd": 1.0}],
    ),
}


@pytest.mark.parametrize("name", CONTESTED)
def test_the_same_bits_whatever_is_contested(name: str) -> None:
    scenario = CONTESTED[name].replace({"rounds": 1_100})
    game = game_of(scenario)
    stages = open_stages(game)
    assert stages is not None
    ours, theirs = (open_replication(game.arrays, 3, 1, 1_100) for _ in range(2))
    for first, last in ((0, 701), (701, 1_100)):
        play_contested_in_stages(first, last, game.arrays, ours, game.active, stages)
    play_rounds(0, 1_100, game.arrays, theirs, game.active)
    assert_same_bits(ours.ledger, theirs.ledger)
    assert_same_bits(ours.memory, theirs.memory)


@pytest.mark.parametrize(
    "changes",
    [{"mechanism__reward__family": "convex_cost"}, {"mechanism__reward__family": "threshold"}],
    ids=str,
)
def test_what_is_not_played_in_stages(changes: dict[str, Any]) -> None:
    assert open_stages(game_of(published(**changes))) is None


def test_a_trace_is_written_round_by_round() -> None:
    game = small_game(2, 3, 2)
    kept, trace = open_replication(game.arrays, 1, 0, 50), open_trace(50, 2)
    play(0, 50, game, kept, open_stages(game), trace)
    assert trace.node.sum() == kept.ledger.nodes()[1, NodeSum.JOBS]


def test_a_large_committee_is_not_seated_by_comparisons() -> None:
    assert open_stages(small_game(2, 20, LARGEST_COMMITTEE)) is not None
    assert open_stages(small_game(2, 20, LARGEST_COMMITTEE + 1)) is None


def test_moved_anchors_are_left_to_the_other_loop() -> None:
    game = small_game(2, 3, 2)
    game.nodes.evaluator_anchor[1] += 0.5
    assert open_stages(game) is None
