"""Contract 4.1: what changes in a scenario changes nothing else in the luck of its rounds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_support import (
    assert_same_bits,
    game_of,
    play_compiled,
    published,
    rows,
    small_profile,
)

from poq_abm.limits import MAX_REPLICATIONS, MAX_ROUNDS, MAX_SEED
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.replication import Trace

property_test = settings(deadline=None, derandomize=True, max_examples=50)
keys = st.tuples(
    st.integers(0, MAX_SEED),
    st.integers(0, MAX_REPLICATIONS - 1),
    st.integers(0, 10**6) | st.integers(0, MAX_ROUNDS - 1000),
)

ROUNDS = 200
DRAWS = ("task", "record", "node", "committee")
PROFILE = small_profile(records=(7, 5), models=3, evaluators=3, seed=4)
POPULATION = {
    "inference": [{"model": "f0", "count": 2}, {"model": "f1", "weight": 3.0}, {"model": "f2"}],
    "evaluators": [{"model": "m0", "count": 3}, {"model": "m1", "count": 2}, {"model": "m2"}],
}


def trace_of(key: tuple[int, int, int] = (1, 0, 0), count: int = ROUNDS, **settings: Any) -> Trace:
    seed, replication, first = key
    scenario = published(seed=seed, **{"population": POPULATION, **settings})
    game = game_of(scenario, PROFILE)
    return play_compiled(game, scenario, first, first + count, replication=replication)[1]


def assert_same_columns(one: Trace, other: Trace, columns: tuple[str, ...]) -> None:
    for column in columns:
        assert np.array_equal(getattr(one, column), getattr(other, column)), column


@property_test
@given(keys, st.integers(1, 6), st.sampled_from(["uniform", "round_robin", "weighted"]))
def test_another_k_keeps_record_node_and_the_first_members(
    key: tuple[int, int, int], size: int, schedule: str
) -> None:
    whole = trace_of(key, mechanism__committee_size=6, schedule=schedule)
    part = trace_of(key, mechanism__committee_size=size, schedule=schedule)
    assert_same_columns(part, whole, ("task", "record", "node", "truth"))
    assert np.array_equal(part.committee, whole.committee[:, :size])
    assert np.array_equal(part.scores, whole.scores[:, :size])


@pytest.mark.parametrize(
    "change",
    [
        {"mechanism__reference": "leave_one_out"},
        {"mechanism__aggregation": "mean"},
        {"mechanism__aggregation": "median"},
        {"mechanism__aggregation": "trust_weighted", "mechanism__trust": {"update": "hedge"}},
        {"mechanism__trust": {"update": "gold", "per_task": True, "gold_share": 0.5}},
        {"mechanism__alpha_inference": 7.0},
        {"mechanism__beta_inference": 0.0},
        {"mechanism__alpha_evaluator": 0.5},
        {"mechanism__beta_evaluator": 2.0},
        {"rounds": 77},
        {"replications": 3},
    ],
    ids=lambda change: next(iter(change)),
)
@property_test
@given(key=keys)
def test_rules_and_coefficients_leave_every_draw_and_score(
    change: dict[str, Any], key: tuple[int, int, int]
) -> None:
    columns = (*DRAWS, "scores", "truth")
    assert_same_columns(trace_of(key), trace_of(key, **change), columns)


LIAR = {"name": "intermittent", "p": 0.5, "inner": {"name": "noise", "sigma": 2.0}}
SPREAD = {"noise_sd": 0.5, "bias_sd": 0.5}
SPREAD_OUT = [{**group, **SPREAD} for group in POPULATION["evaluators"]]


@property_test
@given(keys, st.integers(1, 6), st.sampled_from(["uniform", "round_robin", "weighted"]))
def test_another_k_keeps_noise_and_misreports_of_the_first_members(
    key: tuple[int, int, int], size: int, schedule: str
) -> None:
    changes = {
        "population": {**POPULATION, "evaluators": SPREAD_OUT},
        "malicious": {"share": 0.5, "behaviour": LIAR},
        "schedule": schedule,
    }
    whole = trace_of(key, mechanism__committee_size=6, **changes)
    part = trace_of(key, mechanism__committee_size=size, **changes)
    assert_same_columns(part, whole, ("task", "record", "node", "truth"))
    assert np.array_equal(part.committee, whole.committee[:, :size])
    assert np.array_equal(part.scores, whole.scores[:, :size])


@pytest.mark.parametrize("name", ["boost", "noise", "copycat", "collude", "constant"])
@property_test
@given(key=keys, group=st.integers(0, 2))
def test_one_groups_behaviour_leaves_every_draw_and_all_other_scores(
    name: str, key: tuple[int, int, int], group: int
) -> None:
    deviating = [dict(entry) for entry in SPREAD_OUT]
    deviating[group]["behaviour"] = {"name": name}
    one = trace_of(key, population={**POPULATION, "evaluators": SPREAD_OUT})
    other = trace_of(key, population={**POPULATION, "evaluators": deviating})
    assert_same_columns(one, other, (*DRAWS, "truth"))
    first = np.cumsum([4, 3, 2, 1])[group]  # inference nodes, then groups of 3, 2 and 1
    own = (other.committee >= first) & (other.committee < first + 3 - group)
    assert 0 < own.sum() < own.size
    assert np.array_equal(one.scores[~own], other.scores[~own])
    assert not np.array_equal(one.scores[own], other.scores[own])


@property_test
@given(keys)
def test_a_larger_malicious_share_leaves_the_smaller_ones_reports(
    key: tuple[int, int, int],
) -> None:
    """Each step adds a liar; those who are honest under both shares report the same."""
    traces = [
        trace_of(key, malicious={"share": count / 6, "behaviour": LIAR}) for count in range(7)
    ]
    for few, more in pairwise(traces):
        assert_same_columns(few, more, (*DRAWS, "truth"))
        changed = np.unique(few.committee[few.scores != more.scores])
        assert changed.size == 1


@property_test
@given(keys)
def test_a_schedule_moves_the_node_and_nothing_else_that_is_drawn(
    key: tuple[int, int, int],
) -> None:
    traces = [trace_of(key, schedule=s) for s in ("uniform", "round_robin", "weighted")]
    for trace in traces[1:]:
        assert_same_columns(trace, traces[0], ("task", "record", "committee"))
        assert not np.array_equal(trace.node, traces[0].node)


@property_test
@given(keys)
def test_task_shares_leave_node_and_committee(key: tuple[int, int, int]) -> None:
    one, other = trace_of(key), trace_of(key, tasks={"t0": 0.25, "t1": 0.75})
    assert_same_columns(one, other, ("node", "committee"))
    same = one.task == other.task
    assert 0.5 < same.mean() < 1.0  # a quarter of the rounds changes its task
    assert np.array_equal(one.record[same], other.record[same])


@property_test
@given(keys)
def test_more_inference_nodes_leave_record_and_committee(key: tuple[int, int, int]) -> None:
    more = [*POPULATION["inference"], {"model": "f0", "count": 4}]
    population = {**POPULATION, "inference": more}
    one, other = trace_of(key), trace_of(key, population=population)
    assert_same_columns(one, other, ("task", "record"))
    assert np.array_equal(one.committee - 4, other.committee - 8)


@property_test
@given(keys)
def test_more_evaluators_leave_record_and_node(key: tuple[int, int, int]) -> None:
    population = {**POPULATION, "evaluators": [{"model": "m0", "count": 30}]}
    one, other = trace_of(key), trace_of(key, population=population)
    assert_same_columns(one, other, ("task", "record", "node"))


@property_test
@given(keys, st.integers(0, ROUNDS - 1))
def test_a_round_can_be_replayed_by_itself(key: tuple[int, int, int], row: int) -> None:
    seed, replication, first = key
    whole = trace_of(key)
    alone = trace_of((seed, replication, first + row), count=1)
    assert_same_bits(alone, rows(whole, slice(row, row + 1)))

    scenario = published(seed=seed, population=POPULATION)
    model = PoQModel(scenario, replication=replication, profile=PROFILE)
    model.rounds, model.rounds_played = first + row + 1, first + row
    model.step()
    assert model.last_round is not None
    for column in Trace._fields:
        assert np.array_equal(getattr(model.last_round, column), getattr(whole, column)[row])


@property_test
@given(keys, st.integers(0, 300))
def test_rounds_can_be_played_in_any_order(key: tuple[int, int, int], turn: int) -> None:
    seed, replication, first = key
    whole = trace_of(key, count=30)
    order = np.random.default_rng(turn).permutation(30)
    for row in order[:10].tolist():
        alone = trace_of((seed, replication, first + row), count=1)
        assert_same_bits(alone, rows(whole, slice(row, row + 1)))


@property_test
@given(keys, st.data())
def test_replications_and_seeds_differ(key: tuple[int, int, int], data: st.DataObject) -> None:
    """200 rounds of 12 records agree by chance with probability below 12**-200 or so."""
    seed, replication, first = key
    others = [
        (seed, (replication + data.draw(st.integers(1, 2**32 - 1))) % 2**32, first),
        ((seed + data.draw(st.integers(1, 2**63 - 1))) % 2**63, replication, first),
        (seed, replication, first + 1),
    ]
    drawn = trace_of(key)
    for other in others:
        trace = trace_of(other)
        for column in DRAWS:
            assert not np.array_equal(getattr(trace, column), getattr(drawn, column)), column


def test_treatments_of_a_sweep_share_their_luck() -> None:
    scenario = published(rounds=ROUNDS).replace(
        {"sweep": {"mechanism.committee_size": [1, 2, 3], "mechanism.beta_inference": [0.0, 1.0]}}
    )
    traces = []
    for treatment in scenario.treatments():
        played = treatment.scenario
        traces.append(play_compiled(game_of(played), played, 0, played.rounds)[1])
    assert len(traces) == 6
    for trace in traces:
        assert_same_columns(trace, traces[0], ("task", "record", "node", "truth"))
        size = trace.committee.shape[1]
        assert np.array_equal(trace.committee, traces[-1].committee[:, :size])
