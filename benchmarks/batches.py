"""What a batch of replications costs beyond its rounds: ``python -m benchmarks.batches``.

Everything is stored in a results folder, as ``poq run`` does. Plain Mesa's ``batch_run`` plays the
same network in the same run, without storing anything. Every turn is a fresh process; the turns of
what is compared alternate, and medians are printed.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.machine import describe
from benchmarks.networks import SCENARIO
from benchmarks.reporting import command_line, measurement, show

__all__ = ["measure", "mesa_batch", "simulate", "store", "sweep"]

SMALL_ROUNDS = 5_000  # the scenario's own
SMALL_REPLICATIONS = 10_000
OVERHEAD_GOAL_S, SPEEDUP_GOAL, WARM_GOAL_S, MEMORY_GOAL_MB = 0.002, 1.8, 3.0, 500.0
SWEEP_GOAL_S = 15.0
MESA_REPLICATIONS, MESA_ROUNDS = 200, 500


def store(replications: int, rounds: int, workers: int) -> dict[str, float]:
    """Run the published scenario into a folder; return the wall time and the parent's peak memory.

    What is compiled and read from disk once is so before the clock starts.
    """
    from poq_abm.experiment.executor import Workers
    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.running import run_to_folder
    from poq_abm.scenario import load

    def plan(replications: int, rounds: int) -> Plan:
        return Plan.of(load(SCENARIO, [f"replications={replications}", f"rounds={rounds}"]))

    with TemporaryDirectory() as folder:
        run_to_folder(plan(2, 10), Path(folder) / "warm", workers=Workers(workers))
        asked = plan(replications, rounds)
        begun = time.perf_counter()
        run_to_folder(asked, Path(folder) / "run", workers=Workers(workers))
        seconds = time.perf_counter() - begun
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "megabytes": kilobytes / 1024}


def sweep(treatments: int, rounds: int, workers: int) -> dict[str, float]:
    """Load, plan, play into a folder and summarise a sweep of one replication a treatment."""
    from poq_abm.experiment.executor import Workers
    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.running import run_to_folder
    from poq_abm.scenario import load

    def play(folder: Path, treatments: int) -> float:
        begun = time.perf_counter()
        side = round(treatments**0.5)
        values = [step / side for step in range(side)]
        axes = {"mechanism.alpha_inference": values, "mechanism.beta_inference": values}
        plain = {"extends": SCENARIO, "rounds": rounds, "replications": 1, "sweep": axes}
        run_to_folder(Plan.of(load(plain)), folder, workers=Workers(workers)).summary()
        return time.perf_counter() - begun

    with TemporaryDirectory() as folder:
        play(Path(folder) / "warm", 4)
        seconds = play(Path(folder) / "run", treatments)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "megabytes": kilobytes / 1024}


def simulate(replications: int, rounds: int, threads: int) -> dict[str, float]:
    """Play as many replications in calls of the compiled loop, one on each thread, and no more."""
    from poq_abm.experiment.round_study import play_many
    from poq_abm.profile import load_profile
    from poq_abm.scenario import load
    from poq_abm.simulation.game import build_game

    scenario = load(SCENARIO, [f"rounds={rounds}"])
    game = build_game(scenario, load_profile(scenario.profile))
    play_many(scenario, game, 0, 2)
    share = replications // threads
    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, share * threads, share):
            pool.submit(play_many, scenario, game, first, first + share)
    return {"seconds": time.perf_counter() - begun}


def mesa_batch(replications: int, rounds: int) -> dict[str, float]:
    """Play replications by ``mesa.batch_run`` over the plain model."""
    import mesa

    from benchmarks.plain_mesa import PlainModel
    from poq_abm.profile import load_profile
    from poq_abm.scenario import load
    from poq_abm.simulation.game import build_game

    scenario = load(SCENARIO)
    game = build_game(scenario, load_profile(scenario.profile))

    class Batched(PlainModel):
        """A plain model that collects every node's reward once, at the end."""

        def __init__(self, seed: int = 1) -> None:
            super().__init__(game, seed)
            self.datacollector = mesa.DataCollector(
                agent_reporters={"jobs": "jobs", "reward_total": "reward_total"}
            )

        def step(self) -> None:
            super().step()
            if self.steps == rounds:
                self.datacollector.collect(self)

    begun = time.perf_counter()
    rows = mesa.batch_run(
        Batched,
        parameters={"seed": list(range(replications))},
        max_steps=rounds,
        number_processes=1,
        data_collection_period=-1,
        display_progress=False,
    )
    seconds = time.perf_counter() - begun
    nodes = len(game.population.group)
    if len(rows) != replications * nodes:
        raise RuntimeError(f"batch_run left {len(rows)} rows, not {replications * nodes}")
    return {"seconds": seconds}


