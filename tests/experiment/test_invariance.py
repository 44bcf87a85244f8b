"""The same bytes for any number of workers, order and backend."""

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
from poq_abm.experiment.blocks import Block, Span
from poq_abm.experiment.execute import play_block
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "MOST_ROUNDS", 600)
        run_to_folder(Plan.of(contested), folder)
    assert len(tables(folder)) > 10, "several blocks"
    return tables(folder)


def tables(folder: Path) -> dict[str, bytes]:
    files = folder.glob("*.parquet/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("jobs", [1, 2, 8])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_and_backends(
    contested: Scenario, reference: dict[str, bytes], tmp_path: Path, jobs: int, backend: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(planning, "MOST_ROUNDS", 600)
    run_to_folder(Plan.of(contested), tmp_path, workers=Workers(jobs, backend))
    assert tables(tmp_path) == reference


@pytest.mark.parametrize("rows_per_group", [50, 2**17])
@pytest.mark.parametrize("replications_per_block", [1, 3, 5, 100])
def test_blocks_of_any_size_hold_the_same_rows(
    contested: Scenario, tmp_path: Path, replications_per_block: int, rows_per_group: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(files, "ROWS_PER_GROUP", rows_per_group)
    monkeypatch.setattr(planning, "MOST_ROUNDS", 60 * replications_per_block)
    stored = run_to_folder(Plan.of(contested), tmp_path)
    played = poq_abm.run(contested)
    for name in ("nodes", "replications", "trust"):
        assert_frame_equal(getattr(played, name), getattr(stored, name), check_exact=True)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_of_blocks(
    contested: Scenario, reference: dict[str, bytes], tmp_path: Path, seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(planning, "MOST_ROUNDS", 600)
    blocks = Plan.blocks

    def shuffled(*arguments: Any, **options: Any) -> list[Block]:
        cut = blocks(*arguments, **options)
        random.Random(seed).shuffle(cut)
        return cut

    monkeypatch.setattr(Plan, "blocks", shuffled)
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
    whole = play_block(plan, Block((Span(0, 0, 9),))).tables
    ends = [0, *sorted(cuts), 9]
    parts = [
        play_block(plan, Block((Span(0, first, last),))).tables
        for first, last in itertools.pairwise(ends)
    ]
    for name in ("nodes", "replications"):
        expected = whole[name].to_pandas().select_dtypes("number").to_numpy()
        pieces = [part[name].to_pandas().select_dtypes("number").to_numpy() for part in parts]
        np.testing.assert_array_equal(np.concatenate(pieces), expected)
