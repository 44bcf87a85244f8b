from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from network_support import game_of, memory_of, play_compiled, published, small_profile

from poq_abm.analysis.audit.compute_cost import cost_run
from poq_abm.errors import InputError
from poq_abm.profile import latency_of, load_profile
from poq_abm.random import Purpose, normal
from poq_abm.rules.behaviour.attacks import Attack
from poq_abm.scenario import Scenario
from poq_abm.simulation.arrays import ActiveBehaviours, EvaluatorColumn, InferenceColumn
from poq_abm.simulation.game import Game
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.population import (
    NodePopulation,
    Populations,
    build_population,
    find_active,
    malicious_nodes,
)
from poq_abm.simulation.replication import State

NOTHING = ActiveBehaviours(False, False, False, False, False)
BOOST = {"name": "boost"}
PROFILE = small_profile(
    models=3, evaluators=3, latency_ms=(1000.0, 1500.0, 3000.0, 10.0, 20.0, 50.0)
)


def with_counts(inference: tuple[int, ...], evaluators: tuple[int, ...]) -> Scenario:
    return published(
        mechanism__committee_size=1,
        population={
            "inference": [{"model": f"f{i}", "count": n} for i, n in enumerate(inference)],
            "evaluators": [{"model": f"m{i}", "count": n} for i, n in enumerate(evaluators)],
        },
    )


def population(inference: tuple[int, ...], evaluators: tuple[int, ...]) -> NodePopulation:
    return build_population(with_counts(inference, evaluators), PROFILE)


def test_node_ids_run_over_inference_nodes_first() -> None:
    people = population((2, 0, 1), (1, 2, 0))
    assert people.size == 6
    assert people.inference_count == 3
    assert [people.groups[g].model for g in people.group] == ["f0", "f0", "f2", "m0", "m1", "m1"]
    assert people.role_is("inference").tolist() == [True] * 3 + [False] * 3
    assert people.latency_ms.tolist() == [1000.0, 1000.0, 3000.0, 10.0, 20.0, 20.0]


def test_costs_are_normalised_inside_each_class() -> None:
    people = population((1, 1, 1), (1, 1, 1))
    assert people.cost.tolist() == [0.0, 0.25, 1.0, 0.0, 0.25, 1.0]


def test_a_price_can_be_what_a_class_is_charged() -> None:
    prices = [3e-5, 1e-5, 2e-5, np.nan, np.nan, np.nan]
    profile = replace(PROFILE, costs=PROFILE.costs.assign(usd_per_answer=prices))
    usual = with_counts((1, 1, 1), (1, 1, 1))
    priced = usual.replace({"mechanism.cost_inference": "price"})
    shared = Populations()
    assert shared.of(usual, profile).cost.tolist() == [0.0, 0.25, 1.0, 0.0, 0.25, 1.0]
    people = shared.of(priced, profile)
    assert people.cost == pytest.approx([1.0, 0.0, 0.5, 0.0, 0.25, 1.0], abs=1e-12)
    assert people.latency_ms.tolist() == [1000.0, 1500.0, 3000.0, 10.0, 20.0, 50.0]
    with pytest.raises(InputError, match="no price of 'm0' on 'gpu', but of f0 on gpu"):
        build_population(priced.replace({"mechanism.cost_evaluator": "price"}), profile)
    with pytest.raises(InputError, match=r"profile 'small' has no prices \(usd_per_answer\)"):
        build_population(priced, PROFILE)


def test_what_a_group_buys_an_answer_for_goes_before_the_price_of_the_profile() -> None:
    prices = [3e-5, 1e-5, 2e-5, np.nan, np.nan, np.nan]
    profile = replace(PROFILE, costs=PROFILE.costs.assign(usd_per_answer=prices))
    bought = with_counts((1, 1, 1), (1, 1, 1)).replace(
        {"mechanism.cost_inference": "price", "population.inference.0.usd_per_answer": 0.0}
    )
    people = build_population(bought, profile)
    assert people.cost[:3] == pytest.approx([0.0, 0.5, 1.0], abs=1e-12)
    alone = bought.replace({f"population.inference.{i}.usd_per_answer": i * 1e-5 for i in (1, 2)})
    assert build_population(alone, PROFILE).cost[:3] == pytest.approx([0.0, 0.5, 1.0], abs=1e-12)
    runs_other = {"population.inference.2.behaviour": {"name": "downgrade", "model": "f1"}}
    assert cost_run(alone.replace(runs_other), PROFILE)[2] == pytest.approx(0.5, abs=1e-12)


