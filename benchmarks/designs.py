"""What a design costs a search for a mechanism: a treatment before its rounds, and with them.

``python -m benchmarks.designs`` plays random designs under eight populations, 10 replications of
each, as ``poq design`` does: of the published network, and of twenty evaluators with a committee of
3 to 15 whose trust is learnt, paid for closeness to the consensus or to what the others say. It
says the CPU milliseconds of a treatment with one round a replication and with 2,000, scenario and
figures included, and how many designs a minute two workers play. ``--quick`` plays few designs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.reporting import command_line, measurement, show
from poq_abm.analysis.design import DesignProblem, FigurePlayer, load_design
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.search import Step

__all__ = ["measure", "play", "problem_of"]

OVERHEAD_GOAL_MS, DESIGNS_GOAL = 3.0, 2_000.0
REPLICATIONS, ROUNDS = 10, 2_000
_TEXT = """
extends: cost_aware_poq
{network}
search:
  variables:
    mechanism.committee_size: {{low: {least}, high: {most}}}
    mechanism.reference: {{choices: [{references}]}}
    mechanism.beta_evaluator: {{low: 0.0, high: 0.6}}
    mechanism.beta_inference: {{low: 0.0, high: 0.6}}
  populations:
    boosters: {{malicious: {{share: 0.34, behaviour: boost}}}}
    saboteurs: {{malicious: {{share: 0.34, behaviour: sabotage}}}}
    noisy: {{malicious: {{share: 0.34, behaviour: {{name: noise, sigma: 4.0}}}}}}
    low: {{malicious: {{share: 0.34, behaviour: {{name: constant, score: 2.0}}}}}}
    middle: {{malicious: {{share: 0.34, behaviour: {{name: constant, score: 5.0}}}}}}
    high: {{malicious: {{share: 0.34, behaviour: {{name: constant, score: 8.0}}}}}}
    timid: {{malicious: {{share: 0.34, behaviour: {{name: intermittent, p: 0.5}}}}}}
  objectives:
    - {{maximise: correlation}}
    - {{minimise: bias, absolute: true,
        under: [boosters, saboteurs, noisy, low, middle, high, timid]}}
"""
_NETWORKS = {
    "the published network": {
        "network": "",
        "least": 1,
        "most": 3,
        "references": "inclusive, leave_one_out",
    },
    "twenty evaluators that learn trust": {
        "network": """
mechanism: {aggregation: trust_weighted, trust: {update: hedge}}
population:
  evaluators:
    - {model: sts_stsb, count: 8, hardware: rtx_4090}
    - {model: ce_minilm, count: 6, hardware: rtx_4090}
    - {model: ce_deberta, count: 6, hardware: rtx_4090}
""",
        "least": 3,
        "most": 15,
        "references": "inclusive, leave_one_out",
    },
}


@contextmanager
def problem_of(network: str, rounds: int) -> Iterator[DesignProblem]:
    """Yield the search around one of the networks, with so many rounds a replication."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "timed.yaml"
        path.write_text(_TEXT.format(**_NETWORKS[network]))
        yield load_design(path, (f"rounds={rounds}",))


def play(problem: DesignProblem, designs: int, workers: int) -> dict[str, float]:
    """Play so many random designs; return seconds by the clock and of the processor."""
    drawn = [_settings(problem, seed) for seed in range(designs)]
    player = FigurePlayer(problem.metrics, workers=Workers(workers))
    wall, cpu = time.perf_counter(), time.process_time()
    scenarios = [scenario for settings in drawn for scenario in problem.scenarios(settings)]
    player(Step(scenarios, 0, REPLICATIONS))
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _settings(problem: DesignProblem, seed: int) -> dict[str, Any]:
    """Return a design drawn from the ranges and choices of a search."""
    rng, found = np.random.default_rng(seed), dict[str, Any]()
    for path, variable in problem.search.variables.items():
        low, high = float(variable.low or 0), float(variable.high or 0)
        if variable.choices:
            found[path] = variable.choices[rng.integers(len(variable.choices))]
        elif variable.is_whole:
            found[path] = int(rng.integers(int(low), int(high) + 1))
        else:
            found[path] = variable.readable(rng.uniform(low, high))
    return found


def measure(repeats: int, *, quick: bool = False) -> dict[str, Any]:
    """Return milliseconds a treatment and designs a minute, ready for JSON."""
    designs, rows = 2 if quick else 100, []
    for network in _NETWORKS:
        for rounds in (1, ROUNDS):
            with problem_of(network, rounds) as problem:
                play(problem, 2, 1)  # compiles
                played = [play(problem, designs, 1) for _ in range(repeats)]
                treatments = designs * len(problem.populations)
                goal = OVERHEAD_GOAL_MS if rounds == 1 else None
                name = f"a treatment of {REPLICATIONS} x {rounds:,} rounds, {network}: CPU"
                costs = [1e3 * one["cpu"] / treatments for one in played]
                rows.append(measurement(name, costs, "ms", at_most=goal))
                if rounds > 1:
                    both = [play(problem, designs, 2) for _ in range(repeats)]
                    name = f"designs of {len(problem.populations)} treatments, {network}, 2 workers"
                    rates = [60.0 * designs / one["wall"] for one in both]
                    rows.append(measurement(name, rates, "a minute", at_least=DESIGNS_GOAL))
    return {
        "benchmark": "designs of a search for a mechanism",
        "machine": describe(),
        "repeats": repeats,
        "quick": quick,
        "measurements": rows,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line(
        "designs", __doc__, counted="times that all is played", quick="2 designs instead of 100"
    )
    chosen = parser.parse_args(arguments)
    show(measure(chosen.repeats, quick=chosen.quick), as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
