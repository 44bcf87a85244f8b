"""What all figures share: canvas, colours, captions, and how they are written to disk.

The same figure gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import math
import re
import textwrap
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.files import write_text, written
from poq_abm.rules.rule import COST_AWARE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "DASHES",
    "FONTS",
    "FORMATS",
    "MARKERS",
    "PALETTE",
    "WIDTHS",
    "as_in_the_paper",
    "beside",
    "canvas",
    "caption",
    "colours",
    "count_of",
    "is_narrow",
    "need",
    "printed",
    "records_of",
    "renumbered",
    "width_named",
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
#: widths in inches that a paper asks for: a column of two (85 mm), and the whole page (175 mm)
WIDTHS = {"column": 3.35, "page": 6.9}
#: fonts that come with Matplotlib: what letters are set in, and formulas
FONTS = {
    "sans": ("DejaVu Sans", "dejavusans"),
    "serif": ("DejaVu Serif", "dejavuserif"),
    "times": ("STIXGeneral", "stix"),
}
#: how people call Computer Modern, and the copy of Matplotlib, which lacks signs
_OF_LATEX = re.compile(
    r"cmu\b|computer ?modern|latin ?modern|lm ?(roman|sans|mono|odern)|latex", re.I
)
_WITHOUT_SIGNS = re.compile(r"cm(r|b|ss|tt|mi|ti|sy|ex)10")
_FEW_FONTS = 6  # that a message names
_LEAST_WIDTH, _MOST_WIDTH, _MOST_HEIGHT = 2.5, 20.0, 11.0
_NARROW = 5.0  # inches; titles get smaller, and long legends go over their panel
_LEAST_PANEL = 2.6  # inches that a panel needs beside others
_asked_width: ContextVar[float | None] = ContextVar("width", default=None)
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
_SMALLER = 0.82  # a title's letters over a narrow figure
_AROUND_A_PANEL = 0.6  # inches of its room that it does not fill itself
_LEAST_LINE = 14  # letters
_SIZE_OF_NAMES = 7.0  # points, of rows
_POINTS_OF_LETTERS = 135.0  # how many of a point's size stand in an inch
_BLANK = "\N{NO-BREAK SPACE}"  # where a line does not break
_TIED = f"{_BLANK}={_BLANK}"
_UNIT = re.compile(r"\([^()]*\)$")
_CLIP = re.compile(r'<clipPath id="(p[0-9a-f]+)"')


def beside(panels: int) -> int:
    """Return how many of some panels stand side by side: all, or what the width asked for holds.

    >>> beside(4)
    4
    """
    asked = _asked_width.get()
    return panels if asked is None else min(panels, max(1, int(asked / _LEAST_PANEL)))


def canvas(
    width: float = 6.4, height: float = 4.0, panels: int = 1, *, columns: int | None = None,
    **grid: Any,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return an empty figure of panels, in the style of all figures.

    ``columns`` of them stand side by side, all where none is given; width and height are those of
    one row. ``grid`` goes to Matplotlib's ``subplots``. Where :func:`printed` asks for another
    width, panels that have no room beside each other stand in several rows.
    """
    from matplotlib import rc_context  # noqa: PLC0415  (heavy, and only for pictures)
    from matplotlib.figure import Figure  # noqa: PLC0415

    asked = _asked_width.get()
    wanted = min(columns or panels, panels)
    across = beside(wanted)
    rows = math.ceil(panels / across)
    if across < wanted:
        grid.pop("width_ratios", None)
    if "height_ratios" not in grid:
        # Letters keep their size, so a panel loses less of its height than of its width.
        smaller = 1.0 if asked is None else min(1.0, asked * wanted / (width * across))
        height *= rows * (1.0 if grid.get("sharey") else math.sqrt(smaller))
        if asked is not None and height > _MOST_HEIGHT:
            raise InputError(
                f"{wanted} panels one below the other are {height:.0f} inches tall, more than a "
                f"page: ask for a width of {wanted * _LEAST_PANEL:g} inches or more"
            )
    with rc_context(_STYLE):
        figure = Figure(figsize=(asked or width, height), layout="constrained")
        axes = list(figure.subplots(rows, across, squeeze=False, **grid).flat)
    for idle in axes[panels:]:
        idle.remove()
    return figure, axes[:panels]


