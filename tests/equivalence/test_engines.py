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
from network_support import (
    assert_same_bits,
    game_of,
    memory_of,
    model_of,
    play_compiled,
    published,
    small_profile,
)

import poq_abm
from poq_abm.limits import MAX_REPLICATIONS, MAX_ROUNDS, MAX_SEED
from poq_abm.profile import Profile
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.registry import shipped
from poq_abm.rules.trust import TRUST_REFERENCE, TRUST_UPDATE
from poq_abm.scenario import Scenario
from poq_abm.simulation.arrays import EvaluatorColumn, InferenceColumn
from poq_abm.simulation.batch_counts import BatchCounts
from poq_abm.simulation.histograms import Histograms
from poq_abm.simulation.ledger import BLOCK_ROUNDS, Ledger, open_ledger
from poq_abm.simulation.replication import Counter, Memory, State, Trace, open_trace

property_test = settings(deadline=None, derandomize=True, max_examples=120)

RULES = list(shipped(AGGREGATION))
UPDATES = list(shipped(TRUST_UPDATE))
REFERENCES = list(shipped(TRUST_REFERENCE))


class Play(NamedTuple):
    """Something to play, drawn at random."""

    scenario: Scenario
    profile: Profile
    replication: int
    start: int
    lengths: tuple[int, ...]


NEAR = 1000  # a play that starts here has a trust log of a reasonable size
coefficients = st.floats(0.0, 10.0) | st.sampled_from([0.0, 1.0, 1e-9, 1e9])
weights = st.floats(1e-3, 1e3) | st.just(1.0)
stretches = st.lists(st.integers(0, 90), min_size=1, max_size=4).filter(sum)
starts = st.one_of(
    st.just(0),
    st.integers(0, NEAR),
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
def groups(draw: st.DrawFn, models: tuple[str, ...], kind: str) -> list[dict[str, Any]]:
    """Groups of nodes, some without a node; labels are ``kind`` and a number."""
    chosen = draw(st.lists(st.sampled_from(models), min_size=1, max_size=4))
    counts = draw(
        st.lists(st.integers(0, 4), min_size=len(chosen), max_size=len(chosen)).filter(any)
    )
    pairs = enumerate(zip(chosen, counts, strict=True))
    return [{"name": f"{kind}{i}", "model": m, "count": n} for i, (m, n) in pairs]


points = st.floats(0.0, 10.0) | st.sampled_from([0.0, 3.0, 10.0])
chances = st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.3, 1.0])
levels = st.floats(0.0, 6.0)
spreads = st.just(0.0) | st.floats(0.0, 4.0)


