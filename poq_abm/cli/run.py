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
from poq_abm.errors import InputError

if TYPE_CHECKING:
    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.results import Results

__all__ = ["run"]


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
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="threading|loky|dask",
            help="Kind of worker; default: threads, or processes for the agents.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, as tcp://HOST:PORT.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Play replications again that raised.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Results folder; default results/NAME-HASH.")
    ] = None,
) -> None:
    """Play a scenario and store the results; the same command finishes an interrupted run."""
    from poq_abm.cli.plan import default_folder, engine_of, planned, warn  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.experiment.executor import Workers, backend_of  # noqa: PLC0415
    from poq_abm.experiment.running import run_to_folder  # noqa: PLC0415

    player = engine_of(engine)
    if scheduler is not None and backend != "dask":
        raise InputError("--scheduler does nothing without --backend dask")
    workers = Workers(jobs, backend_of(backend) if backend else None, scheduler)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    plan = planned(scenario, settings, numbers, plugin, trace=trace)
    warn(plan)
    folder = out or default_folder(plan)
    announce_compilation()
    if plugin and any(plan.game(t).needs_agents for t in range(len(plan.treatments))):
        typer.echo("A behaviour in plain Python is played: agent by agent.", err=True)
    try:
        with progress_bar(plan.scenario.name) as bar:
            results = run_to_folder(
                plan,
                folder,
                workers=workers,
                engine=player,
                retry_failed=retry_failed,
                progress=bar.played,
                expect=bar.expect,
            )
    except KeyboardInterrupt:
        typer.echo(f"Interrupted; the same command finishes {folder}.", err=True)
        raise typer.Exit(130) from None
    _report(plan, results, folder)


def _report(plan: Plan, results: Results, folder: Path) -> None:
    """Print who earned what, the precision reached and what failed; exit with 1 if anything did."""
    from poq_abm.cli.tables import print_economy, print_precision, print_summary  # noqa: PLC0415

    count = plan.scenario.most_replications
    most = "" if plan.scenario.precision is None else "at most "
    title = (
        f"{plan.scenario.name}: {most}{count:,} replication{'s' * (count > 1)} of {_rounds(plan)} "
        "rounds"
    )
    if results.main.empty:
        typer.echo("Every replication raised: there is nothing to show.")
    elif "queries" in results.tables:
        _report_queries(plan, results)
    else:
        print_summary(results.summary(), title)
    _print_unanimity(plan)
    if "epochs" in results.tables and not results.main.empty:
        from poq_abm.experiment.economy_study import LAST_SHARE  # noqa: PLC0415

        halted = results.replications["halted_epoch"]
        print_economy(results.economy_summary(), halted, LAST_SHARE)
    if plan.scenario.precision is not None and results.precision is not None:
        print_precision(results.precision, plan.scenario.precision)
    typer.echo(f"Results: {folder}")
    if results.failures:
        first = results.failures[0]
        typer.echo(
            f"{len(results.failures)} replications raised and are left out, the first with "
            f"{first['error']}; `poq status {folder}` lists them, --retry-failed plays them again.",
            err=True,
        )
        raise typer.Exit(1)


def _print_unanimity(plan: Plan) -> None:
    """Say where evaluators cannot but agree."""
    from poq_abm.scenario.checks.unanimity import unanimity_notes  # noqa: PLC0415

    for note in unanimity_notes({t.id: t.scenario for t in plan.treatments}):
        typer.echo(f"note: {note}")


def _report_queries(plan: Plan, results: Results) -> None:
    """Print what each protocol lets through, takes and costs, and which leave a gap open."""
    from poq_abm.cli.plan import gap_lines  # noqa: PLC0415
    from poq_abm.cli.tables import print_queries  # noqa: PLC0415

    count = plan.scenario.most_replications
    most = "" if plan.scenario.precision is None else "at most "
    title = f"{plan.scenario.name}: {most}{count:,} x {_rounds(plan)} queries"
    print_queries(results.query_summary(), title)
    for line in gap_lines(plan):
        typer.echo(line)


def _rounds(plan: Plan) -> str:
    rounds = {treatment.scenario.rounds for treatment in plan.treatments}
    return " or ".join(f"{number:,}" for number in sorted(rounds))
