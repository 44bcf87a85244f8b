"""Plans: what is checked before anything runs, how jobs are cut, what the hash covers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.plan import MOST_ROUNDS, Plan
from poq_abm.experiment.spans import Span, cells
from poq_abm.experiment.stages import wanted
from poq_abm.scenario import Scenario, ScenarioError, load


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("engine", ["compiled", "agents"])
def test_chunks_cover_every_replication_once(workers: int, engine: str) -> None:
    scenario = load("committee_size", ["replications=7", f"rounds={MOST_ROUNDS[engine] // 3}"])
    plan = Plan.of(scenario)
    chunks = plan.chunks(wanted(plan, {}), engine=engine, workers=workers)
    played = [cell for chunk in chunks for cell in cells(chunk.spans)]
    assert played == [(t, r) for t in range(3) for r in range(7)]
    assert len(chunks) >= 7


def test_small_replications_share_a_chunk_across_treatments() -> None:
    plan = Plan.of(load("committee_size", ["replications=4", "rounds=10"]))
    (chunk,) = plan.chunks(wanted(plan, {}))
    assert chunk.spans == (Span(0, 0, 4), Span(1, 0, 4), Span(2, 0, 4))


def test_a_trace_is_cut_by_replication(small: Scenario) -> None:
    plan = Plan.of(small, trace=True)
    assert [chunk.name for chunk in plan.chunks(wanted(plan, {}))] == [
        "t0r0-t0r0",
        "t0r1-t0r1",
        "t0r2-t0r2",
    ]


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
