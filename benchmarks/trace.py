"""What a trace costs: ``python -m benchmarks.trace``.

The published network is played with every round kept, for two lengths ten times apart, each time
in a fresh process; importing and compiling are over before the clock starts. Playing and writing go
on side by side, so the process is not kept on one core. Memory must not grow with the rounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.machine import describe
from benchmarks.values import command_line, measurement, show

__all__ = ["measure"]

RATE_GOAL = 2e6
MEMORY_GOAL_MB = 500.0
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
    command = [sys.executable, "-m", "benchmarks.traced", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


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
