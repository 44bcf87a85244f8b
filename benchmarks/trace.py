"""What a trace costs: ``python -m benchmarks.trace``.

The published network is played with every round kept, for two lengths ten times apart, each time
in a fresh process; importing and compiling are over before the clock starts. Playing and writing go
on side by side, so the process is not kept on one core. Memory must not grow with the rounds.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.machine import describe
from benchmarks.networks import SCENARIO
from benchmarks.reporting import command_line, measurement, show

__all__ = ["measure", "play_traced"]

RATE_GOAL = 2e6
MEMORY_GOAL_MB = 500.0
WARM_UP_ROUNDS = 1_000
SHORTER = 10  # the short run has this fraction of the rounds


def measure(rounds: int, repeats: int) -> dict[str, Any]:
    """Return rate, file size and peak memory of traced runs, ready for JSON."""
    lengths = (max(1, rounds // SHORTER), rounds)
    found: dict[int, list[dict[str, float]]] = {length: [] for length in lengths}
    for _ in range(repeats):
        for length in lengths:
            found[length].append(_in_fresh_process(length))
    return {
        "benchmark": "trace",
        "machine": describe(),
        "repeats": repeats,
        "rounds": list(lengths),
        "measurements": [row for length in lengths for row in _rows(length, found[length])],
    }


def _in_fresh_process(rounds: int) -> dict[str, float]:
    play = f"import json; from benchmarks.trace import *; print(json.dumps(play_traced({rounds})))"
    done = subprocess.run([sys.executable, "-c", play], stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def play_traced(rounds: int) -> dict[str, float]:
    """Play and store one traced replication; return its rate, file size and peak memory so far."""
    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.running import run_to_folder
    from poq_abm.scenario import load

    def play(rounds: int, folder: Path) -> float:
        scenario = load(SCENARIO).replace({"replications": 1, "rounds": rounds})
        plan = Plan.of(scenario, trace=True)
        begun = time.perf_counter()
        run_to_folder(plan, folder)
        return time.perf_counter() - begun

    with TemporaryDirectory() as folder:
        play(WARM_UP_ROUNDS, Path(folder) / "warm_up")
        seconds = play(rounds, Path(folder) / "measured")
        blocks = (Path(folder) / "measured" / "rounds.parquet").iterdir()
        size = sum(block.stat().st_size for block in blocks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rounds_per_second": rounds / seconds,
        "file_mb": size / 1e6,
        "peak_memory_mb": (peak if sys.platform == "darwin" else 1024 * peak) / 1e6,
    }


def _rows(rounds: int, runs: list[dict[str, float]]) -> list[dict[str, Any]]:
    def values(name: str) -> list[float]:
        return [run[name] for run in runs]

    label = f"{rounds:,} rounds"
    memory = values("peak_memory_mb")
    return [
        measurement(f"{label}: rate", values("rounds_per_second"), "rounds/s", at_least=RATE_GOAL),
        measurement(f"{label}: rounds.parquet", values("file_mb"), "MB"),
        measurement(f"{label}: peak memory", memory, "MB", at_most=MEMORY_GOAL_MB),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line("trace", __doc__)
    parser.add_argument("--rounds", type=int, default=10_000_000, help="rounds of the long run")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1 or chosen.repeats < 1:
        parser.error("--rounds and --repeats must be at least 1")
    show(measure(chosen.rounds, chosen.repeats), as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
