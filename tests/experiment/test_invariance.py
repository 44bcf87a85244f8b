"""The same bytes for any number of workers, chunk size, order and backend."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.experiment import files
from poq_abm.experiment import plan as planning
from poq_abm.experiment.harvest import play_chunk
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.runner import Workers
from poq_abm.experiment.running import run_to_folder
from poq_abm.experiment.spans import Chunk, Span
from poq_abm.scenario import Scenario, load

CONTESTED = {
    "rounds": 60,
    "replications": 7,
    "mechanism.trust": {"update": "relative", "interval": 20},
    "sweep": {"mechanism.committee_size": [1, 2, 3], "malicious.share": [0.0, 0.4]},
    "malicious": {"share": 0.4, "behaviour": "noise"},
}


@pytest.fixture(scope="module")
def contested() -> Scenario:
    return load("cost_aware_poq").replace(CONTESTED)


@pytest.fixture(scope="module")
def reference(contested: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("reference")
    run_to_folder(Plan.of(contested), folder)
    return tables(folder)


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


@pytest.mark.parametrize("jobs", [1, 2, 8])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_and_backends(
    contested: Scenario, reference: dict[str, bytes], tmp_path: Path, jobs: int, backend: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(planning.MOST_ROUNDS, "compiled", 600)
    run_to_folder(Plan.of(contested), tmp_path, workers=Workers(jobs, backend))
    assert tables(tmp_path) == reference


@pytest.mark.parametrize("replications_per_chunk", [1, 3, 5, 100])
def test_chunk_sizes(
    contested: Scenario, reference: dict[str, bytes], tmp_path: Path, replications_per_chunk: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(planning.MOST_ROUNDS, "compiled", 60 * replications_per_chunk)
    run_to_folder(Plan.of(contested), tmp_path)
    assert tables(tmp_path) == reference


@pytest.mark.parametrize("replications_per_chunk", [1, 3, 100])
def test_chunk_sizes_where_a_table_has_several_groups_of_rows(
    contested: Scenario, tmp_path: Path, replications_per_chunk: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(files, "ROWS_PER_GROUP", 50)
    run_to_folder(Plan.of(contested), tmp_path / "whole")
    monkeypatch.setitem(planning.MOST_ROUNDS, "compiled", 60 * replications_per_chunk)
    run_to_folder(Plan.of(contested), tmp_path / "cut")
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_of_chunks(
    contested: Scenario, reference: dict[str, bytes], tmp_path: Path, seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(planning.MOST_ROUNDS, "compiled", 240)
    chunks = Plan.chunks

    def shuffled(*arguments: Any, **options: Any) -> list[Chunk]:
        cut = chunks(*arguments, **options)
        random.Random(seed).shuffle(cut)
        return cut

    monkeypatch.setattr(Plan, "chunks", shuffled)
    run_to_folder(Plan.of(contested), tmp_path)
    assert tables(tmp_path) == reference


def test_in_memory_and_in_a_folder(contested: Scenario, tmp_path: Path) -> None:
    stored = run_to_folder(Plan.of(contested), tmp_path, workers=Workers(2))
    played = poq_abm.run(contested)
    for name in ("nodes", "replications", "trust", "treatments"):
        assert_frame_equal(getattr(played, name), getattr(stored, name), check_exact=True)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 8), min_size=0, max_size=3, unique=True))
def test_rows_do_not_depend_on_what_stands_beside_them(cuts: list[int]) -> None:
    plan = Plan.of(load("many_nodes", ["rounds=300", "replications=9"]))
    whole = play_chunk(plan, Chunk((Span(0, 0, 9),))).tables
    ends = [0, *sorted(cuts), 9]
    parts = [
        play_chunk(plan, Chunk((Span(0, first, last),))).tables
        for first, last in itertools.pairwise(ends)
    ]
    for name in ("nodes", "replications"):
        expected = whole[name].to_pandas().select_dtypes("number").to_numpy()
        pieces = [part[name].to_pandas().select_dtypes("number").to_numpy() for part in parts]
        np.testing.assert_array_equal(np.concatenate(pieces), expected)