def test_a_group_without_nodes_does_not_count() -> None:
    """The class in play is what sets the scale, not what the profile or the scenario lists."""
    people = population((1, 1, 0), (0, 1, 1))
    assert people.cost.tolist() == [0.0, 1.0, 0.0, 1.0]
    assert [group.label for group in people.groups] == ["f0", "f1", "m1", "m2"]


def test_a_slow_evaluator_changes_no_inference_cost() -> None:
    without, with_it = population((1, 1, 1), (1, 1, 0)), population((1, 1, 1), (1, 1, 1))
    assert np.array_equal(without.cost[:3], with_it.cost[:3])
    assert without.cost[3:].tolist() == [0.0, 1.0]
    assert with_it.cost[3:].tolist() == [0.0, 0.25, 1.0]


def test_a_class_of_one_kind_costs_nothing() -> None:
    assert population((0, 4, 0), (0, 0, 2)).cost.tolist() == [0.0] * 6


def test_the_game_splits_costs_and_models_by_class() -> None:
    game = game_of(with_counts((1, 2, 0), (0, 1, 2)), PROFILE)
    assert game.nodes.model.tolist() == [0, 1, 1]
    assert game.nodes.evaluator.tolist() == [1, 2, 2]
    assert game.nodes.inference_cost.tolist() == [0.0, 1.0, 1.0]
    assert game.nodes.evaluator_cost.tolist() == [0.0, 1.0, 1.0]


def test_weights_belong_to_nodes_not_to_groups() -> None:
    """Three nodes of weight 1 get three times the jobs of one."""
    scenario = published(
        schedule="weighted",
        mechanism__committee_size=1,
        population={
            "inference": [{"model": "f0", "count": 3}, {"model": "f1", "weight": 5.0}],
            "evaluators": [{"model": "m0"}],
        },
    )
    limits = game_of(scenario, PROFILE).nodes.limits
    assert limits.tolist() == [2**29, 2**30, 3 * 2**29, 2**32]


def test_tasks_in_play_point_at_their_records() -> None:
    profile = small_profile(records=(3, 2, 4), models=3, evaluators=3)
    scenario = with_counts((1, 1, 1), (1, 1, 1)).replace({"tasks": {"t2": 0.75, "t0": 0.25}})
    game = game_of(scenario, profile)
    assert game.tasks == ("t2", "t0")
    assert game.tables.task_first.tolist() == [5, 0]
    assert game.tables.task_size.tolist() == [4, 3]
    assert game.tables.task_limits.tolist() == [3 * 2**30, 2**32]


def test_without_shares_every_task_is_equally_likely() -> None:
    game = game_of(with_counts((1, 1, 1), (1, 1, 1)), PROFILE)
    assert game.tasks == PROFILE.tasks
    assert game.tables.task_limits.tolist() == [2**31, 2**32]


def with_liars(share: float, *, seed: int = 1, counts: tuple[int, int, int] = (4, 3, 3)) -> Game:
    scenario = with_counts((1, 1, 0), counts).replace(
        {"seed": seed, "malicious": {"share": share, "behaviour": "boost", "b": 2.0}}
    )
    return game_of(scenario, PROFILE)


def liars(game: Game) -> list[int]:
    return np.flatnonzero(game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS]).tolist()


