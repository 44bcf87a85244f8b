"""What all figures share: canvas, colours, captions, and how they are written to disk.

The same figure gives the same bytes.
"""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.files import write_text, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DASHES",
    "FORMATS",
    "MARKERS",
    "PALETTE",
    "canvas",
    "caption",
    "colours",
    "count_of",
    "need",
    "records_of",
    "renumbered",
    "write",
    "write_svg",
]

#: how a figure can be written; the first two are vector formats
FORMATS = ("svg", "pdf", "png")
#: shapes and dashes tell classes apart where colour does not
MARKERS = "osD^vP*X<>"
DASHES = ("-", "--", "-.", ":")
#: seaborn's palette for colour-blind readers, who tell all ten apart
PALETTE = (
    "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc",
    "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9",
)  # fmt: skip
_INK, _GREY = "0.15", "0.35"
_STYLE: Any = {
    **dict.fromkeys(
        ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"), _INK
    ),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right"), False),
    "axes.axisbelow": True,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "white",
    "patch.force_edgecolor": True,
}
_CHARACTERS_PER_INCH = 17.0  # of a caption
_OF_A_TITLE = 11.0  # the same, of its larger letters
_TIED = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"  # where a line does not break
_CLIP = re.compile(r'<clipPath id="(p[0-9a-f]+)"')


def canvas(
    width: float = 6.4, height: float = 4.0, panels: int = 1, *, stacked: bool = False, **grid: Any
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of panels side by side or stacked, in the style of all figures.

    ``grid`` goes to Matplotlib's ``subplots``.
    """
    from matplotlib import rc_context  # noqa: PLC0415  (heavy, and only for pictures)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        rows, columns = (panels, 1) if stacked else (1, panels)
        return figure, list(figure.subplots(rows, columns, squeeze=False, **grid).flat)


def colours(classes: Sequence[Hashable]) -> dict[Hashable, str]:
    """Return a colour per class, told apart by colour-blind readers up to ten of them."""
    return dict(zip(classes, itertools.cycle(PALETTE), strict=False))


def need(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a table that has no rows or lacks a column, naming the nearest it has.

    Raises
    ------
    InputError
        If nothing can be drawn of it.
    """
    for name in columns:
        if name not in frame:
            raise InputError(f"the table has no column {name!r}; {nearest(name, map(str, frame))}")
    if frame.empty:
        raise InputError("the table has no rows: there is nothing to draw")


def count_of(frame: pd.DataFrame, column: str = "replications") -> str:
    """Return how many replications stand behind a picture: ``n = 20``, or a range.

    >>> count_of(pd.DataFrame({"replications": [20, 30]}))
    'n = 20 to 30 replications'
    """
    if column not in frame:
        return ""
    least, most = int(np.nanmin(frame[column])), int(np.nanmax(frame[column]))
    span = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    return f"n = {span} replication{'s' * (most != 1)}"


def caption(figure: Figure, title: str, frame: pd.DataFrame, *parts: str) -> None:
    """Put a title over a figure, and below it the scenario's name, n, and what else must be known.

    ``frame.attrs`` may hold ``scenario`` (its name) and ``notes`` (a list of warnings, as of a
    partial run).
    """
    across = int(_OF_A_TITLE * figure.get_figwidth())
    # Treatments' names have no blanks, and break after a comma.
    whole_title = (
        textwrap.wrap(title.replace(",", ", "), across) if len(title) > across else [title]
    )
    figure.suptitle("\n".join(whole_title), fontsize=11)
    scenario = str(frame.attrs.get("scenario", ""))
    named = scenario if scenario.startswith("profile ") or not scenario else f"scenario {scenario}"
    # What a reader must not miss gets a line of its own.
    lines = ["; ".join(filter(None, [named, *parts])), *frame.attrs.get("notes", [])]
    width = int(_CHARACTERS_PER_INCH * figure.get_figwidth())
    whole = [line.replace(" = ", _TIED) for line in lines]  # "n = 3" stays on one line
    text = "\n".join(wrapped for line in whole for wrapped in textwrap.wrap(line, width))
    figure.supxlabel(text.replace(_TIED, " = "), fontsize=7.5, color=_GREY)


def write(figure: Figure, stem: Path, formats: Iterable[str] = ("svg", "png")) -> list[Path]:
    """Write a figure as ``stem.svg``, ``stem.png`` ...; the same figure gives the same bytes.

    Raises
    ------
    InputError
        If a format is none of :data:`FORMATS`, or a file cannot be written.
    """
    paths = []
    for form in formats:
        if form not in FORMATS:
            raise InputError(f"no format {form!r}; {nearest(form, FORMATS)}")
        path = stem.with_name(f"{stem.name}.{form}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(figure, path, form)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        paths.append(path)
    return paths


def _write(figure: Figure, path: Path, form: str) -> None:
    from matplotlib import rc_context  # noqa: PLC0415

    if form == "svg":
        write_svg(figure, path)
        return
    dates = {"pdf": {"CreationDate": None}}
    with rc_context({"pdf.fonttype": 42}), written(path) as draft:
        figure.savefig(draft, dpi=200, format=form, metadata=dates.get(form))


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, without a date; letters become paths, so that no font is missing."""
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415

    stream = io.StringIO()
    # The canvas itself, not `savefig`, which draws every figure twice to lay it out once.
    before, dpi = figure.canvas, figure.dpi
    try:
        with rc_context({"svg.hashsalt": "poq_abm", "svg.fonttype": "path"}):
            drawn: Any = FigureCanvasSVG(figure)  # Matplotlib types only some of it
            drawn.print_svg(stream, metadata={"Date": None, "Creator": None})
    finally:
        figure.dpi = dpi  # print_svg sets its own
        figure.set_canvas(before)
    write_text(path, renumbered(stream.getvalue()))


def renumbered(svg: str) -> str:
    """Return a picture with its clip paths numbered as they come.

    Matplotlib names some of them by where an object lies in memory.

    >>> renumbered('<g clip-path="url(#pa1)"/><clipPath id="pa1">')
    '<g clip-path="url(#clip1)"/><clipPath id="clip1">'
    """
    names = {name: f"clip{n}" for n, name in enumerate(_CLIP.findall(svg), start=1)}
    if not names:
        return svg
    found = re.compile("|".join(rf"(?<=[#\"]){name}(?=[)\"])" for name in names))
    return found.sub(lambda match: names[match[0]], svg)


def records_of(frame: pd.DataFrame) -> str:
    """Return how many records of a profile stand behind a picture, where its table says so."""
    count = frame.attrs.get("records")
    return f"n = {count:,} records" if count else ""
