"""``poq report``: a run as one page that opens from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poq_abm.cli.options import Plugins

__all__ = ["report"]


def report(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="A results folder, or one of poq design.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; default: DIR/report.html.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Write a run, or a search, as one HTML file: results, figures, assumptions, provenance."""
    from poq_abm.cli.design import FOUND  # noqa: PLC0415
    from poq_abm.report.page import report_page, write_page  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)  # a behaviour of one's own says where it comes from
    found = Path(folder) / FOUND
    if found.is_file():
        from poq_abm.analysis.design import read_found  # noqa: PLC0415
        from poq_abm.report.design_page import design_page  # noqa: PLC0415

        text = design_page(read_found(found))
    else:
        text = report_page(folder)
    typer.echo(str(write_page(text, out or Path(folder) / "report.html")))