@pytest.mark.parametrize(
    ("share", "count"), [(0.0, 0), (0.09, 0), (0.1, 1), (0.29, 2), (0.3, 3), (0.7, 7), (1.0, 10)]
)
def test_a_malicious_share_is_rounded_down_to_nodes(share: float, count: int) -> None:
    """0.7 x 10 is 7 and 0.3 x 10 is 3, whatever a double makes of it."""
    game = with_liars(share)
    assert len(liars(game)) == count
    kinds = game.conduct.evaluators[:, [EvaluatorColumn.ATTACK, EvaluatorColumn.AMOUNT]]
    assert np.unique(kinds[liars(game)], axis=0).tolist() == [[Attack.BOOST, 2.0]] * (count > 0)


@pytest.mark.parametrize("hundredths", range(101))
def test_every_hundredth_of_a_hundred_is_its_number(hundredths: int) -> None:
    assert malicious_nodes(100, hundredths / 100, 1).size == hundredths


def test_a_larger_share_keeps_the_malicious_nodes_of_a_smaller_one() -> None:
    sets = [set(liars(with_liars(tenths / 10))) for tenths in range(11)]
    assert all(few < more for few, more in pairwise(sets))
    assert sets[10] == set(range(10))


def test_who_is_malicious_depends_on_the_seed_alone() -> None:
    chosen = {tuple(liars(with_liars(0.3, seed=seed))) for seed in range(30)}
    assert len(chosen) > 20  # 120 sets of three; 30 draws give about 27 different ones
    assert liars(with_liars(0.3, counts=(0, 0, 10))) == liars(with_liars(0.3))
    often = np.zeros(10)
    for seed in range(1000):
        often[malicious_nodes(10, 0.3, seed)] += 1
    # Binomial(1000, 0.3): six standard deviations are 87.
    assert np.all(np.abs(often - 300) < 87)


def test_malicious_nodes_behave_as_said_and_the_others_as_their_group() -> None:
    scenario = with_counts((1, 0, 0), (10, 0, 0)).replace(
        {
            "population.evaluators.0.behaviour": {"name": "constant", "score": 1.0},
            "malicious": {"share": 0.5, "behaviour": "noise"},
        }
    )
    attacks = game_of(scenario, PROFILE).conduct.evaluators[:, EvaluatorColumn.ATTACK]
    chosen = malicious_nodes(10, 0.5, scenario.seed)
    assert np.all(attacks[chosen] == Attack.NOISE)
    assert np.all(np.delete(attacks, chosen) == Attack.CONSTANT)


def test_targets_name_groups_also_after_an_empty_one() -> None:
    spec = {"name": "targeted", "group": "f2"}
    scenario = with_counts((2, 0, 1), (1, 0, 0)).replace(
        {"population.evaluators.0.behaviour": spec}
    )
    game = game_of(scenario, PROFILE)
    target = game.conduct.evaluators[0, EvaluatorColumn.TARGET]
    assert (game.conduct.inference[:, InferenceColumn.GROUP] == target).tolist() == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("change", "column"),
    [({"bias_sd": 0.5}, EvaluatorColumn.BIAS_SD), ({"noise_sd": 0.5}, EvaluatorColumn.NOISE_SD)],
)
def test_spread_belongs_to_its_group(change: dict[str, float], column: EvaluatorColumn) -> None:
    scenario = with_counts((1, 0, 0), (1, 2, 0))
    settings = {f"population.evaluators.1.{key}": value for key, value in change.items()}
    game = game_of(scenario.replace(settings), PROFILE)
    assert game.conduct.evaluators[:, column].tolist() == [0.0, 0.5, 0.5]
    assert not game.plain
    assert game_of(scenario, PROFILE).plain


def test_bias_is_the_keyed_normal_of_a_node_once_a_replication() -> None:
    scenario = with_counts((1, 0, 0), (3, 0, 0)).replace(
        {"population.evaluators.0.bias_sd": 1.5, "rounds": 200}
    )
    game = game_of(scenario, PROFILE)
    for replication in (0, 7):
        memory = memory_of(game, scenario, replication)
        key = (scenario.seed, replication, Purpose.NODE_BIAS, 0)
        expected = [1.5 * normal(*key, node) for node in range(3)]
        assert memory.state[:, State.BIAS].tolist() == expected
        _, trace = play_compiled(game, scenario, 0, 200, replication=replication)
        table = PROFILE.scores[trace.record, 0, 0]
        shifted = np.clip(table + np.array(expected)[trace.committee[:, 0] - 1], 0.0, 10.0)
        assert np.array_equal(trace.scores[:, 0], shifted)


