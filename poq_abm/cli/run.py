"""``poq run``: play a scenario, store the results, print who earned what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poq_abm.cli.options import (
    EngineName,
    Jobs,
    Replications,
    Rounds,
    ScenarioArgument,
    Seed,
    Settings,
)
from poq_abm.errors import InputError, nearest

__all__ = ["run"]

ENGINES = ("compiled", "agents")


def run(
    scenario: ScenarioArgument,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    trace: Annotated[bool, typer.Option("--trace", help="Store every round.")] = False,
    engine: EngineName = "compiled",
    out: Annotated[
        Path | None, typer.Option(help="Results folder; default results/NAME-HASH.")
    ] = None,
) -> None:
    """Play a scenario and store the results; the same command finishes an interrupted run."""
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.cli.tables import print_summary  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.experiment.results import run_to_folder  # noqa: PLC0415
    from poq_abm.scenario import load  # noqa: PLC0415

    if engine not in ENGINES:
        raise InputError(f"--engine {engine}: unknown engine; {nearest(engine, ENGINES)}")
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    plan = Plan.of(load(scenario, [*(settings or []), *overrides]), trace=trace)
    folder = out or Path("results") / f"{plan.scenario.name}-{plan.hash()[:10]}"
    announce_compilation()
    with progress_bar(plan.rounds, plan.scenario.name) as progress:
        results = run_to_folder(
            plan,
            folder,
            n_jobs=jobs,
            engine="agents" if engine == "agents" else "compiled",
            progress=progress,
        )
    count = plan.scenario.replications
    title = (
        f"{plan.scenario.name}: {count} replication{'s' * (count > 1)} of {_rounds(plan)} rounds"
    )
    print_summary(results.summary(), title)
    typer.echo(f"Results: {folder}")


def _rounds(plan: object) -> str:
    rounds = {treatment.scenario.rounds for treatment in plan.treatments}  # type: ignore[attr-defined]
    return " or ".join(f"{number:,}" for number in sorted(rounds))