def acts(labels: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """What an evaluator can do by itself."""
    return st.one_of(
        st.just({"name": "honest"}),
        st.just({"name": "copycat"}),
        st.fixed_dictionaries({"name": st.just("noise"), "sigma": st.floats(0.0, 20.0)}),
        st.fixed_dictionaries({"name": st.sampled_from(["boost", "sabotage"]), "b": points}),
        st.fixed_dictionaries({"name": st.just("constant"), "score": points}),
        st.fixed_dictionaries(
            {"name": st.just("linear_report"), "a": points, "b": st.floats(-3.0, 3.0)},
            optional={"g": st.floats(-2.0, 2.0), "h": points},
        ),
        st.fixed_dictionaries(
            {"name": st.just("collude"), "b": points},
            optional={"favour": st.sampled_from(labels)},
        ),
    )


def gates(labels: list[str]) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    """The parameters of what turns another behaviour on and off."""
    return {
        "intermittent": st.fixed_dictionaries({"p": chances}),
        "sleeper": st.fixed_dictionaries({"trust": levels, "jobs": st.integers(0, 40)}),
        "targeted": st.fixed_dictionaries({"group": st.sampled_from(labels)}),
        "whitewash": st.fixed_dictionaries({"below": levels}),
    }


@st.composite
def evaluator_behaviours(draw: st.DrawFn, labels: list[str]) -> dict[str, Any]:
    """One of the twelve, nested up to four deep; each gate at most once, in any order."""
    spec = draw(acts(labels))
    known = gates(labels)
    names = draw(st.lists(st.sampled_from(sorted(known)), unique=True, max_size=3))
    if spec["name"] == "collude" and "targeted" in names:
        names.remove("targeted")  # both say which group is meant
    for name in names:
        spec = {"name": name, **draw(known[name]), "inner": spec}
    return spec


def inference_behaviours(models: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.just({"name": "honest"}),
        st.fixed_dictionaries({"name": st.just("downgrade"), "model": st.sampled_from(models)}),
        st.fixed_dictionaries({"name": st.just("judge_hack"), "b": points}),
        st.fixed_dictionaries({"name": st.just("hack"), "pressure": points, "gain": levels}),
        st.fixed_dictionaries({"name": st.just("freeload"), "score": points}),
        st.fixed_dictionaries({"name": st.just("misreport_cost"), "factor": chances}),
    )


@st.composite
def trusts(draw: st.DrawFn) -> dict[str, Any]:
    low, start, high = sorted(draw(st.tuples(*[st.floats(0.01, 6.0)] * 3)))
    return {
        "update": draw(st.sampled_from(UPDATES)),
        "rate": draw(st.floats(0.01, 1.0)),
        "minimum": low,
        "start": start,
        "maximum": high,
        "reference": draw(st.sampled_from(REFERENCES)),
        "per_task": draw(st.booleans()),
        "gold_share": draw(st.floats(0.0, 1.0)),
    }


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
def plays(draw: st.DrawFn, *, plain: bool = False) -> Play:
    """Honest, deterministic play under the mean where ``plain``, anything otherwise."""
    profile = draw(profiles() | st.just(poq_abm.load_profile("published")))
    evaluators = draw(groups(profile.evaluators, "e"))
    inference = [{**group, "weight": draw(weights)} for group in draw(groups(profile.models, "i"))]
    start, lengths = draw(starts), tuple(draw(stretches))
    changes: dict[str, Any] = {
        "seed": draw(st.integers(0, MAX_SEED)),
        "tasks": draw(task_shares(profile.tasks)),
        "schedule": draw(st.sampled_from(["uniform", "round_robin", "weighted"])),
    }
    mechanism: dict[str, Any] = {
        "committee_size": draw(st.integers(1, sum(entry["count"] for entry in evaluators))),
        "reference": draw(st.sampled_from(["inclusive", "leave_one_out"])),
        "alpha_inference": draw(coefficients),
        "beta_inference": draw(coefficients),
        "alpha_evaluator": draw(coefficients),
        "beta_evaluator": draw(coefficients),
    }
    if not plain:
        mechanism |= {
            "aggregation": draw(st.sampled_from(RULES)),
            "tau": draw(st.floats(0.0, 0.49)),
            "huber_bend": draw(st.floats(0.1, 5.0)),
            "mad_cutoff": draw(st.floats(0.1, 5.0)),
            "kappa": draw(st.floats(0.01, 1.0)),
            "trust": draw(trusts()),
        }
        if start <= NEAR:  # a log has room for all rounds from the first
            changes["rounds"] = start + sum(lengths)
            mechanism["trust"]["interval"] = draw(st.integers(0, 50))
        labels = [group["name"] for group in inference if group["count"]]
        for group in inference:
            group["behaviour"] = draw(inference_behaviours(profile.models))
        for group in evaluators:
            group["behaviour"] = draw(evaluator_behaviours(labels))
            group |= {"bias_sd": draw(spreads), "noise_sd": draw(spreads), "stake": draw(weights)}
        if draw(st.booleans()):
            share, behaviour = draw(chances), draw(evaluator_behaviours(labels))
            changes["malicious"] = {"share": share, "behaviour": behaviour}
    population = {"inference": inference, "evaluators": evaluators}
    scenario = published(population=population, mechanism=mechanism, **changes)
    replication = draw(st.integers(0, 3) | st.integers(0, MAX_REPLICATIONS - 1))
    return Play(scenario, profile, replication, start, lengths)


class Left(NamedTuple):
    """What a play leaves."""

    ledger: Ledger
    memory: Memory
    trace: Trace


def by_agents(play: Play) -> Left:
    game = game_of(play.scenario, play.profile)
    model = model_of(game, play.scenario, play.replication, play.start)
    trace = open_trace(sum(play.lengths), game.rules.committee_size)
    model.run_agents(play.start + sum(play.lengths), trace)
    return Left(model.ledger, model.memory, trace)


def by_loop(play: Play, *, plain: bool | None = None) -> Left:
    game = game_of(play.scenario, play.profile)
    memory = memory_of(game, play.scenario, play.replication)
    stretch = (game, play.scenario, play.start, play.start + sum(play.lengths))
    ledger, trace = play_compiled(
        *stretch, replication=play.replication, memory=memory, plain=plain
    )
    return Left(ledger, memory, trace)


def assert_same_play(one: Left, other: Left) -> None:
    assert_same_bits(one.trace, other.trace)
    assert_same_bits(one.ledger, other.ledger)  # both levels, not only their sum
    assert_same_bits(one.memory, other.memory)
    assert np.array_equal(one.ledger.nodes(), other.ledger.nodes())
    assert np.array_equal(one.ledger.network(), other.ledger.network())


@property_test
@given(plays())
def test_agents_and_compiled_loop_leave_the_same_bits(play: Play) -> None:
    assert_same_play(by_agents(play), by_loop(play))


@property_test
@given(plays(plain=True))
def test_honest_agents_and_the_plain_loop_leave_the_same_bits(play: Play) -> None:
    assert game_of(play.scenario, play.profile).plain
    assert_same_play(by_agents(play), by_loop(play))


@property_test
@given(plays(plain=True))
def test_the_plain_and_the_full_loop_keep_the_same_accounts(play: Play) -> None:
    """Honest play through every column of conduct changes no bit that is paid or shown."""
    plain, full = by_loop(play, plain=True), by_loop(play, plain=False)
    assert_same_bits(plain.trace, full.trace)
    assert_same_bits(plain.ledger, full.ledger)
    assert_same_bits(plain.memory.histograms, full.memory.histograms)
    assert not plain.memory.state.any()
    jobs = full.ledger.nodes()[-len(full.memory.state) :, 0]
    assert np.array_equal(full.memory.state[:, State.JOBS], jobs)


@property_test
@given(plays(), st.integers(0, 2))
def test_engines_can_take_turns_at_any_round(play: Play, turn: int) -> None:
    game = game_of(play.scenario, play.profile)
    model = model_of(game, play.scenario, play.replication, play.start)
    for i, length in enumerate(play.lengths):
        until = model.rounds_played + length
        if (i + turn) % 3 == 0:
            model.run(until)
        elif (i + turn) % 3 == 1:
            model.run_agents(until)
        else:
            for _ in range(length):
                model.step()
        assert model.rounds_played == until
    whole = by_loop(play)
    assert_same_bits(model.ledger, whole.ledger)
    assert_same_bits(model.memory, whole.memory)


@property_test
@given(plays())
def test_chunks_of_the_compiled_loop_do_not_matter(play: Play) -> None:
    whole = by_loop(play)
    game = game_of(play.scenario, play.profile)
    ledger, first, pieces = open_ledger(game.population.size), play.start, []
    memory = memory_of(game, play.scenario, play.replication)
    for length in play.lengths:
        stretch = (game, play.scenario, first, first + length)
        accounts = {"ledger": ledger, "memory": memory}
        pieces.append(play_compiled(*stretch, replication=play.replication, **accounts)[1])
        first += length
    trace = Trace(*(np.concatenate(column) for column in zip(*pieces, strict=True)))
    assert_same_play(Left(ledger, memory, trace), whole)


@property_test
@given(plays(plain=True))
def test_every_plain_play_is_within_its_bounds(play: Play) -> None:
    """What must hold of any game with honest nodes, so that equal bits are not equally wrong."""
    game = game_of(play.scenario, play.profile)
    ledger, _, trace = by_loop(play)
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


@property_test
@given(plays())
def test_every_play_is_within_its_bounds(play: Play) -> None:
    """What must hold whatever nodes do: scores, consensus, trust and counters."""
    game = game_of(play.scenario, play.profile)
    ledger, memory, trace = by_loop(play)
    rules, rounds, first = game.rules, sum(play.lengths), game.population.inference_count
    low, high = trace.scores.min(axis=1), trace.scores.max(axis=1)
    assert np.all((low >= 0.0) & (high <= 10.0))
    # Up to 16 scores of at most 10 are weighed and added: rounding stays below 1e-13.
    assert np.all((trace.consensus >= low - 1e-13) & (trace.consensus <= high + 1e-13))
    fixed = ~np.isnan(game.conduct.inference[:, InferenceColumn.FIXED])
    truth = play.profile.truth[trace.record, game.nodes.model[trace.node]]
    lift = game.conduct.inference[trace.node, InferenceColumn.TRUTH_LIFT]
    truth = np.clip(truth + lift, 0.0, 10.0)
    assert np.array_equal(trace.truth, np.where(fixed[trace.node], 0.0, truth))
    trust = play.scenario.mechanism.trust
    assert np.all((memory.trust >= trust.minimum) & (memory.trust <= trust.maximum))
    if game.plain:
        return
    jobs = ledger.nodes()[first:, 0]
    assert np.array_equal(memory.state[:, State.JOBS], jobs)
    assert np.all(memory.state[:, State.SEEN] <= 10.0 * jobs)
    malicious = game.conduct.evaluators[trace.committee - first, EvaluatorColumn.MALICIOUS].sum(
        axis=1
    )
    majority = (2 * malicious > rules.committee_size).sum()
    assert memory.counters[Counter.MAJORITY] == majority <= rounds
    assert memory.counters[Counter.SATURATED] == (memory.trust >= rules.trust_maximum).sum()
    never = memory.state[:, State.IDENTITIES] == 0.0
    honest = np.isneginf(game.conduct.evaluators[:, EvaluatorColumn.RESET_TRUST])
    assert np.all(never[honest])
    if rules.trust_interval > 0:
        due = [r + 1 for r in range(play.start, play.start + rounds)]
        written = [r // rules.trust_interval - 1 for r in due if r % rules.trust_interval == 0]
        assert not np.isnan(memory.trust_log[written]).any()
        assert np.isnan(np.delete(memory.trust_log, written, axis=0)).all()
    if not rules.trust_learns:
        assert np.all(memory.trust == rules.trust_start)


# ----------------------------------------------------------- every rule, update and behaviour once

PROFILE = small_profile(records=(7, 5), models=3, evaluators=3, seed=4)
EVALUATORS = [{"model": f"m{i % 3}", "name": f"e{i}", "count": 2} for i in range(4)]
INFERENCE = [{"model": f"f{i}", "name": f"i{i}"} for i in range(3)]
ROUNDS = 120
#: what each behaviour needs or takes to show in a short play
SETTINGS: dict[str, dict[str, Any]] = {
    "intermittent": {"p": 0.5, "inner": {"name": "noise", "sigma": 1.0}},
    "sleeper": {"trust": 1.01, "jobs": 5, "inner": {"name": "collude"}},
    "targeted": {"group": "i1", "inner": {"name": "intermittent", "p": 0.7}},
    "collude": {"favour": "i2"},
    "linear_report": {"a": 3, "b": 0.7, "g": 0.2, "h": 2, "group": "i1", "p": 0.8, "trust": 0.99},
    "whitewash": {"below": 0.97, "inner": {"name": "sabotage", "b": 9.0}},
    "downgrade": {"model": "f0"},
}


def played(mechanism: dict[str, Any], **changes: Any) -> tuple[Play, Left]:
    """Play a treatment with both engines, hold them to each other, and return what is left."""
    population = {
        "inference": changes.pop("inference", INFERENCE),
        "evaluators": changes.pop("evaluators", EVALUATORS),
    }
    mechanism = {"committee_size": 5, **mechanism}
    scenario = published(rounds=ROUNDS, population=population, mechanism=mechanism, **changes)
    play = Play(scenario, PROFILE, 1, 0, (ROUNDS,))
    left = by_loop(play)
    assert_same_play(by_agents(play), left)
    return play, left


@pytest.mark.parametrize("reference", ["inclusive", "leave_one_out"])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_one_rule_on_both_engines(rule: str, reference: str) -> None:
    heavy = [{**group, "stake": 1.0 + i} for i, group in enumerate(EVALUATORS)]
    trust = {"update": "relative", "rate": 0.5}
    mechanism = {"aggregation": rule, "reference": reference, "trust": trust, "tau": 0.3}
    left = played(mechanism, evaluators=heavy)[1]
    mean = played({**mechanism, "aggregation": "mean"}, evaluators=heavy)[1]
    same = np.array_equal(left.trace.consensus, mean.trace.consensus)
    assert same == (rule == "mean")  # the rule was asked at all


@pytest.mark.parametrize("per_task", [False, True])
@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("update", UPDATES)
def test_every_update_is_one_update_on_both_engines(
    update: str, reference: str, per_task: bool
) -> None:
    trust = {"update": update, "reference": reference, "per_task": per_task, "interval": 7}
    mechanism = {"aggregation": "trust_weighted", "trust": {**trust, "gold_share": 0.5}}
    play, left = played(mechanism)
    columns = 2 if per_task else 1
    assert left.memory.trust_log.shape == (ROUNDS // 7, 8, columns)
    learnt = left.memory.trust_log[-1] != play.scenario.mechanism.trust.start
    assert learnt.all() == (update != "none")
    assert learnt.any() == (update != "none")


@pytest.mark.parametrize("name", sorted(shipped(BEHAVIOURS["evaluator"])))
def test_every_evaluator_behaviour_is_one_on_both_engines(name: str) -> None:
    spec = {"name": name, **SETTINGS.get(name, {})}
    mechanism = {"trust": {"update": "multiplicative", "rate": 0.5, "interval": 11}}
    malicious = {"share": 0.5, "behaviour": spec}
    left = played(mechanism, malicious=malicious)[1]
    honest = played(mechanism)[1]
    same = np.array_equal(left.trace.scores, honest.trace.scores)
    assert same == (name == "honest")  # the behaviour was played at all


@pytest.mark.parametrize("name", sorted(shipped(BEHAVIOURS["inference"])))
def test_every_inference_behaviour_is_one_on_both_engines(name: str) -> None:
    spec = {"name": name, **SETTINGS.get(name, {})}
    deviating = [*INFERENCE[:2], {**INFERENCE[2], "behaviour": spec}]
    if name == "misreport_cost":  # the dearest node has a cost to misreport
        deviating = [{**group, "behaviour": spec} for group in INFERENCE]
    trace, honest = played({}, inference=deviating)[1].trace, played({})[1].trace
    same = np.array_equal(trace.inference_reward, honest.inference_reward)
    assert same == (name == "honest")


def test_bias_and_noise_are_one_on_both_engines() -> None:
    spread = [{**group, "bias_sd": 1.0, "noise_sd": 0.5} for group in EVALUATORS]
    left, honest = played({}, evaluators=spread)[1], played({})[1]
    assert not np.array_equal(left.trace.scores, honest.trace.scores)
    assert np.unique(left.memory.state[:, State.BIAS]).size == 8


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
    model = model_of(game, scenario)
    trace = open_trace(last, 1)
    model.run_agents(last, trace)
    assert model.ledger.node_total[:2, 0].sum() == BLOCK_ROUNDS
    assert model.ledger.node_block[:2, 0].sum() == 104
    ledger, by_the_loop = play_compiled(game, scenario, 0, last)
    assert_same_bits(trace, by_the_loop)
    assert_same_bits(model.ledger, ledger)


INTERPRETED = """
import sys
sys.path.insert(0, sys.argv[1])
import hashlib
from network_support import game_of, memory_of, play_compiled, published
liars = {"share": 0.7, "behaviour": {"name": "intermittent", "p": 0.5, "inner": "noise"}}
rich = {"mechanism__trust": {"update": "hedge", "reference": "median", "interval": 50},
        "mechanism__aggregation": "trust_weighted_median", "malicious": liars, "rounds": 65_600}
for reference, schedule, size, changes in (
    ("inclusive", "weighted", 3, {"mechanism__evaluator_reward": "dmi"}),
    ("leave_one_out", "uniform", 2, {}),
    ("leave_one_out", "uniform", 3, rich),
    ("inclusive", "uniform", 3, {**rich, "mechanism__aggregation": "huber",
                                 "mechanism__evaluator_reward": "peer_correlation"}),
):
    scenario = published(mechanism__reference=reference, schedule=schedule,
                         mechanism__committee_size=size, **changes)
    game = game_of(scenario)
    memory = memory_of(game, scenario)
    ledger, trace = play_compiled(game, scenario, 65_400, 65_600, memory=memory)
    for column in (*ledger, *trace, *memory[:4], *memory.histograms, *memory.counts):
        print(hashlib.sha256(column.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_loop_leaves_the_same_bits_when_python_runs_it() -> None:
    """The loop is ordinary Python: compiling it changes its speed and no bit of its results."""
    support = str(Path(__file__).parents[1] / "support")
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
    kinds = (Ledger, Trace, Memory, Histograms, BatchCounts)  # the last two lie in the memory
    assert shown[0].count("\n") == 4 * (sum(len(kind._fields) for kind in kinds) - 2)
