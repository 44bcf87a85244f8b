"""``poq export``: a table of a run, merged and labelled, for another program or a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poq_abm.cli.options import Plugins

__all__ = ["export"]


def export(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A results folder.")],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Ends in .csv, .dta, .feather, .parquet, .tex or .nc."),
    ],
    table: Annotated[
        str | None,
        typer.Option(help="A table of the run, or summary; default: a row per replication."),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Write a table with its axes, units and labels: CSV, Stata, R, LaTeX or netCDF."""
    from poq_abm.analysis.stored_run import open_results  # noqa: PLC0415
    from poq_abm.experiment.export import export as exported  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    run = open_results(folder)
    for note in run.notes:
        typer.echo(note, err=True)
    for file in exported(run.results, out, table):
        typer.echo(str(file))
