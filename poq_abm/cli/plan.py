"""``poq plan``: what a run consists of and what it will take, before anything is stored."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import (
    AsCsv,
    AsJson,
    EngineName,
    Jobs,
    Plugins,
    Replications,
    ResampleProfile,
    Rounds,
    ScenarioArgument,
    Seed,
    Settings,
)
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.experiment.estimating import Estimate
    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.study import Engine

__all__ = [
    "default_folder",
    "engine_of",
    "estimated_lines",
    "gap_lines",
    "plan",
    "planned",
    "resampling_lines",
    "warn",
]

ENGINES: tuple[Engine, ...] = ("compiled", "agents")

_MOST_TREATMENTS = 20


def plan(
    scenario: ScenarioArgument,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    resample_profile: ResampleProfile = False,
    trace: Annotated[bool, typer.Option("--trace", help="As if every round were stored.")] = False,
    engine: EngineName = "compiled",
    every: Annotated[bool, typer.Option("--all", help="List every treatment.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the treatments of a scenario and estimate time, memory and disk; nothing is stored."""
    from poq_abm.cli.printing import print_data, say  # noqa: PLC0415
    from poq_abm.cli.progress import duration  # noqa: PLC0415

    player = engine_of(engine)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    numbers |= {"resample_profile": True} if resample_profile else {}
    begun = time.perf_counter()
    made = planned(scenario, settings, numbers, plugin, trace=trace)
    planning = time.perf_counter() - begun
    warn(made)
    contents = _contents(made, most=len(made.treatments) if every else _MOST_TREATMENTS)
    for line in () if as_json or as_csv else contents:
        typer.echo(line)
    needs = _needs(made, player, jobs, planning)
    told = {
        "folder": str(default_folder(made)),
        made.unit: made.rounds,
        "estimate": None if needs is None else asdict(needs),
    }
    if print_data({"treatments": _treatments(made)}, as_json=as_json, as_csv=as_csv, **told):
        return
    typer.echo(f"results  {default_folder(made)}")
    if needs is None:
        say("time, memory and disk are not known before code that plays such rounds is compiled: "
            "`poq warm` does that once, and so does the first run")  # fmt: skip
        return
    typer.echo(
        f"time     about {duration(needs.seconds)} with {jobs} worker{'s' * (jobs > 1)} on this "
        f"machine as it is now ({duration(needs.fastest)} to {duration(needs.slowest)} by the "
        "treatments tried)"
    )
    typer.echo(
        f"memory   about {_size(needs.memory)} (workers that are processes need as much each)"
    )
    typer.echo(f"disk     about {_size(needs.disk)}")


def _needs(plan: Plan, engine: Engine, workers: int, planning: float) -> Estimate | None:
    """Return what a plan will take; nothing where the code to try it with is not compiled."""
    from poq_abm.compiler import NotCompiledError, refusing_to_compile  # noqa: PLC0415
    from poq_abm.experiment.estimating import estimate  # noqa: PLC0415

    try:
        with refusing_to_compile():
            return estimate(plan, engine=engine, workers=workers, planning=planning)
    except NotCompiledError:
        return None


def _treatments(plan: Plan) -> pd.DataFrame:
    """Return a row a treatment: its name, and where it stands on every axis."""
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame([{"treatment": t.id, **t.settings} for t in plan.treatments])


def planned(
    scenario: str,
    settings: list[str] | None,
    numbers: dict[str, int | None],
    plugins: list[str] | None,
    *,
    trace: bool = False,
) -> Plan:
    """Return the plan of a scenario with what the command line sets in it."""
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugins)
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    return Plan.load(scenario, [*(settings or []), *overrides], trace=trace)


def default_folder(plan: Plan) -> Path:
    """Return the folder of a plan's results where none is named."""
    return Path("results") / f"{plan.scenario.name}-{plan.hash()[:10]}"


def engine_of(name: str) -> Engine:
    """Return the engine of this name, or raise."""
    for engine in ENGINES:
        if engine == name:
            return engine
    raise InputError(f"--engine {name}: unknown engine; {nearest(name, ENGINES)}")


def _contents(plan: Plan, most: int) -> list[str]:
    """Return lines on treatments, replications and rounds."""
    scenario = plan.scenario
    count = len(plan.treatments)
    asked = f"{scenario.most_replications:,} replications each"
    if (precision := scenario.precision) is not None:
        until = precision.until
        asked = (
            f"{precision.at_least:,} to {precision.at_most:,} replications each, until "
            f"{until.measure} is known within {until.width}"
        )
    lines = [f"{scenario.name}: {scenario.question}" if scenario.question else scenario.name]
    lines.append(f"{count:,} treatment{'s' * (count > 1)}, {asked}")
    lines.append(f"{plan.rounds:,} {plan.unit} in all{' at most' if scenario.precision else ''}")
    lines += resampling_lines(plan)
    lines += [f"  {treatment.id}" for treatment in plan.treatments[:most]]
    if count > most:
        lines.append(f"  ... and {count - most:,} more; --all lists them")
    return [*lines, *estimated_lines(plan), *gap_lines(plan)]


def resampling_lines(plan: Plan) -> list[str]:
    """Return a line on what profiles are resampled for, if they are."""
    if plan.fewest_records is None:
        return []
    return [
        f"every replication is played on resampled records too ({plan.fewest_records:,} or more a "
        "task): intervals with the calibration's error stand beside those of the replications"
    ]


def estimated_lines(plan: Plan) -> list[str]:
    """Return a line on every latency that is estimated, not measured."""
    return [
        f"estimated, not measured: {model} on {hardware} takes {ms:,.1f} ms"
        for (model, hardware), ms in plan.estimated().items()
    ]


def warn(plan: Plan) -> None:
    """Print a line on every setting that does nothing here."""
    for problem in plan.warnings:
        typer.echo(f"Warning: {problem}", err=True)


def gap_lines(plan: Plan) -> list[str]:
    """Return a line on every security failure: a protocol without the check it rests on."""
    from poq_abm.experiment.query_study import gaps_of  # noqa: PLC0415

    every = len(plan.treatments)
    return [
        f"Security failure: {said}{'' if every == 1 else f' ({count} of {every} treatments)'}."
        for said, count in gaps_of(plan.treatments).items()
    ]


def _size(count: float) -> str:
    """Return a number of bytes as people read it.

    >>> _size(2_340_000), _size(120.0)
    ('2.3 MB', '120 B')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count:,.0f} B"