def width_named(text: str) -> float:
    """Return a width in inches: one of :data:`WIDTHS`, or a number.

    >>> width_named("column"), width_named("5.5")
    (3.35, 5.5)

    Raises
    ------
    InputError
        If it is neither, or no figure is that wide.
    """
    try:
        width = WIDTHS[text] if text in WIDTHS else float(text)
    except ValueError:
        raise InputError(f"a width is {' or '.join(WIDTHS)} or inches, not {text!r}") from None
    if not _LEAST_WIDTH <= width <= _MOST_WIDTH:
        raise InputError(f"a figure is {_LEAST_WIDTH:g} to {_MOST_WIDTH:g} inches wide, not {text}")
    return width


@contextlib.contextmanager
def printed(width: float | None = None, font: str = "sans") -> Iterator[None]:
    """Draw and write figures for a paper: as wide as asked, in inches, and in its font.

    ``font`` is one of :data:`FONTS` or an installed family. ``times`` (STIX) is what many classes
    of LaTeX set; for their Computer Modern, name ``CMU Serif`` or ``Latin Modern Roman`` where one
    is installed (the ``cmr10`` of Matplotlib has no underscore, and is refused). No LaTeX is
    called. Letters keep their size, 7 to 9 points, whatever the width: include the file unscaled.

    Raises
    ------
    InputError
        If there is no such font.
    """
    from matplotlib import rc_context  # noqa: PLC0415

    family, formulas = FONTS.get(font, (font, "cm" if _OF_LATEX.match(font) else "stix"))
    _check_installed(font, family)
    # What a font lacks, a sign perhaps, comes from the one that has nearly all.
    fonts: Any = {"font.family": [family, "DejaVu Sans"], "mathtext.fontset": formulas}
    if width is not None and width < _NARROW:
        fonts |= dict.fromkeys(("axes.labelsize", "xtick.labelsize", "ytick.labelsize"), 8.0)
    # What they say of weights and of LaTeX's own tables in a font is nothing that a user can mend.
    talkers = [logging.getLogger(name) for name in ("matplotlib.font_manager", "fontTools.subset")]
    levels = [each.level for each in talkers]
    token = _asked_width.set(width)
    try:
        for each in talkers:
            each.setLevel(logging.ERROR)
        with rc_context(fonts):
            yield
    finally:
        _asked_width.reset(token)
        for each, level in zip(talkers, levels, strict=True):
            each.setLevel(level)


def _check_installed(font: str, family: str) -> None:
    """Refuse a family that is not installed, or that lacks letters, and say what there is."""
    from matplotlib import font_manager  # noqa: PLC0415

    if family not in font_manager.get_font_names():
        # Matplotlib remembers what it once found: what was installed since is looked for here.
        manager = font_manager.fontManager
        seen = {entry.fname for entry in manager.ttflist}
        for path in set(font_manager.findSystemFonts()) - seen:
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # no font that it reads
                manager.addfont(path)
    known = [name for name in font_manager.get_font_names() if not _WITHOUT_SIGNS.fullmatch(name)]
    if family in known:
        return
    if _OF_LATEX.match(font) or _WITHOUT_SIGNS.fullmatch(font):
        lacks = "has no underscore" if _WITHOUT_SIGNS.fullmatch(font) else "is not installed"
        raise InputError(
            f"the font {font!r} {lacks}. Computer Modern, which LaTeX sets, is the family 'CMU "
            "Serif': install it (on Debian the package fonts-cmu, elsewhere cm-unicode of CTAN) "
            "and ask for that; of the fonts that come along, 'times' is that of many classes"
        )
    hint = nearest(font, [*FONTS, *known])
    if not hint.startswith("did you mean"):
        hint = "installed are " + ", ".join(sorted(known)[:_FEW_FONTS]) + ", ..."
    raise InputError(
        f"no font {font!r} is installed; {', '.join(FONTS)} come along, and any family that is "
        f"installed can be named; {hint}"
    )


