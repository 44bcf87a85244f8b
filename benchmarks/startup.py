"""How long a user waits before anything is played: ``python -m benchmarks.startup``.

Every measurement is the wall time of a fresh process, the interpreter's own start included, with
the compiled code cached by a first run that does not count. ``import poq_abm`` must load none of
the heavy packages that only some users need.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.machine import describe
from benchmarks.networks import SCENARIO
from benchmarks.values import command_line, measurement, show

__all__ = ["HEAVY", "heavy_modules_loaded", "measure"]

IMPORT_GOAL_S = 0.5
RUN_GOAL_S = 3.0
HEAVY = ("torch", "transformers", "seaborn", "solara", "matplotlib")

_ASK = "import json, sys, poq_abm; print(json.dumps(sorted(set({heavy}) & set(sys.modules))))"


def heavy_modules_loaded() -> list[str]:
    """Return which of the :data:`HEAVY` packages ``import poq_abm`` loads in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK.format(heavy=HEAVY)], stdout=subprocess.PIPE, check=True
    )
    loaded: list[str] = json.loads(done.stdout)
    return loaded


def measure(repeats: int) -> dict[str, Any]:
    """Return the waiting times, ready for JSON.

    Raises
    ------
    ImportError
        If ``import poq_abm`` loads a heavy package.
    """
    if loaded := heavy_modules_loaded():
        raise ImportError(f"import poq_abm loads {', '.join(loaded)}")
    imports, runs = [], []
    runnable = _has_command()
    if runnable:
        _time_run()  # compiles and caches
    for _ in range(repeats):
        imports.append(_time([sys.executable, "-c", "import poq_abm"]))
        if runnable:
            runs.append(_time_run())
    return {
        "benchmark": "startup",
        "machine": describe(),
        "repeats": repeats,
        "heavy_modules_loaded": loaded,
        "measurements": [
            measurement("import poq_abm", imports, "s", at_most=IMPORT_GOAL_S),
            measurement(f"poq run {SCENARIO}", runs, "s", at_most=RUN_GOAL_S),
        ],
    }


def _has_command() -> bool:
    try:
        return find_spec("poq_abm.cli.__main__") is not None
    except ModuleNotFoundError:
        return False


def _time_run() -> float:
    with TemporaryDirectory() as folder:
        out = str(Path(folder) / "results")
        return _time([sys.executable, "-m", "poq_abm.cli", "run", SCENARIO, "--out", out])


def _time(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line("startup", __doc__)
    parser.set_defaults(repeats=7)
    chosen = parser.parse_args(arguments)
    if chosen.repeats < 1:
        parser.error("--repeats must be at least 1")
    show(measure(chosen.repeats), as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
