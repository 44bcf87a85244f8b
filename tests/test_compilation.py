"""Compilation: it keeps the bits, and its cache follows every source a loop was compiled from."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import event

import poq_abm
from poq_abm.compilation import compiled, compiled_loop
from poq_abm.compiler import _ROOMS_WITH_RULES, _empty_if_large, sources_digest
from poq_abm.random import Purpose

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


def test_compiled_callers_have_a_function_compiled_once_for_all_whole_numbers() -> None:
    """Numba would compile it for each literal and each member of an enum as well."""

    @compiled
    def doubled(x: int) -> int:
        return 2 * x

    @compiled_loop
    def three_times(n: int) -> int:
        return doubled(n) + doubled(3) + doubled(Purpose.ROUND)

    with event.install_recorder("numba:compile") as recorded:
        assert three_times(1) == 2 * (1 + 3 + Purpose.ROUND)
    assert [told.is_start for _, told in recorded.buffer].count(True) == 2
    assert doubled(2) == 4  # Python calls a version of its own


def test_plain_functions_are_known_to_compiled_callers() -> None:
    """Of what agents call as plain Python; in a process where Numba is imported last."""
    script = (
        "import sys; from poq_abm.compilation import compiled_loop, compiled_or_python;"
        "from poq_abm.simulation.ledger import add_to_row; import numpy as np;"
        "half = compiled_or_python(lambda x: 0.5 * x);"
        "fill = lambda b: add_to_row(b, np.uint64(1), (half(3.0), 2.0, 3.0, 4.0, 5.0, 6.0));"
        "assert 'numba' not in sys.modules;"
        "one, other = np.ones((2, 8)), np.ones((2, 8)); fill(one); compiled_loop(fill)(other);"
        "assert 'numba' in sys.modules; print((one == other).all(), other[1].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True [2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 1.0, 1.0]\n"


def test_a_compiled_function_goes_by_its_name_where_it_is_sent() -> None:
    assert pickle.loads(pickle.dumps(ratio)) is ratio


def test_a_function_written_at_the_prompt_compiles_without_a_cache() -> None:
    space: dict[str, Any] = {"compiled": compiled}
    exec("@compiled\ndef twice(x):\n    return 2.0 * x\n", space)
    assert space["twice"](1.5) == 3.0
    assert space["twice"].stats.cache_path is None


TWICE = """
import sys
from pathlib import Path
from types import SimpleNamespace

from poq_abm import compiler
from poq_abm.compilation import compiled

writable, full, installed = sys.argv[1:]
compiler._usual_places = lambda: [Path(writable)] if writable else []
compiler._BESIDE_THE_SOURCES = Path(installed)
if full:
    compiler.shutil = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=1000))


@compiled
def twice(x):
    return 2.0 * x


