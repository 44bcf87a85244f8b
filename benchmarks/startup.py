"""How long a user waits for the first table, and for the next: ``python -m benchmarks.startup``.

Every measurement is a fresh process, the interpreter's own start included: its wall time, and the
CPU seconds of it and its children. A first run finds no compiled code; the next finds what the
first left. What is measured is an export of the last commit, because a first run would else begin
with what lies compiled beside the sources. ``import poq_abm`` must load none of the heavy packages
that only some users need. ``--quick`` plays sweeps of a few treatments; ``--large`` adds ``poq
warm``, the run after it, and a report of ten million rows; ``--tree`` measures another checkout,
in which a verb may be missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.exporting import exported
from benchmarks.machine import describe
from benchmarks.networks import SCENARIO
from benchmarks.reporting import command_line, measurement, show

__all__ = ["HEAVY", "heavy_modules_loaded", "measure"]

HEAVY = ("torch", "transformers", "seaborn", "solara", "matplotlib")
ROOT = Path(__file__).parents[1]

_ASK = "import json, sys, poq_abm; print(json.dumps(sorted(set({heavy}) & set(sys.modules))))"
_CLI = ("-m", "poq_abm.cli")
_MANY = """
extends: cost_aware_poq
rounds: 100
replications: 1
sweep:
  mechanism.beta_inference: {values}
  mechanism.beta_evaluator: {values}
"""
_LARGE = {
    "population.inference": "[{model: llama_3_2_3b, count: 997}]",
    "replications": "10000",
    "rounds": "100",
}


class Spent(NamedTuple):
    """What a process took: seconds by the clock, CPU seconds, megabytes at its largest."""

    wall: float
    cpu: float
    megabytes: float


class _Wait(NamedTuple):
    """A command that somebody waits for, and at most how long."""

    name: str
    arguments: tuple[str, ...]
    most_wall: float | None = None
    most_cpu: float | None = None
    cache: str = "cache"  #: where compiled code is found


def heavy_modules_loaded() -> list[str]:
    """Return which of the :data:`HEAVY` packages ``import poq_abm`` loads in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK.format(heavy=HEAVY)], stdout=subprocess.PIPE, check=True
    )
    loaded: list[str] = json.loads(done.stdout)
    return loaded


def measure(
    repeats: int, *, tree: Path = ROOT, quick: bool = False, large: bool = False
) -> dict[str, Any]:
    """Return the waiting times in a checkout, ready for JSON.

    Raises
    ------
    ImportError
        If ``import poq_abm`` loads a heavy package.
    """
    if loaded := heavy_modules_loaded():
        raise ImportError(f"import poq_abm loads {', '.join(loaded)}")
    waits = _waits(quick, large)
    turns: list[list[Spent | None]] = []
    for _ in range(repeats):
        with TemporaryDirectory() as folder, TemporaryDirectory() as sources:
            clean = exported(tree.resolve(), Path(sources))
            side = 10 if quick else 100
            values = [step / side for step in range(side)]
            (Path(folder) / "many.yaml").write_text(_MANY.format(values=values))
            turns.append([_spend(wait, Path(folder), clean) for wait in waits])
    rows = []
    for wait, spent in zip(waits, zip(*turns, strict=True), strict=True):
        known = [each for each in spent if each is not None]
        wall, cpu = [each.wall for each in known], [each.cpu for each in known]
        rows.append(measurement(f"{wait.name}: wall", wall, "s", at_most=wait.most_wall))
        rows.append(measurement(f"{wait.name}: CPU", cpu, "s", at_most=wait.most_cpu))
        if wait.name == _REPORT_LARGE:
            megabytes = [each.megabytes for each in known]
            rows.append(measurement(f"{wait.name}: memory", megabytes, "MB", at_most=1000.0))
    return {
        "benchmark": "startup",
        "machine": describe(),
        "repeats": repeats,
        "quick": quick,
        "heavy_modules_loaded": loaded,
        "measurements": rows,
    }


_NO_SUCH_VERB = 2
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
_REPORT_LARGE = "poq report, 10 million rows"


def _waits(quick: bool, large: bool) -> list[_Wait]:
    """Return what is waited for, in an order in which each finds what it reads."""
    short = ("--rounds", "50", "--replications", "1") if quick else ()
    sweep = (*_CLI, "run", "adversary_sweep", "--jobs", "2", *short)
    economy = (*_CLI, "run", "entry_exit", *short[2:])
    once = (*_CLI, "run", SCENARIO)
    treatments = f"{100 if quick else 10_000:,} treatments of 100 rounds"
    found = [
        _Wait("import poq_abm", ("-c", "import poq_abm"), most_wall=0.5),
        _Wait("poq --help", (*_CLI, "--help")),
        _Wait(f"poq run {SCENARIO}, nothing compiled", (*once, "--out", "a"), most_cpu=8.0),
        _Wait(f"poq run {SCENARIO}", (*once, "--out", "b"), most_wall=1.0),
        _Wait("poq report", (*_CLI, "report", "b"), most_wall=2.0),
        _Wait("adversary_sweep, 2 workers, compiles more", (*sweep, "--out", "c")),
        _Wait("adversary_sweep, 2 workers", (*sweep, "--out", "d"),
              most_wall=None if quick else 8.0),
        _Wait("entry_exit, compiles more", (*economy, "--out", "e")),
        _Wait("entry_exit", (*economy, "--out", "f")),
        _Wait(treatments, (*_CLI, "run", "many.yaml", "--out", "g"),
              most_wall=None if quick else 15.0),
    ]  # fmt: skip
    if large:
        found.append(_Wait("poq warm", (*_CLI, "warm"), cache="warmed"))
        found.append(_Wait("the first run after poq warm", (*once, "--out", "w"),
                           most_wall=2.0, cache="warmed"))  # fmt: skip
        changes = [text for key, value in _LARGE.items() for text in ("--set", f"{key}={value}")]
        found.append(_Wait("10 million rows", (*once, *changes, "--out", "h")))
        found.append(_Wait(_REPORT_LARGE, (*_CLI, "report", "h"), most_wall=20.0))
    return found


def _spend(wait: _Wait, folder: Path, tree: Path) -> Spent | None:
    """Do what is waited for, with compiled code in ``folder`` alone; ``None`` without the verb."""
    places = {name: str(folder / wait.cache) for name in
              ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "POQ_CACHE_DIR")}  # fmt: skip
    # Python may keep its own bytecode, as a user's does, whatever this process was told.
    kept = {name: text for name, text in os.environ.items() if name != _NO_BYTECODE}
    begun = time.perf_counter()
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, *wait.arguments],
            cwd=folder,
            env={**kept, **places, "PYTHONPATH": str(tree)},
            stdout=said,
            stderr=said,
        )
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == _NO_SUCH_VERB and wait.arguments[-1] == "warm":
        return None
    if process.returncode != 0:
        raise RuntimeError(f"{wait.name} in {tree}:\n{(folder / 'said').read_text()}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Spent(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line("startup", __doc__, counted="turns", quick="sweeps of few treatments")
    parser.add_argument(
        "--large", action="store_true", help="compile all and report ten million rows, too"
    )
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to measure")
    chosen = parser.parse_args(arguments)
    found = measure(chosen.repeats, tree=chosen.tree, quick=chosen.quick, large=chosen.large)
    show(found, as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
