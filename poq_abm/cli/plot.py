"""``poq plot``: a picture of a run or a profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poq_abm.cli.options import AsCsv, AsJson, refuse_idle
from poq_abm.errors import InputError, nearest

__all__ = ["plot"]

Against = Annotated[str | None, typer.Option(metavar="ID", help="The other treatment of two.")]
By = Annotated[str | None, typer.Option(metavar="COLUMN", help="What tells nodes apart.")]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="METRIC",
        help="heatmap, lines: a column of replications, or queries; economy: of epochs.",
    ),
]
Form = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="svg|pdf|png", help="May be repeated; default: svg, png."),
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="AXIS=VALUE", help="Fix another axis; may be repeated."),
]
Width = Annotated[
    str | None,
    typer.Option(metavar="column|page|INCHES", help="As wide as a paper's column, or page."),
]
Font = Annotated[
    str, typer.Option(metavar="sans|serif|times|FAMILY", help="What letters are set in.")
]


def plot(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to draw, or `list`.")],
    source: Annotated[
        str, typer.Argument(metavar="DIR", help="A results folder; a profile for figure4 to 6.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="STEM", help="Where to write; default: DIR/KIND.")
    ] = None,
    form: Form = None,
    treatment: Annotated[str | None, typer.Option(metavar="ID", help="Which treatment.")] = None,
    against: Against = None,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Nodes of one role.")] = None,
    group: Annotated[str | None, typer.Option(metavar="GROUP", help="Nodes of one group.")] = None,
    by: By = None,
    metric: Metric = None,
    x: Annotated[str | None, typer.Option("--x", metavar="AXIS", help="A swept field.")] = None,
    y: Annotated[str | None, typer.Option("--y", metavar="AXIS", help="A swept field.")] = None,
    where: Where = None,
    width: Width = None,
    font: Font = "sans",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Draw a run or a profile, as vector graphics and PNG."""
    from poq_abm.analysis.figure_style import printed, width_named, write  # noqa: PLC0415
    from poq_abm.analysis.questions import AnalysisRequest, draw, figures  # noqa: PLC0415
    from poq_abm.cli.printing import print_listing  # noqa: PLC0415

    known = figures()
    if kind == "list":
        shown = {name: one.shows for name, one in known.items()}
        print_listing("figures", shown, "shows", as_json=as_json, as_csv=as_csv)
        return
    if as_json or as_csv:
        raise InputError("--json and --csv are of `poq plot list`; `poq analyse` has the numbers")
    if not source:
        raise InputError(f"poq plot {kind} needs a results folder, as in `poq plot {kind} DIR`")
    if kind not in known:
        raise InputError(f"no kind of figure {kind!r}; {nearest(kind, known)}")
    refuse_idle(context, kind, {name: one.takes for name, one in known.items()})
    request = AnalysisRequest(
        source,
        treatment=treatment,
        against=against,
        role=role,
        group=group,
        by=(by,) if by is not None else (),
        metric=metric,
        x=x,
        y=y,
        where=dict(_pair(text) for text in where or []),
    )
    if not request.is_run and treatment is not None:
        raise InputError(f"--treatment does nothing for a profile; {source} is no results folder")
    stem = out or (Path(source) / kind if request.is_run else Path(kind))
    with printed(None if width is None else width_named(width), font):
        written = write(draw(kind, request), stem, form or ("svg", "png"))
    for path in written:
        typer.echo(str(path))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--where {text}: write AXIS=VALUE")
    return name.strip(), value.strip()
