"""Plans: what is checked before anything runs, how jobs are cut, what the hash covers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.plan import ROUNDS_PER_JOB, Plan
from poq_abm.scenario import Scenario, ScenarioError, load


def test_jobs_cover_every_replication_once() -> None:
    scenario = load("committee_size", ["replications=7", f"rounds={ROUNDS_PER_JOB // 3}"])
    played = [
        (job.treatment, replication)
        for job in Plan.of(scenario).jobs()
        for replication in range(job.first, job.last)
    ]
    assert played == [(t, r) for t in range(3) for r in range(7)]


def test_a_trace_is_cut_by_replication(small: Scenario) -> None:
    assert [job.last - job.first for job in Plan.of(small, trace=True).jobs()] == [1, 1, 1]


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