def test_noise_is_the_keyed_normal_of_a_seat() -> None:
    scenario = with_counts((1, 0, 0), (3, 0, 0)).replace(
        {"population.evaluators.0.noise_sd": 0.75, "mechanism.committee_size": 3}
    )
    _, trace = play_compiled(game_of(scenario, PROFILE), scenario, 0, 100)
    for round_ in range(100):
        key = (scenario.seed, 0, Purpose.NOISE, round_)
        table = PROFILE.scores[trace.record[round_], 0, 0]
        expected = [min(max(table + 0.75 * normal(*key, seat), 0.0), 10.0) for seat in range(3)]
        assert trace.scores[round_].tolist() == expected


def test_stake_belongs_to_the_nodes_of_its_group() -> None:
    scenario = with_counts((1, 0, 0), (1, 2, 1)).replace({"population.evaluators.1.stake": 4.0})
    assert game_of(scenario, PROFILE).nodes.stake.tolist() == [1.0, 4.0, 4.0, 1.0]


@pytest.mark.parametrize("counts", [(1, 0), (0, 3), (2, 2)])
def test_agents_know_who_they_are(counts: tuple[int, int]) -> None:
    profile = small_profile(models=2, evaluators=2, latency_ms=(5.0, 6.0, 7.0, 8.0))
    model = PoQModel(with_counts(counts, counts), profile=profile)
    nodes = [*model.inference_nodes, *model.evaluator_nodes]
    people = model.game.population
    assert [node.index for node in nodes] == list(range(people.size))
    assert [node.cost for node in nodes] == people.cost.tolist()
    assert [node.group for node in nodes] == [people.groups[g].label for g in people.group]
    runs = [profile.models[node.runs] for node in model.inference_nodes]
    runs += [profile.evaluators[node.runs] for node in model.evaluator_nodes]
    assert runs == [people.groups[g].model for g in people.group]


def test_unmeasured_hardware_is_estimated_and_says_so() -> None:
    scenario = published().replace({"population.inference.0.hardware": "rtx_3090"})
    profile = load_profile("published")
    groups = build_population(scenario, profile).groups
    assert [group.latency_source for group in groups] == ["estimated"] + ["measured"] * 7
    first = groups[0]
    assert first.latency_ms == latency_of(profile, first.model, "rtx_3090").ms
    assert first.latency_ms > profile.latency_ms(first.model, "rtx_4090")


def active_of(**settings: Any) -> ActiveBehaviours:
    found = find_active(game_of(published(**settings)).conduct)
    return ActiveBehaviours(*map(bool, found))


def test_honest_nodes_do_nothing_else() -> None:
    assert active_of() == NOTHING
    assert active_of(malicious={"share": 0.0, "behaviour": BOOST}) == NOTHING


@pytest.mark.parametrize(
    ("behaviour", "also"),
    [
        (BOOST, set()),
        ({"name": "noise"}, {"scatters"}),
        ({"name": "noise", "sigma": 0.0}, set()),
        ({"name": "intermittent"}, {"pauses"}),
        ({"name": "sleeper"}, {"waits"}),
        ({"name": "sleeper", "trust": 0.0, "jobs": 5}, {"waits"}),
        ({"name": "whitewash"}, set()),
        ({"name": "intermittent", "inner": {"name": "noise"}}, {"pauses", "scatters"}),
    ],
)
def test_what_malicious_evaluators_do_is_active(behaviour: Any, also: set[str]) -> None:
    expected = NOTHING._replace(deviates=True, **dict.fromkeys(also, True))
    assert active_of(malicious={"share": 0.5, "behaviour": behaviour}) == expected
