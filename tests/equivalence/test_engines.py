"""Contract 4.2: the agents and the compiled loop leave the same bits, whatever they play."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_support import assert_same_bits, game_of, play_compiled, published, small_profile

import poq_abm
from poq_abm.limits import MAX_REPLICATIONS, MAX_ROUNDS, MAX_SEED
from poq_abm.network.ledger import BLOCK_ROUNDS, Ledger, open_ledger
from poq_abm.network.model import PoQModel
from poq_abm.network.trace import Trace, open_trace
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario

property_test = settings(deadline=None, derandomize=True, max_examples=120)


class Play(NamedTuple):
    """Something to play, drawn at random."""

    scenario: Scenario
    profile: Profile
    replication: int
    start: int
    lengths: tuple[int, ...]


coefficients = st.floats(0.0, 10.0) | st.sampled_from([0.0, 1.0, 1e-9, 1e9])
weights = st.floats(1e-3, 1e3) | st.just(1.0)
stretches = st.lists(st.integers(0, 90), min_size=1, max_size=4).filter(sum)
starts = st.one_of(
    st.just(0),
    st.integers(0, 1000),
    st.integers(1, 5).map(lambda block: block * BLOCK_ROUNDS - 40),  # a block is folded on the way
    st.just(2**32 - 40),
    st.integers(0, MAX_ROUNDS - 1000),
)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    return small_profile(
        records=tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))),
        models=draw(st.integers(1, 3)),
        evaluators=draw(st.integers(1, 4)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@st.composite
def groups(draw: st.DrawFn, models: tuple[str, ...], *, weighted: bool) -> list[dict[str, Any]]:
    chosen = draw(st.lists(st.sampled_from(models), min_size=1, max_size=4))
    counts = draw(
        st.lists(st.integers(0, 4), min_size=len(chosen), max_size=len(chosen)).filter(any)
    )
    entries = [{"model": m, "count": n} for m, n in zip(chosen, counts, strict=True)]
    return [{**entry, "weight": draw(weights)} if weighted else entry for entry in entries]


@st.composite
def task_shares(draw: st.DrawFn, tasks: tuple[str, ...]) -> dict[str, float] | None:
    if draw(st.booleans()):
        return None
    chosen = draw(st.permutations(tasks))[: draw(st.integers(1, len(tasks)))]
    parts = draw(
        st.lists(st.integers(0, 8), min_size=len(chosen), max_size=len(chosen)).filter(any)
    )
    return {task: part / sum(parts) for task, part in zip(chosen, parts, strict=True)}


@st.composite
def plays(draw: st.DrawFn) -> Play:
    profile = draw(profiles() | st.just(poq_abm.load_profile("published")))
    evaluators = draw(groups(profile.evaluators, weighted=False))
    scenario = published(
        seed=draw(st.integers(0, MAX_SEED)),
        tasks=draw(task_shares(profile.tasks)),
        schedule=draw(st.sampled_from(["uniform", "round_robin", "weighted"])),
        population={
            "inference": draw(groups(profile.models, weighted=True)),
            "evaluators": evaluators,
        },
        mechanism={
            "committee_size": draw(st.integers(1, sum(entry["count"] for entry in evaluators))),
            "reference": draw(st.sampled_from(["inclusive", "leave_one_out"])),
            "alpha_inference": draw(coefficients),
            "beta_inference": draw(coefficients),
            "alpha_evaluator": draw(coefficients),
            "beta_evaluator": draw(coefficients),
        },
    )
    replication = draw(st.integers(0, 3) | st.integers(0, MAX_REPLICATIONS - 1))
    return Play(scenario, profile, replication, draw(starts), tuple(draw(stretches)))


def by_agents(play: Play) -> tuple[Ledger, Trace]:
    model = PoQModel(play.scenario, replication=play.replication, profile=play.profile)
    model.rounds_played = play.start
    trace = open_trace(sum(play.lengths), model.game.rules.committee_size)
    model.run_agents(play.start + sum(play.lengths), trace)
    return model.ledger, trace


def by_loop(play: Play) -> tuple[Ledger, Trace]:
    game = game_of(play.scenario, play.profile)
    last = play.start + sum(play.lengths)
    return play_compiled(game, play.scenario, play.start, last, replication=play.replication)


def assert_same_play(one: tuple[Ledger, Trace], other: tuple[Ledger, Trace]) -> None:
    assert_same_bits(one[1], other[1])
    assert_same_bits(one[0], other[0])  # both levels, not only their sum
    assert np.array_equal(one[0].nodes(), other[0].nodes())
    assert np.array_equal(one[0].network(), other[0].network())


@property_test
@given(plays())
def test_agents_and_compiled_loop_leave_the_same_bits(play: Play) -> None:
    assert_same_play(by_agents(play), by_loop(play))


@property_test
@given(plays(), st.integers(0, 1))
def test_engines_can_take_turns_at_any_round(play: Play, turn: int) -> None:
    model = PoQModel(play.scenario, replication=play.replication, profile=play.profile)
    model.rounds_played = play.start
    for i, length in enumerate(play.lengths):
        until = model.rounds_played + length
        if i % 2 == turn:
            model.run(until)
        else:
            model.run_agents(until)
        assert model.rounds_played == until
    assert_same_bits(model.ledger, by_loop(play)[0])


@property_test
@given(plays())
def test_chunks_of_the_compiled_loop_do_not_matter(play: Play) -> None:
    whole, trace = by_loop(play)
    game = game_of(play.scenario, play.profile)
    ledger, first, pieces = open_ledger(game.population.size), play.start, []
    for length in play.lengths:
        piece = play_compiled(
            game,
            play.scenario,
            first,
            first + length,
            replication=play.replication,
            ledger=ledger,
        )
        pieces.append(piece[1])
        first += length
    assert_same_bits(
        Trace(*(np.concatenate(column) for column in zip(*pieces, strict=True))), trace
    )
    assert_same_bits(ledger, whole)


@property_test
@given(plays())
def test_every_play_is_within_its_bounds(play: Play) -> None:
    """What must hold of any game with honest nodes, so that equal bits are not equally wrong."""
    game = game_of(play.scenario, play.profile)
    ledger, trace = by_loop(play)
    rounds, size = sum(play.lengths), game.rules.committee_size
    first = game.population.inference_count
    tasks = np.array([play.profile.tasks.index(task) for task in game.tasks])
    assert np.array_equal(play.profile.task_of_record[trace.record], tasks[trace.task])
    assert np.all((trace.node >= 0) & (trace.node < first))
    assert np.all((trace.committee >= first) & (trace.committee < game.population.size))
    assert all(len(set(committee)) == size for committee in trace.committee.tolist())
    model, runs = game.nodes.model[trace.node], game.nodes.evaluator[trace.committee - first]
    assert np.array_equal(trace.truth, play.profile.truth[trace.record, model])
    table = play.profile.scores[trace.record[:, None], model[:, None], runs]
    assert np.array_equal(trace.scores, table)
    # A mean of at most 16 scores: sums in another order differ by less than 1e-14 of 10.
    assert np.allclose(trace.consensus, table.mean(axis=1), rtol=0.0, atol=1e-13)
    assert np.all(trace.inference_reward <= game.rules.alpha_inference)
    assert np.all(trace.inference_reward >= -game.rules.beta_inference)
    assert np.all(trace.evaluator_rewards <= game.rules.alpha_evaluator)
    assert np.all(trace.evaluator_rewards >= -game.rules.beta_evaluator)
    jobs = ledger.nodes()[:, 0]
    assert (jobs[:first].sum(), jobs[first:].sum()) == (rounds, rounds * size)


def test_the_whole_first_block_is_folded_alike() -> None:
    """Once for real, from round 0: 65,536 rounds in the block, 104 more after it."""
    scenario = published(
        seed=5,
        mechanism__committee_size=1,
        population={
            "inference": [{"model": "phi3_mini_4k"}, {"model": "qwen2_1_5b"}],
            "evaluators": [{"model": "sts_stsb"}, {"model": "ce_minilm"}],
        },
    )
    game, last = game_of(scenario), BLOCK_ROUNDS + 104
    model = PoQModel(scenario, game=game)
    trace = open_trace(last, 1)
    model.run_agents(last, trace)
    assert model.ledger.node_total[:2, 0].sum() == BLOCK_ROUNDS
    assert model.ledger.node_block[:2, 0].sum() == 104
    assert_same_play((model.ledger, trace), play_compiled(game, scenario, 0, last))


INTERPRETED = """
import sys
sys.path.insert(0, sys.argv[1])
import hashlib
from network_support import game_of, play_compiled, published
for reference, schedule, size in (("inclusive", "weighted", 3), ("leave_one_out", "uniform", 2)):
    scenario = published(mechanism__reference=reference, schedule=schedule,
                         mechanism__committee_size=size)
    ledger, trace = play_compiled(game_of(scenario), scenario, 65_400, 65_600)
    for column in (*ledger, *trace):
        print(hashlib.sha256(column.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_loop_leaves_the_same_bits_when_python_runs_it() -> None:
    """The loop is ordinary Python: compiling it changes its speed and no bit of its results."""
    support = str(Path(__file__).parents[1] / "network")
    shown = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", INTERPRETED, support],
            env={**os.environ, "NUMBA_DISABLE_JIT": switch},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for switch in ("0", "1")
    ]
    assert shown[0] == shown[1]
    assert shown[0].count("\n") == 2 * (4 + 9)
