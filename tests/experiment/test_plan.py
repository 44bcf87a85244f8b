"""Plans: what is checked before anything runs, how work is cut, what the hash covers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.blocks import Span
from poq_abm.experiment.plan import MOST_BLOCKS, MOST_FILES, MOST_ROUNDS, Plan, configuration_hash
from poq_abm.scenario import Scenario, ScenarioError, load


def whole(plan: Plan) -> list[Span]:
    return [Span(number, 0, plan.scenario.most_replications) for number in range(3)]


def test_blocks_cover_every_replication_once() -> None:
    plan = Plan.of(load("committee_size", ["replications=7", f"rounds={MOST_ROUNDS // 3}"]))
    blocks = plan.blocks(whole(plan))
    spans = [span for block in blocks for span in block.spans]
    played = [(span.treatment, r) for span in spans for r in range(span.first, span.last)]
    assert played == [(t, r) for t in range(3) for r in range(7)]
    assert 7 <= len(blocks) <= 2 * MOST_BLOCKS


def test_small_replications_share_a_block_across_treatments() -> None:
    plan = Plan.of(load("committee_size", ["replications=4", "rounds=10"]))
    (block,) = plan.blocks(whole(plan))
    assert block.spans == (Span(0, 0, 4), Span(1, 0, 4), Span(2, 0, 4))


def test_hundreds_of_treatments_do_not_make_thousands_of_files() -> None:
    scenario = load("adversary_sweep")
    plan = Plan.of(scenario)
    spans = [Span(number, 0, 20) for number in range(len(plan.treatments))]
    assert len(plan.treatments) == 600
    assert len(plan.blocks(spans)) <= 2 * MOST_BLOCKS


@pytest.mark.parametrize("trace", [False, True])
def test_no_run_is_so_long_that_it_makes_thousands_of_files(trace: bool) -> None:
    plan = Plan.of(load("committee_size", ["replications=100000", "rounds=100000"]), trace=trace)
    blocks = plan.blocks(whole(plan))
    assert MOST_FILES / 2 < len(blocks) <= 2 * MOST_FILES


def test_treatments_share_the_nodes_that_no_axis_touches(small: Scenario) -> None:
    axes = {"mechanism.beta_inference": [0.1, 0.2], "population.inference.0.count": [1, 2]}
    plan = Plan.of(small.replace({"sweep": axes}))
    people = [plan.game(number).population for number in range(4)]
    assert people[0] is people[2]
    assert people[1] is people[3]
    assert people[0].size < people[1].size


def test_blocks_stay_when_replications_are_added(small: Scenario) -> None:
    """They bear a hash of all that is played but how often."""
    plans = [Plan.of(small.replace({"replications": count})) for count in (3, 5)]
    assert plans[0].hash() != plans[1].hash()
    assert plans[0].played_hash() == plans[1].played_hash()
    assert plans[0].played_hash() != Plan.of(small.replace({"seed": 2})).played_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 201},
        {"seed": 2},
        {"replications": 4},
        {"mechanism.beta_inference": 0.31},
        {"population.inference.0.count": 2},
        {"sweep": {"mechanism.committee_size": [1, 2]}},
    ],
)
def test_the_hash_covers_what_determines_the_result(
    small: Scenario, change: dict[str, object]
) -> None:
    assert Plan.of(small).hash() != Plan.of(small.replace(change)).hash()


def test_a_key_that_is_younger_than_a_run_leaves_its_name_alone(small: Scenario) -> None:
    key = "population.inference.0.usd_per_answer"
    paid = small.replace({"economy": {"epochs": 1, "cost": {"basis": "money"}}})
    assert len({Plan.of(paid.replace({key: usd})).hash() for usd in (0.1, 0.2)}) == 2
    before = Plan.of(paid).configuration()
    for group in before["scenario"]["population"]["inference"]:
        assert group.pop("usd_per_answer") is None
    assert configuration_hash(before) == Plan.of(paid).hash()


def test_the_hash_does_not_depend_on_where_the_profile_lies(
    small: Scenario, tmp_path: Path
) -> None:
    shipped = Path(poq_abm.__file__).parent / "profile" / "data" / "published"
    hashes = set()
    for place in ("here", "there"):
        folder = tmp_path / place / "published"
        shutil.copytree(shipped, folder)
        hashes.add(Plan.of(small.replace({"profile": str(folder)})).hash())
    assert len(hashes) == 1


def test_problems_of_a_swept_profile_are_found(small: Scenario) -> None:
    scenario = small.replace({"sweep": {"profile": ["published", "nowhere"]}})
    with pytest.raises(InputError, match="nowhere"):
        Plan.of(scenario)


def test_every_treatment_is_checked(small: Scenario) -> None:
    scenario = small.replace({"sweep": {"mechanism.committee_size": [3, 4]}})
    with pytest.raises(ScenarioError, match="4"):
        Plan.of(scenario)


@pytest.mark.parametrize(
    ("metric", "settings", "said"),
    [
        ("welfare", {}, "is measured in economies only"),
        (
            "honest_inference_reward_q05",
            {"economy": {"epochs": 2, "payment": {"scheme": "pool", "pool": 5.0}}},
            "a point is not paid as a token",
        ),
    ],
)
def test_a_precision_target_that_can_never_be_measured_is_refused(metric, settings, said) -> None:
    target = {"replications": {"until": {"metric": metric, "half_width": 0.1}}}
    scenario = load("cost_aware_poq", ["rounds=100"]).replace({**settings, **target})
    with pytest.raises(ScenarioError, match=said):
        Plan.of(scenario)
