"""``poq sensitivity``: which fields an outcome depends on."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from poq_abm.cli.options import (
    Jobs,
    Plugins,
    Replications,
    Rounds,
    ScenarioArgument,
    Seed,
    Settings,
)
from poq_abm.errors import InputError

__all__ = ["sensitivity"]


def sensitivity(
    scenario: ScenarioArgument,
    field: Annotated[
        list[str],
        typer.Option("--field", metavar="PATH=LOW:HIGH|A,B", help="What varies; twice or more."),
    ],
    metric: Annotated[
        str, typer.Option(metavar="METRIC", help="A column of replications, or of queries.")
    ],
    method: Annotated[
        str, typer.Option(metavar="morris|sobol", help="A screening, or shares of variance.")
    ] = "morris",
    samples: Annotated[
        int | None, typer.Option(help="Trajectories (10), or Sobol' points (128).")
    ] = None,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the indices as CSV.")] = False,
) -> None:
    """Say how strongly an outcome depends on fields, replication noise set apart (extra)."""
    from poq_abm.analysis.sensitivity import sensitivity as analysed  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    spans = dict(_span(text) for text in field)
    plan = Plan.load(scenario, [*(settings or []), *overrides])
    announce_compilation()
    with progress_bar(plan.scenario.name) as bar:
        found = analysed(
            plan.scenario,
            spans,
            metric,
            method=method,  # type: ignore[arg-type]  # checked, with the nearest name
            samples=samples,
            n_jobs=jobs,
            progress=bar.played,
        )
    if csv:
        typer.echo(found.indices.to_csv(index=False), nl=False)
        return
    _print(found)


def _span(text: str) -> tuple[str, Any]:
    """Return a field with its range or its choices, which are YAML values."""
    from poq_abm.scenario.yaml_source import read_value  # noqa: PLC0415

    path, equals, said = text.partition("=")
    if not equals or not said:
        raise InputError(f"--field {text}: write PATH=LOW:HIGH or PATH=A,B,...")
    low, colon, high = said.partition(":")
    if colon:
        try:
            return path, (float(low), float(high))
        except ValueError:
            raise InputError(f"--field {text}: {said} is no range of numbers") from None
    return path, [read_value(choice, f"--field {text}") for choice in said.split(",")]


def _print(found: Any) -> None:
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415

    title = f"{found.metric}: {found.method} indices, {len(found.points)} points"
    table = Table(title=title, title_justify="left")
    for name in ("field", "index"):
        table.add_column(name)
    for name in ("estimate", "95% interval", "design +-"):
        table.add_column(name, justify="right")
    for row in found.indices.to_dict("records"):
        interval = "-" if math.isnan(row["low"]) else f"[{row['low']:.4g}, {row['high']:.4g}]"
        design = "-" if math.isnan(row["design_half_width"]) else f"{row['design_half_width']:.3g}"
        estimate = "-" if math.isnan(row["estimate"]) else f"{row['estimate']:.4g}"
        table.add_row(row["field"], row["index"], estimate, interval, design)
    output_console().print(table)
    noise = found.noise.iloc[0]
    if math.isnan(noise["noise_share"]):
        typer.echo("One replication: no interval, and replication noise is not known.")
    else:
        typer.echo(
            f"Replication noise is {noise['noise_share']:.2%} of the outcome's variance over the "
            "design; intervals are over replications, `design` is what another design could change."
        )
