"""What an economy costs: a large one with all features on, and the share that is not rounds.

``python -m benchmarks.economy`` plays, on one core, 2,000 nodes x 200 epochs x 5,000 rounds with
random arrivals, queues, latency noise, outages, fees, bonds, slashing, audits, controllers and four
rules of adaptation; then 1,000 nodes x 5,000 rounds, of whose time it takes apart what the compiled
loops take (arrivals, dispatch, rounds, sums) and what the end of an epoch does. ``--quick`` plays
few epochs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from benchmarks.machine import describe, on_one_core
from benchmarks.reporting import command_line, measurement, show
from poq_abm.profile import load_profile
from poq_abm.scenario import Scenario, parse
from poq_abm.simulation.epochs import epoch_rounds
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.game import build_game

__all__ = ["measure", "scenario_with"]

WALL_GOAL_S, OVERHEAD_GOAL = 5.0, 0.05
ROUNDS = 5000
_LOOPS = ("arrive_at_random", "arrive_evenly", "dispatch", "play_rounds", "add_rounds")
_SCENARIO = """
rounds: {rounds}
schedule: power_of_two
mechanism:
  {{committee_size: 5, aggregation: trust_weighted, trust: {{update: multiplicative}}}}
population:
  inference:
    - {{model: llama_3_2_3b, count: {half}, active: {quarter},
        hardware: {{rtx_4090: 0.6, rtx_3090: 0.4}}, region: texas}}
    - {{model: gemma_2_2b_it, count: {half}, active: {quarter}}}
  evaluators:
    - {{model: sts_stsb, count: {half}}}
    - {{model: ce_minilm, count: {half}}}
malicious: {{share: 0.2, behaviour: boost}}
economy:
  epochs: {epochs}
  cost: {{basis: money, usd_per_token: 0.01}}
  latency: {{distribution: lognormal, tail_share: 0.02, outage_probability: 0.02,
             charged: realised}}
  demand: {{arrivals: poisson, value: 1.0}}
  service: {{patience_s: 30.0}}
  payment: {{fee: 0.8, network_share: 0.02, treasury_share: 0.05, latency_penalty: 0.3}}
  controllers: [{{move: fee, target: 0.3, step: 0.05, minimum: 0.2, maximum: 5.0}}]
  stake:
    bond: 100.0
    unbonding_epochs: 5
    capital_rate: 0.0001
    eject_below: 0.3
    slashing: {{deviation: 0.3, gold: 0.5, downtime: 0.05}}
  audits: {{rate: 0.05, slash: 5.0}}
  options: {{inference: [{{name: misreport_cost, factor: 0.5}}]}}
  adaptation:
    - {{name: entry_exit, outside: 0.5, rate: 0.02, stays: 10}}
    - {{name: imitation, role: evaluator, rate: 0.05, temperature: 0.5}}
    - {{name: imitation, role: inference, rate: 0.05, temperature: 0.5, mutation: 0.01}}
    - {{name: model_switch, rate: 0.01}}
"""


def scenario_with(nodes: int, epochs: int) -> Scenario:
    """Return the scenario that is timed, half of its nodes inference nodes."""
    half = nodes // 4
    return parse(
        _SCENARIO.format(rounds=epochs * ROUNDS, epochs=epochs, half=half, quarter=half // 2)
    )


def measure(repeats: int, *, quick: bool = False) -> dict[str, Any]:
    """Return the wall time of the large economy and the overhead of epochs, ready for JSON."""
    epochs = 4 if quick else 200
    with on_one_core() as core:
        machine = {**describe(), "core": core}
        play(scenario_with(40, 2))  # compiles
        walls = [play(scenario_with(2000, epochs))[0] for _ in range(repeats)]
        shares = [1.0 - loops / wall for wall, loops in (
            play(scenario_with(1000, epochs)) for _ in range(repeats))]  # fmt: skip
    rows = [
        measurement(f"2,000 nodes, {epochs} epochs", walls, "s", at_most=WALL_GOAL_S),
        measurement("outside the loops, 1,000 nodes", shares, "of the run", at_most=OVERHEAD_GOAL),
    ]
    return {
        "benchmark": f"economy, {ROUNDS:,} rounds an epoch",
        "machine": machine,
        "repeats": repeats,
        "quick": quick,
        "measurements": rows,
    }


def play(scenario: Scenario) -> tuple[float, float]:
    """Play one replication; return its wall time and that of its compiled loops, in seconds."""
    profile = load_profile("published")
    economy = Economy(scenario, build_game(scenario, profile), profile, 0)
    with _timed_loops() as spent:
        begun = time.perf_counter()
        economy.run()
        wall = time.perf_counter() - begun
    return wall, sum(spent)


@contextmanager
def _timed_loops() -> Iterator[list[float]]:
    """Yield a list that receives the seconds of every call of a compiled loop."""
    spent: list[float] = []

    def timed(loop: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begun = time.perf_counter()
            result = loop(*arguments)
            spent.append(time.perf_counter() - begun)
            return result

        return call

    with ExitStack() as patches:
        for name in _LOOPS:
            loop = timed(getattr(epoch_rounds, name))
            patches.enter_context(mock.patch.object(epoch_rounds, name, loop))
        yield spent


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line(
        "economy", __doc__, counted="runs of each size", quick="a few epochs instead of 200"
    )
    chosen = parser.parse_args(arguments)
    show(measure(chosen.repeats, quick=chosen.quick), as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
