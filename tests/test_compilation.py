"""Compilation: it keeps the bits, and its cache follows every source a loop was compiled from."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.caching import IndexDataCacheFile

import poq_abm
from poq_abm.compilation import (
    _ROOMS_WITH_RULES,
    compiled,
    compiled_loop,
    sources_digest,
)

property_test = settings(deadline=None, derandomize=True, max_examples=200)
numbers = st.floats(-1e12, 1e12)


@compiled
def running_sum(values: Any) -> float:
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@compiled
def product_plus(a: float, b: float, c: float) -> float:
    return a * b + c


@compiled_loop
def ratio(a: float, b: float) -> float:
    return a / b


@property_test
@given(st.lists(numbers, min_size=1, max_size=70))
def test_compiled_sums_keep_their_order(values: list[float]) -> None:
    """Fast-math would add in another order, and differ from Python in the last bit."""
    total = 0.0
    for value in values:
        total += value
    assert running_sum(np.array(values)) == total


@property_test
@given(numbers, numbers, numbers)
def test_compiled_products_are_rounded_before_they_are_added(a: float, b: float, c: float) -> None:
    """A fused multiply-add would round once where Python rounds twice."""
    assert product_plus(a, b, c) == a * b + c


def test_division_by_zero_follows_numpy() -> None:
    assert ratio(1.0, 0.0) == np.inf
    assert np.isnan(ratio(0.0, 0.0))


def test_a_compiled_function_can_be_called_from_another() -> None:
    @compiled_loop
    def three_ratios(a: float) -> float:
        return ratio(a, 1.0) + ratio(a, 2.0) + ratio(a, 4.0)

    assert three_ratios(4.0) == 7.0


def test_a_function_written_at_the_prompt_compiles_without_a_cache() -> None:
    space: dict[str, Any] = {"compiled": compiled}
    exec("@compiled\ndef twice(x):\n    return 2.0 * x\n", space)
    assert space["twice"](1.5) == 3.0
    assert space["twice"].stats.cache_path is None


def test_what_cannot_be_cached_is_played_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk while machine code is saved is no fault of the replication that needed it."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "_save_data", full)

    @compiled_loop
    def thrice(a: float) -> float:
        return 3.0 * a

    assert thrice(np.float32(1.5)) == 4.5


TWICE = """
from poq_abm.compilation import compiled


@compiled
def twice(x):
    return 2.0 * x


print(twice(1.5), sum(twice.stats.cache_hits.values()), twice.stats.cache_path)
"""


def play_where_nothing_can_be_written(folder: Path) -> tuple[list[str], str]:
    """Leave Numba no place for its cache, as in a read-only installation without a home."""
    env = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    env |= {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "TMPDIR": str(folder)}
    (folder / "twice.py").write_text(TWICE)
    command = [sys.executable, str(folder / "twice.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def test_where_nothing_else_can_be_written_the_cache_is_temporary(tmp_path: Path) -> None:
    kept = tmp_path / f"poq_abm-{os.getuid()}"
    for hits in ("0", "1"):
        (value, found, place), told = play_where_nothing_can_be_written(tmp_path)
        assert (value, found) == ("3.0", hits)
        assert Path(place).parent == kept
        assert told.count(f"compiled code is kept in {kept}") == 1
    assert kept.stat().st_mode & 0o077 == 0


def test_a_temporary_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    theirs = tmp_path / f"poq_abm-{os.getuid()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    (_, _, place), _ = play_where_nothing_can_be_written(tmp_path)
    assert Path(place).parent != theirs
    assert list(theirs.iterdir()) == []


def test_without_any_place_for_a_cache_all_is_compiled_and_played(tmp_path: Path) -> None:
    (tmp_path / f"poq_abm-{os.getuid()}").write_text("no folder")
    (value, hits, place), told = play_where_nothing_can_be_written(tmp_path)
    assert (value, hits, place) == ("3.0", "0", "None")
    assert "is made in every run" in told


def test_the_digest_is_one_for_the_whole_package() -> None:
    assert len(sources_digest()) == 64
    assert sources_digest() == sources_digest()


#: Rooms whose compiled code nobody else compiles in: Numba watches the file it stands in.
LEAVES = {"analysis", "figures"}


def test_the_digest_covers_every_file_that_compiles_something() -> None:
    """A room that starts to compile rules has to be added to the digest."""
    package = Path(poq_abm.__file__).parent
    using = {
        file.parent.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if "import compiled" in file.read_text() and "testing" not in file.parts
    }
    assert using <= {room or "." for room in _ROOMS_WITH_RULES} | LEAVES


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_nobody_compiles_in_what_a_leaf_compiles(leaf: str) -> None:
    package = Path(poq_abm.__file__).parent
    name = f"poq_abm.{leaf}"
    for room in _ROOMS_WITH_RULES:
        for file in (package / room).glob("*.py"):
            assert name not in file.read_text(), file
    compiling = [f for f in (package / leaf).glob("*.py") if "import compiled" in f.read_text()]
    for file in compiling:
        for other in compiling:
            assert other is file or f"{name}.{other.stem}" not in file.read_text(), file


PLAY = """
import json
import numpy as np
from poq_abm.compilation import sources_digest
from poq_abm.simulation.arrays import Conduct, GameArrays, Nodes, Rules, Tables
from poq_abm.simulation.ledger import Column
from poq_abm.simulation.replication_state import open_replication
from poq_abm.simulation.rounds import play_rounds

