"""``poq run``: play a scenario, store the results, print who earned what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import (
    AsCsv,
    AsJson,
    BackendName,
    EngineName,
    Jobs,
    Plugins,
    Replications,
    ResampleProfile,
    Rounds,
    ScenarioArgument,
    Scheduler,
    Seed,
    Settings,
    workers_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.results import Results

__all__ = ["run"]

_MOST_BY_GROUP = 4  # treatments of which every group is shown; of more, what the axes move


def run(
    scenario: ScenarioArgument,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    resample_profile: ResampleProfile = False,
    trace: Annotated[bool, typer.Option("--trace", help="Store every round.")] = False,
    engine: EngineName = "compiled",
    backend: BackendName = None,
    scheduler: Scheduler = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Play replications again that raised.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Results folder; default results/NAME-HASH.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Play a scenario and store the results; the same command finishes an interrupted run."""
    from poq_abm.cli.plan import default_folder, engine_of, planned, warn  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.experiment.running import run_to_folder  # noqa: PLC0415

    player = engine_of(engine)
    workers = workers_of(jobs, backend, scheduler)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    numbers |= {"resample_profile": True} if resample_profile else {}
    plan = planned(scenario, settings, numbers, plugin, trace=trace)
    warn(plan)
    folder = out or default_folder(plan)
    announce_compilation()
    if plugin and any(plan.game(t).needs_agents for t in range(len(plan.treatments))):
        typer.echo("A behaviour in plain Python is played: agent by agent.", err=True)
    with _finished_later(folder), progress_bar(plan.scenario.name) as bar:
        results = run_to_folder(
            plan,
            folder,
            workers=workers,
            engine=player,
            retry_failed=retry_failed,
            progress=bar.played,
            expect=bar.expect,
        )
    if as_json or as_csv:
        _print_data(results, folder, as_json=as_json, as_csv=as_csv)
    else:
        _print_report(plan, results, folder)
    if results.failures:
        raise typer.Exit(1)


@contextmanager
def _finished_later(folder: Path) -> Iterator[None]:
    """Say on an interrupt how the run goes on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"Interrupted; the same command finishes {folder}.", err=True)
        raise typer.Exit(130) from None


def _print_data(results: Results, folder: Path, *, as_json: bool, as_csv: bool) -> None:
    """Print what was played for a program: a row for each group of each treatment."""
    from poq_abm.cli.printing import print_data  # noqa: PLC0415

    told = {"folder": str(folder), "failures": results.failures}
    print_data(_tables(results), as_json=as_json, as_csv=as_csv, **told)


def _tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return what is summarised of every treatment that was played."""
    if not len(results.main):
        return {"summary": results.main}
    if "queries" in results.tables:
        found = {"queries": results.query_summary()}
    else:
        found = {"summary": results.summary()}
    if "epochs" in results.tables:
        found["economy"] = results.economy_summary()
    return found if results.precision is None else {**found, "precision": results.precision}


def _print_report(plan: Plan, results: Results, folder: Path) -> None:
    """Print who earned what, the precision reached and what failed."""
    from poq_abm.cli.printing import say  # noqa: PLC0415
    from poq_abm.cli.tables import MOST_TREATMENTS, print_precision  # noqa: PLC0415

    played = results.main["treatment"].unique().astype(str).tolist()
    if played:
        _print_tables(plan, results, played[:MOST_TREATMENTS], len(played) - MOST_TREATMENTS)
    else:
        typer.echo("Every replication raised: there is nothing to show.")
        _print_unanimity(plan)
    if plan.scenario.precision is not None and results.precision is not None:
        print_precision(results.precision, plan.scenario.precision)
        if plan.fewest_records is not None:
            say(
                "Precision is that of the replications, on the records as measured: no number of "
                "them shortens the calibration's error."
            )
    typer.echo(f"Results: {folder}")
    if results.failures:
        first = results.failures[0]
        typer.echo(
            f"{len(results.failures)} replications raised and are left out, the first with "
            f"{first['error']}; `poq status {folder}` lists them, --retry-failed plays them again.",
            err=True,
        )


def _print_tables(plan: Plan, results: Results, treatments: list[str], left_out: int) -> None:
    """Print what a run came to: of a large sweep what its axes move, else every treatment."""
    from poq_abm.cli.plan import gap_lines  # noqa: PLC0415
    from poq_abm.cli.printing import say  # noqa: PLC0415
    from poq_abm.cli.tables import print_axes, print_calibration_error, print_queries  # noqa: PLC0415

    count, left_out = plan.scenario.most_replications, max(left_out, 0)
    most = "" if plan.scenario.precision is None else "at most "
    title = f"{plan.scenario.name}: {most}{count:,}"
    grid = _is_grid(results)
    large = len(plan.treatments) > _MOST_BY_GROUP and grid
    if "queries" in results.tables:
        summary = results.query_summary(treatments=treatments)
        print_queries(summary, f"{title} x {_rounds(plan)} queries", left_out)
        print_calibration_error(summary, "mean")
        for line in gap_lines(plan):
            say(line, indent=2)
    else:
        title += f" replication{'s' * (count > 1)} of {_rounds(plan)} rounds"
        if large:
            typer.echo(f"{title}, {len(plan.treatments):,} treatments")
        else:
            _print_groups(results, treatments, title, left_out)
    if grid:
        print_axes(results, alone=not large)
    if "thin_comparisons" in results.main and results.main["thin_comparisons"].any():
        from poq_abm.analysis.stored_run import thin_notes  # noqa: PLC0415

        for note in thin_notes(results.main):
            say(f"note: {note}", indent=2)
    _print_unanimity(plan)


def _is_grid(results: Results) -> bool:
    """Return whether a sweep's axes can be told apart; what asks that takes a while to import."""
    if len(results.treatments) == 1:
        return False
    from poq_abm.analysis.axis_effects import is_grid  # noqa: PLC0415

    return is_grid(results.treatments)


def _print_groups(results: Results, treatments: list[str], title: str, left_out: int) -> None:
    """Print what each group of each treatment came to, and what its economy did."""
    from poq_abm.cli.tables import (  # noqa: PLC0415
        print_calibration_error,
        print_economy,
        print_summary,
    )
    from poq_abm.experiment.economy_study import LAST_SHARE  # noqa: PLC0415

    print_summary(results.summary(treatments=treatments), title, left_out)
    if "epochs" in results.tables:
        economy = results.economy_summary(treatments=treatments)
        print_economy(economy, results.replications["halted_epoch"], LAST_SHARE)
        print_calibration_error(economy[economy["role"] == "network"], "last")


def _print_unanimity(plan: Plan) -> None:
    """Say where evaluators cannot but agree."""
    from poq_abm.cli.printing import say  # noqa: PLC0415
    from poq_abm.scenario.checks.unanimity import unanimity_notes  # noqa: PLC0415

    for note in unanimity_notes({t.id: t.scenario for t in plan.treatments}):
        say(f"note: {note}", indent=2)


def _rounds(plan: Plan) -> str:
    rounds = {treatment.scenario.rounds for treatment in plan.treatments}
    return " or ".join(f"{number:,}" for number in sorted(rounds))
