"""One traced run in a process of its own: ``python -m benchmarks.traced ROUNDS`` prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import poq_abm
from benchmarks.networks import SCENARIO
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder

__all__ = ["play_traced"]

WARM_UP_ROUNDS = 1_000


def play_traced(rounds: int) -> dict[str, float]:
    """Play and store one traced replication; return its rate, file size and peak memory so far."""
    with TemporaryDirectory() as folder:
        _run(WARM_UP_ROUNDS, Path(folder) / "warm_up")
        seconds = _run(rounds, Path(folder) / "measured")
        blocks = (Path(folder) / "measured" / "rounds.parquet").iterdir()
        size = sum(block.stat().st_size for block in blocks)
    return {
        "rounds_per_second": rounds / seconds,
        "file_mb": size / 1e6,
        "peak_memory_mb": _peak_memory() / 1e6,
    }


def _run(rounds: int, folder: Path) -> float:
    scenario = poq_abm.load(SCENARIO).replace({"replications": 1, "rounds": rounds})
    plan = Plan.of(scenario, trace=True)
    begun = time.perf_counter()
    run_to_folder(plan, folder)
    return time.perf_counter() - begun


def _peak_memory() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


if __name__ == "__main__":
    print(json.dumps(play_traced(int(sys.argv[1]))))