print(twice(1.5), sum(twice.stats.cache_hits.values()), twice.stats.cache_path)
"""


def play_twice(
    folder: Path,
    *,
    writable: str = "",
    full: str = "",
    installed: str = "none",
    processor: dict[str, str] | None = None,
) -> tuple[list[str], str]:
    """Play where only ``writable`` can be written and, if ``full``, no disk has room.

    ``installed`` is the folder beside the sources, of which code can be read; ``processor`` is what
    Numba is told to compile for.
    """
    env = {**os.environ, "TMPDIR": str(folder), **(processor or {})}
    if not (folder / "twice.py").exists():  # Numba compiles anew what was touched
        (folder / "twice.py").write_text(TWICE)
    command = [sys.executable, str(folder / "twice.py"), writable, full, installed]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def test_where_nothing_else_can_be_written_the_cache_is_temporary(tmp_path: Path) -> None:
    kept = tmp_path / f"poq_abm-{os.getuid()}"
    for hits in ("0", "1"):
        (value, found, place), told = play_twice(tmp_path)
        assert (value, found) == ("3.0", hits)
        assert Path(place).is_relative_to(kept)
        assert told.count(f"compiled code is kept in {kept}") == 1
    assert kept.stat().st_mode & 0o077 == 0


def test_a_place_that_can_be_written_is_taken_without_a_word(tmp_path: Path) -> None:
    (_, _, place), told = play_twice(tmp_path, writable=str(tmp_path / "cache"))
    assert Path(place).is_relative_to(tmp_path / "cache")
    assert told == ""


def test_what_an_installation_compiled_is_brought_along(tmp_path: Path) -> None:
    """Whoever cannot write the installation takes from it what ``poq warm`` left there."""
    installed, home, later = (str(tmp_path / name) for name in ("installed", "home", "later"))
    play_twice(tmp_path, writable=installed)
    (value, hits, place), told = play_twice(tmp_path, writable=home, installed=installed)
    assert (value, hits, told) == ("3.0", "1", "")
    assert Path(place).is_relative_to(home)
    (tmp_path / "twice.py").write_text(TWICE.replace("2.0 * x", "4.0 * x"))
    (value, hits, _), _ = play_twice(tmp_path, writable=later, installed=installed)
    assert (value, hits) == ("6.0", "0"), "of other sources nothing is taken"


def test_nothing_is_taken_that_was_compiled_for_another_processor(tmp_path: Path) -> None:
    installed, home = str(tmp_path / "installed"), str(tmp_path / "home")
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    play_twice(tmp_path, writable=installed, processor=other)
    (value, hits, _), _ = play_twice(tmp_path, writable=home, installed=installed)
    assert (value, hits) == ("3.0", "0")


def test_a_temporary_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    theirs = tmp_path / f"poq_abm-{os.getuid()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    (_, _, place), _ = play_twice(tmp_path)
    assert not Path(place).is_relative_to(theirs)
    assert list(theirs.iterdir()) == []


def test_without_any_place_for_a_cache_all_is_compiled_and_played(tmp_path: Path) -> None:
    (tmp_path / f"poq_abm-{os.getuid()}").write_text("no folder")
    (value, hits, place), told = play_twice(tmp_path)
    assert (value, hits, place) == ("3.0", "0", "None")
    assert "is made in every run" in told


def test_on_a_full_disk_all_is_compiled_and_played(tmp_path: Path) -> None:
    """A disk without room for machine code is no fault of the replication that needs it."""
    (value, hits, place), _ = play_twice(tmp_path, writable=str(tmp_path / "cache"), full="yes")
    assert (value, hits, place) == ("3.0", "0", "None")


def test_a_cache_that_has_grown_is_emptied(tmp_path: Path) -> None:
    """Code around a user's function is kept in vain in every run; it must not fill the disk."""
    (tmp_path / "rounds_1").mkdir()
    for name in ("f.1.nbc", "f.nbi", "other"):
        (tmp_path / "rounds_1" / name).write_bytes(bytes(600))
    _empty_if_large(tmp_path, most=1200)
    assert len(list((tmp_path / "rounds_1").iterdir())) == 3
    _empty_if_large(tmp_path, most=1199)
    assert [path.name for path in (tmp_path / "rounds_1").iterdir()] == ["other"]


RACE = """
import sys
import time
from pathlib import Path

import numpy as np
from numba.core.caching import IndexDataCacheFile

from poq_abm import compiler
from poq_abm.compilation import compiled_loop

folder, kinds, index_s, data_s = sys.argv[1:]
compiler._usual_places = lambda: [Path(folder)]


def delayed(save, seconds):
    def saved(*arguments):
        time.sleep(seconds)
        save(*arguments)
    return saved


for name, seconds in (("_save_index", float(index_s)), ("_save_data", float(data_s))):
    setattr(IndexDataCacheFile, name, delayed(getattr(IndexDataCacheFile, name), seconds))


@compiled_loop
def scaled(x):
    total = x
    for i in range(3):
        total = total * x + i
    return total


Path(folder, f"ready-{kinds}").touch()
while not Path(folder, "go").exists():
    time.sleep(0.0001)
for kind in kinds.split(","):
    value = np.dtype(kind).type(3)
    assert scaled(value) == 3 * (3 * (3 * 3) + 1) + 2, kind
print(sum(scaled.stats.cache_hits.values()))
"""
KINDS = ("f4", "f8", "i8", "c16")


