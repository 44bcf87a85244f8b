from __future__ import annotations

import numpy as np
import pytest
from network_support import game_of, published, small_profile

from poq_abm.network.model import PoQModel
from poq_abm.network.population import Population, build_population
from poq_abm.scenario import Scenario

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


def population(inference: tuple[int, ...], evaluators: tuple[int, ...]) -> Population:
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
