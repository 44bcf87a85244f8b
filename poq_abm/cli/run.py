"""``poq run``: play a scenario, store the results, print who earned what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import (
    EngineName,
    Jobs,
    Plugins,
    Replications,
    Rounds,
    ScenarioArgument,
    Seed,
    Settings,
)
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.playing import Engine

__all__ = ["run"]

ENGINES: tuple[Engine, ...] = ("compiled", "agents")


def run(
    scenario: ScenarioArgument,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    trace: Annotated[bool, typer.Option("--trace", help="Store every round.")] = False,
    engine: EngineName = "compiled",
    out: Annotated[
        Path | None, typer.Option(help="Results folder; default results/NAME-HASH.")
    ] = None,
) -> None:
    """Play a scenario and store the results; the same command finishes an interrupted run."""
    from poq_abm.behaviour.resolving import load_plugin  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.cli.tables import print_summary  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.experiment.results import run_to_folder  # noqa: PLC0415

    player = _engine(engine)
    for module in plugin or []:
        load_plugin(module)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    plan = Plan.load(scenario, [*(settings or []), *overrides], trace=trace)
    folder = out or Path("results") / f"{plan.scenario.name}-{plan.hash()[:10]}"
    announce_compilation()
    if plugin and any(plan.game(t).needs_agents for t in range(len(plan.treatments))):
        typer.echo("A behaviour in plain Python is played: agent by agent.", err=True)
    try:
        with progress_bar(plan.rounds, plan.scenario.name) as progress:
            results = run_to_folder(plan, folder, n_jobs=jobs, engine=player, progress=progress)
    except KeyboardInterrupt:
        typer.echo(f"Interrupted; the same command finishes {folder}.", err=True)
        raise typer.Exit(130) from None
    count = plan.scenario.replications
    title = (
        f"{plan.scenario.name}: {count} replication{'s' * (count > 1)} of {_rounds(plan)} rounds"
    )
    print_summary(results.summary(), title)
    typer.echo(f"Results: {folder}")


def _engine(name: str) -> Engine:
    for engine in ENGINES:
        if engine == name:
            return engine
    raise InputError(f"--engine {name}: unknown engine; {nearest(name, ENGINES)}")


def _rounds(plan: Plan) -> str:
    rounds = {treatment.scenario.rounds for treatment in plan.treatments}
    return " or ".join(f"{number:,}" for number in sorted(rounds))
