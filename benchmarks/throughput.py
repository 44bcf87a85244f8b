"""Rounds per second of plain Mesa, both engines and C loops: ``python -m benchmarks.throughput``.

All contestants play the published profile with mean aggregation and a uniform schedule, on one core
and turn by turn. The C loops, one of them with vector instructions, are first held to the compiled
engine's sums, bit for bit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.c_loop import VARIANTS, compile_loop
from benchmarks.contestants import CHECKED_ROUNDS, NAMES, contestants, same_sums
from benchmarks.machine import describe, on_one_core
from benchmarks.measuring import contest, ratio, spread
from benchmarks.networks import NETWORKS, Network
from benchmarks.reporting import command_line, print_throughput, show

__all__ = ["GOALS", "measure"]

#: the least ratio wanted of two contestants, per network; none where a ratio is told for comparison
GOALS: dict[tuple[str, str], tuple[float | None, ...]] = {
    ("compiled", "plain_mesa"): (400.0, 400.0, 300.0),
    ("compiled", "c_loop"): (0.6, 0.6, 0.6),
    ("compiled", "c_vectors"): (0.5, 0.5, 0.5),
    ("agents", "plain_mesa"): (1.0, 1.0, 1.0),
    ("compiled", "tuned_mesa"): (None, None, None),
    ("agents", "tuned_mesa"): (None, None, None),
}


def measure(repeats: int, *, quick: bool = False) -> dict[str, Any]:
    """Return all rates and ratios, ready for JSON.

    Raises
    ------
    ArithmeticError
        If a C loop and the compiled engine disagree; their times would not be comparable.
    """
    with TemporaryDirectory() as folder, on_one_core() as core:
        library = compile_loop(Path(folder))
        return {
            "benchmark": "throughput",
            "machine": {**describe(), "core": core},
            "repeats": repeats,
            "quick": quick,
            "c_loop_checked_rounds": None if library is None else CHECKED_ROUNDS,
            "networks": [
                _measure_network(index, library, repeats, quick) for index in range(len(NETWORKS))
            ],
        }


def _measure_network(index: int, library: Any, repeats: int, quick: bool) -> dict[str, Any]:
    network = NETWORKS[index]
    if library is not None:
        _must_agree(network, library)
    rates = contest(contestants(network, library, quick=quick), repeats)
    return {
        **network._asdict(),
        "rounds_per_second": {
            name: spread(rates[name]) if name in rates else None for name in NAMES
        },
        "ratios": [_verdict(rates, *pair, goals[index]) for pair, goals in GOALS.items()],
    }


def _must_agree(network: Network, library: Any) -> None:
    for variant in VARIANTS:
        if not same_sums(network, library, variant):
            raise ArithmeticError(f"{variant} and the compiled engine differ at {network.label}")


def _verdict(
    rates: dict[str, list[float]], top: str, bottom: str, goal: float | None
) -> dict[str, Any]:
    measured = ratio(rates, top, bottom)
    return {
        "of": top,
        "to": bottom,
        "measured": measured,
        "goal": goal,
        "met": None if measured is None or goal is None else measured["ratio"] >= goal,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line(
        "throughput",
        __doc__,
        repeats=7,
        counted="turns of each contestant",
        quick="very short turns: a smoke test",
    )
    chosen = parser.parse_args(arguments)
    document = measure(chosen.repeats, quick=chosen.quick)
    show(document, as_json=chosen.json, table=print_throughput)
    return 0


if __name__ == "__main__":
    sys.exit(main())