def test_processes_that_compile_at_once_keep_types_and_code_together(tmp_path: Path) -> None:
    """One is late to save what it compiled, the other to say where: a wrong pairing crashed.

    Both start with another type and would number the files of a function alike.
    """
    (tmp_path / "race.py").write_text(RACE)
    command = [sys.executable, str(tmp_path / "race.py"), str(tmp_path)]
    turned = [",".join(KINDS[i:] + KINDS[:i]) for i in (0, len(KINDS) // 2)]
    delays = (("1", "0"), ("0", "2"))
    racing = [
        subprocess.Popen([*command, kinds, *late])
        for kinds, late in zip(turned, delays, strict=True)
    ]
    while len(list(tmp_path.glob("ready-*"))) < len(racing):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait() for process in racing] == [0] * len(racing)
    done = subprocess.run(
        [*command, turned[0], "0", "0"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{len(KINDS)}\n"  # all were kept


def test_the_digest_is_one_for_the_whole_package() -> None:
    assert len(sources_digest()) == 64
    assert sources_digest() == sources_digest()


#: Rooms whose compiled code nobody else compiles in: Numba watches the file it stands in.
LEAVES = {"analysis", "figures"}


def test_the_digest_covers_every_file_that_compiles_something() -> None:
    """A room that starts to compile rules has to be added to the digest."""
    package = Path(poq_abm.__file__).parent
    using = {
        file.relative_to(package).parts[0]
        for file in package.rglob("*.py")
        if "import compiled" in file.read_text() and "testing" not in file.parts
    }
    assert using <= {*_ROOMS_WITH_RULES, *LEAVES, "random.py"}


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
import sys
import poq_abm
from poq_abm.compiler import sources_digest
from poq_abm.simulation.stages import play_in_stages

changes = {"rounds": 10, "mechanism.beta_inference": 0.0}
model = poq_abm.PoQModel(poq_abm.load(sys.argv[1]).replace(changes))
model.run()
nodes = model.node_table()
rewards = nodes.groupby("role", observed=True)["reward_total"].sum()
print(json.dumps({
    "digest": sources_digest(),
    "hits": sum(play_in_stages.stats.cache_hits.values()),
    "misses": sum(play_in_stages.stats.cache_misses.values()),
    "inference": rewards["inference"],
    "evaluators": rewards["evaluator"],
}))
"""


SCENARIO = Path(__file__).parents[1] / "scenarios" / "cost_aware_poq.yaml"


def play_in_a_new_process(folder: Path) -> dict[str, Any]:
    env = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PLAY, str(SCENARIO)],
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
        Path(poq_abm.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )

    first = play_in_a_new_process(tmp_path)
    assert (first["hits"], first["misses"]) == (0, 1)

    again = play_in_a_new_process(tmp_path)
    assert (again["hits"], again["misses"]) == (1, 0)
    assert again["inference"] == first["inference"]

    rule = package / "rules" / "aggregation" / "mean.py"
    source = rule.read_text()
    returned = "return total / count"
    assert source.count(f"{returned}\n") == 1
    rule.write_text(source.replace(f"{returned}\n", f"{returned} + 1.0\n"))

    edited = play_in_a_new_process(tmp_path)
    assert edited["digest"] != first["digest"]
    assert (edited["hits"], edited["misses"]) == (0, 1)
    # A consensus one point higher pays 0.1 more in each of the ten rounds, up to rounding.
    assert edited["inference"] == pytest.approx(first["inference"] + 1.0, abs=1e-12)
    assert edited["evaluators"] != first["evaluators"]


@pytest.mark.parametrize("verb", ["validate", "show"])
def test_what_plays_nothing_does_without_numba(verb: str) -> None:
    script = (
        "import atexit, sys; from poq_abm.cli import main;"
        "atexit.register(lambda: print('numba' in sys.modules)); main()"
    )
    command = [sys.executable, "-c", script, verb, "cost_aware_poq"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize(("verb", "compiles"), [("plan", False), ("run", True)])
def test_what_plays_nothing_compiles_nothing(tmp_path: Path, verb: str, compiles: bool) -> None:
    package = tmp_path / "poq_abm"  # a copy of its own, beside which nothing is compiled yet
    shutil.copytree(
        Path(poq_abm.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    kept = tmp_path / "kept"
    env = {**os.environ, "NUMBA_CACHE_DIR": str(kept), "PYTHONPATH": str(tmp_path)}
    short = ["--set", "rounds=20", "--set", "replications=1", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "poq_abm.cli", verb, str(SCENARIO)]
    command += short if verb == "run" else []
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, check=True)
    assert (b"poq warm" in done.stdout) == (verb == "plan")
    assert any(kept.rglob("*.nb[ic]")) == compiles