def measure(repeats: int, *, quick: bool = False) -> dict[str, Any]:
    """Return all measurements, ready for JSON."""
    count = SMALL_REPLICATIONS // 100 if quick else SMALL_REPLICATIONS
    thousand = 10 if quick else 1000
    seconds = _seconds(repeats, count, thousand)
    return {
        "benchmark": f"batches of {SCENARIO}",
        "machine": describe(),
        "repeats": repeats,
        "quick": quick,
        "measurements": [*_of_time(seconds, count, thousand), *_of_memory(count)],
        "medians_s": {name: median(found) for name, found in seconds.items()},
    }


def _of_time(seconds: dict[str, list[float]], count: int, thousand: int) -> list[dict[str, Any]]:
    """Return what the tasks' times come to."""
    alone, one, batch = (seconds[name] for name in ("bare loop", "one worker", "mesa.batch_run"))
    larger = count * SMALL_ROUNDS / (MESA_REPLICATIONS * MESA_ROUNDS)
    return [
        measurement(
            f"overhead of a replication ({count:,} x {SMALL_ROUNDS:,} rounds, 1 worker)",
            [(w - s) / count for w, s in zip(one, alone, strict=True)], "s",
            at_most=OVERHEAD_GOAL_S,
        ),
        measurement(
            "speed of two workers over one, the same batch",
            _over(one, seconds["two workers"]), "times", at_least=SPEEDUP_GOAL,
        ),
        measurement(
            "the bare loop on two threads over one, for comparison",
            _over(alone, seconds["two threads"]), "times",
        ),
        measurement(
            f"{thousand:,} x 5,000 rounds, 2 workers", seconds["warm"], "s", at_most=WARM_GOAL_S
        ),
        measurement(
            f"{count:,} treatments of 100 rounds, from loading to the summary, 2 workers",
            seconds["sweep"], "s", at_most=SWEEP_GOAL_S,
        ),
        measurement(
            f"mesa.batch_run, a replication of {MESA_ROUNDS} rounds",
            [each / MESA_REPLICATIONS for each in batch], "s",
        ),
        measurement(
            "poq_abm over mesa.batch_run, that batch",
            _over(batch, seconds["the same batch"]), "times",
        ),
        measurement(
            "rounds a second over mesa.batch_run, a large batch",
            [ratio * larger for ratio in _over(batch, one)], "times",
        ),
    ]  # fmt: skip


def _of_memory(count: int) -> list[dict[str, Any]]:
    """Return how much the parent holds at most, which does not grow with what it stores."""
    many, few = ([_fresh("store", number, 100, 2)["megabytes"]] for number in (10 * count, count))
    said = f"peak memory of the parent, {10 * count:,} replications x 8 nodes"
    return [
        measurement(said, many, "MB", at_most=MEMORY_GOAL_MB),
        measurement(f"the same, {count:,} replications", few, "MB"),
    ]


def _seconds(repeats: int, count: int, thousand: int) -> dict[str, list[float]]:
    """Return how long every task took, turn by turn."""
    small = (count, SMALL_ROUNDS)
    tasks: dict[str, tuple[str, tuple[int, ...]]] = {
        "bare loop": ("simulate", (*small, 1)),
        "two threads": ("simulate", (*small, 2)),
        "one worker": ("store", (*small, 1)),
        "two workers": ("store", (*small, 2)),
        "mesa.batch_run": ("mesa_batch", (MESA_REPLICATIONS, MESA_ROUNDS)),
        "the same batch": ("store", (MESA_REPLICATIONS, MESA_ROUNDS, 1)),
        "warm": ("store", (thousand, 5000, 2)),
        "sweep": ("sweep", (count, 100, 2)),
    }
    found: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, (task, numbers) in tasks.items():
            found[name].append(_fresh(task, *numbers)["seconds"])
    return found


def _over(ones: list[float], others: list[float]) -> list[float]:
    return [one / other for one, other in zip(ones, others, strict=True)]


def _fresh(task: str, *numbers: int) -> dict[str, float]:
    """Do a task in a process of its own and return what it measured."""
    call = f"{task}{numbers}"
    code = f"import json; from benchmarks.batches import {task}; print(json.dumps({call}))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line(
        "batches", __doc__, counted="turns", quick="a hundredth of the replications"
    )
    chosen = parser.parse_args(arguments)
    show(measure(chosen.repeats, quick=chosen.quick), as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
