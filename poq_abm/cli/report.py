"""``poq report``: a run as one page that opens from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poq_abm.cli.options import Plugins

__all__ = ["report"]


def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A results folder.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; default: DIR/report.html.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Write a run as one HTML file: results, figures, assumptions, methods, provenance."""
    from poq_abm.report.page import write_report  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)  # a behaviour of one's own says where it comes from
    typer.echo(str(write_report(folder, out)))