def is_narrow(figure: Figure) -> bool:
    """Return whether a figure is as narrow as a column: its titles get smaller."""
    return bool(figure.get_figwidth() < _NARROW)


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
    small = _SMALLER if is_narrow(figure) else 1.0
    across = int(_OF_A_TITLE / small * figure.get_figwidth())
    title = title[:1].upper() + title[1:]
    # Treatments' names have no blanks, and break after a comma.
    whole_title = (
        textwrap.wrap(re.sub(r",(?=\S)", ", ", title), across) if len(title) > across else [title]
    )
    _break_labels(figure)
    figure.suptitle("\n".join(whole_title), fontsize=11 * small)
    scenario = str(frame.attrs.get("scenario", ""))
    named = scenario if scenario.startswith("profile ") or not scenario else f"scenario {scenario}"
    # What a reader must not miss gets a line of its own.
    said = "; ".join(part.removesuffix(".") for part in (named, *parts) if part)
    lines = [said, *frame.attrs.get("notes", [])]
    width = int(_CHARACTERS_PER_INCH * figure.get_figwidth())
    whole = [line.replace(" = ", _TIED) for line in lines]  # "n = 3" stays on one line
    text = "\n".join(wrapped for line in whole for wrapped in textwrap.wrap(line, width))
    figure.supxlabel(text.replace(_TIED, " = "), fontsize=7.5, color=_GREY)


def _break_labels(figure: Figure) -> None:
    """Break names of axes that are longer than their panel, where words end."""
    names: dict[int, int] = {}  # letters before the panels of each column of the grid
    for axes in figure.axes:
        lines = [line for tick in axes.get_yticklabels() for line in tick.get_text().split("\n")]
        at = _column_of(axes)
        names[at] = max([names.get(at, 0), *map(len, lines)])
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        rows, columns = (1, 1) if spec is None else spec.get_gridspec().get_geometry()
        before = names[_column_of(axes)] * _SIZE_OF_NAMES / _POINTS_OF_LETTERS
        for axis, room in (
            (axes.xaxis, (figure.get_figwidth() - before) / columns),
            (axes.yaxis, figure.get_figheight() / rows - _below(axes)),
        ):
            label = axis.get_label()
            size = float(label.get_fontsize())
            across = int((room - _AROUND_A_PANEL) * _POINTS_OF_LETTERS / size)
            if max(map(len, label.get_text().split("\n"))) > across:
                label.set_text(_broken(label.get_text(), max(across, _LEAST_LINE)))


def _below(axes: Axes) -> float:
    """Return the inches that names below a panel take of its height, where they are turned."""
    return max(
        (
            len(tick.get_text())
            * math.sin(math.radians(tick.get_rotation()))
            * _SIZE_OF_NAMES
            / _POINTS_OF_LETTERS
            for tick in axes.get_xticklabels()
        ),
        default=0.0,
    )


def _column_of(axes: Axes) -> int:
    spec = axes.get_subplotspec()
    return -1 if spec is None else spec.colspan.start


def _broken(label: str, across: int) -> str:
    r"""Return a label in lines, the unit in brackets at its end in one of them where it has room.

    >>> _broken("bias of the consensus (points of 10)", 31)
    'bias of the consensus\n(points of 10)'
    """
    unit = _UNIT.search(label)
    if unit is not None and len(unit[0]) <= across:
        label = label.replace(unit[0], unit[0].replace(" ", _BLANK))
    return "\n".join(textwrap.wrap(label, across)).replace(_BLANK, " ")


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
    with rc_context({"pdf.fonttype": _pdf_font_type()}), written(path) as draft:
        figure.savefig(draft, dpi=200, format=form, metadata=dates.get(form))


def _pdf_font_type() -> int:
    """Return how PDF embeds the font: TrueType; as shapes what has no TrueType outlines."""
    from matplotlib import font_manager, rcParams  # noqa: PLC0415

    path = font_manager.findfont(font_manager.FontProperties(family=rcParams["font.family"]))
    with Path(path).open("rb") as stream:
        return 3 if stream.read(4) == b"OTTO" else 42


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


def as_in_the_paper(number: int) -> str:
    """Return what is said of a figure that shows what one of the published study shows.

    >>> as_in_the_paper(4)
    'drawn as Figure 4 of arXiv 2512.16317, not of its data'
    """
    return f"drawn as Figure {number} of {COST_AWARE}, not of its data"


def records_of(frame: pd.DataFrame) -> str:
    """Return how many records of a profile stand behind a picture, where its table says so."""
    count = frame.attrs.get("records")
    return f"n = {count:,} records" if count else ""