scores = np.arange(24.0).reshape(4, 2, 3) / 2.4
whole = np.array([2**32], np.uint64)
tables = Tables(
    scores=scores, truth=scores[:, :, 0].copy(), task_first=np.array([0]), task_size=np.array([4]),
    task_limits=whole, agreed=scores.mean(axis=2), gold=np.zeros(4, np.bool_),
    trust_task=np.array([0]), task_weight=np.ones(1),
)
nodes = Nodes(
    model=np.array([0, 1]), evaluator=np.arange(3), inference_cost=np.zeros(2),
    evaluator_cost=np.zeros(3), limits=np.repeat(whole, 2), stake=np.ones(3),
    inference_anchor=np.zeros(2), evaluator_anchor=np.zeros(3),
)
rules = Rules(
    schedule=0, committee_size=2, aggregation=0, aggregation_parameter=0.0, reference=0,
    reward_family=0, reward_parameter=0.0,
    alpha_inference=1.0, beta_inference=0.0, alpha_evaluator=1.0, beta_evaluator=0.0,
    trust_update=0, trust_rate=0.1, trust_start=1.0, trust_minimum=0.1, trust_maximum=5.0,
    trust_reference=0, trust_interval=0,
)
game = GameArrays(rules, tables, nodes, Conduct(np.zeros((3, 16)), np.zeros((2, 4))))
kept = open_replication(game, 1, 0, 10)
ledger = kept.ledger
play_rounds(0, 10, game, kept, None, None, None)
print(json.dumps({
    "digest": sources_digest(),
    "hits": sum(play_rounds.stats.cache_hits.values()),
    "misses": sum(play_rounds.stats.cache_misses.values()),
    "inference": ledger.nodes()[:2, Column.REWARD].sum(),
    "evaluators": ledger.nodes()[2:, Column.REWARD].sum(),
}))
"""


def play_in_a_new_process(folder: Path) -> dict[str, Any]:
    env = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PLAY],
        cwd=folder,
        env={**env, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


@pytest.mark.slow
def test_a_cached_loop_follows_an_edited_rule_in_another_file(tmp_path: Path) -> None:
    """Numba alone would go on playing the old rule: the loop's own file is as it was."""
    package = tmp_path / "poq_abm"
    shutil.copytree(
        Path(poq_abm.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "data")
    )

    first = play_in_a_new_process(tmp_path)
    assert (first["hits"], first["misses"]) == (0, 1)

    again = play_in_a_new_process(tmp_path)
    assert (again["hits"], again["misses"]) == (1, 0)
    assert again["inference"] == first["inference"]

    rule = package / "mechanism" / "aggregation" / "mean.py"
    source = rule.read_text()
    assert source.count("return total / count\n") == 1
    rule.write_text(source.replace("return total / count\n", "return total / count + 1.0\n"))

    edited = play_in_a_new_process(tmp_path)
    assert edited["digest"] != first["digest"]
    assert (edited["hits"], edited["misses"]) == (0, 1)
    # A consensus one point higher pays 0.1 more in each of the ten rounds, up to rounding.
    assert edited["inference"] == pytest.approx(first["inference"] + 1.0, abs=1e-12)
    assert edited["evaluators"] != first["evaluators"]
