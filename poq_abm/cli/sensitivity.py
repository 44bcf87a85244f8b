"""``poq sensitivity``: which fields an outcome depends on."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from poq_abm.cli.options import (
    AsCsv,
    AsJson,
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
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say how strongly an outcome depends on fields, replication noise set apart (extra)."""
    from poq_abm.analysis.sensitivity import sensitivity as analysed  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
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
    tables = {"indices": found.indices, "noise": found.noise}
    if not print_data(tables, as_json=as_json, as_csv=as_csv):
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
    from poq_abm.cli.printing import print_frame, say  # noqa: PLC0415

    rows = found.indices
    shown = rows[["field", "index"]].assign(
        estimate=[_figure(value) for value in rows["estimate"]],
        **{
            "95% interval": [
                "-" if math.isnan(low) else f"[{low:.4g}, {high:.4g}]"
                for low, high in zip(rows["low"], rows["high"], strict=True)
            ],
            "design +-": [_figure(value, 3) for value in rows["design_half_width"]],
        },
    )
    print_frame(shown, f"{found.metric}: {found.method} indices, {len(found.points)} points")
    noise = found.noise.iloc[0]
    if math.isnan(noise["noise_share"]):
        typer.echo("One replication: no interval, and replication noise is not known.")
    else:
        say(
            f"Replication noise is {noise['noise_share']:.2%} of the outcome's variance over the "
            "design; intervals are over replications, `design` is what another design could change."
        )


def _figure(value: float, digits: int = 4) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}g}"
