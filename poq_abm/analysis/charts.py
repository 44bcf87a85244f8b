"""Charts that several questions draw: forests, heat maps, bars in groups, points with bars."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.figure_style import canvas, colours, is_narrow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MOST_LINES",
    "MOST_ROWS",
    "cells_of",
    "forest",
    "grouped_bars",
    "legend",
    "name_places",
    "paint_cells",
    "point",
    "told_apart",
    "write_cells",
]

MOST_ROWS = 60  #: of a forest
MOST_LINES = 8  #: in one picture
_LONGEST_NAME = 28  # letters in a line of a legend
_FEW_TICKS = 5  # of numbers with many digits
_CHARACTERS_PER_INCH = 14.0  # of a name under an axis
_BESIDE_A_PANEL = 0.9  # inches of a panel that its other axis takes
_MOST_INSIDE = 4  # in the legend; a longer one would cover the lines
_SHORT_NAME = 16  # letters; two of them have room beside each other in a column
_FULL = 0.8  # of a cell: what a text in it takes at most


def forest(rows: pd.DataFrame, label: str = "", by: str | None = None) -> Figure:
    """Return estimates with their intervals, one below the other, on both sides of zero.

    ``label`` names the axis. With ``by``, each value of that column has a panel with a scale of its
    own, and the value names its axis.

    ``rows`` has the columns ``label``, ``at``, ``first`` and ``last`` (ends of the interval),
    ``shown`` (drawn filled and in colour) and, for a second, thinner interval, ``family_low`` and
    ``family_high``.
    """
    panels = [(label, rows)] if by is None else list(rows.groupby(by, sort=False))
    heights = [len(part) + 1.5 for _, part in panels]
    tall = 0.9 + 0.24 * len(rows) + 0.5 * len(panels)
    figure, axes = canvas(7.6, max(2.6, tall), len(panels), columns=1, height_ratios=heights)
    if is_narrow(figure):  # names have two lines
        figure.set_figheight(max(2.6, tall + 0.05 * len(rows)))
    for panel, (name, part) in zip(axes, panels, strict=True):
        _rows_of_forest(panel, part)
        panel.set_xlabel(str(name), fontsize=8 if is_narrow(figure) else 9)
    return figure


def _rows_of_forest(axes: Axes, rows: pd.DataFrame) -> None:
    up, down = colours(range(2)).values()
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        colour = "0.5" if not row["shown"] else (up if row["at"] > 0 else down)
        if "family_low" in row and np.isfinite(row["family_low"]):
            axes.plot([row["family_low"], row["family_high"]], [place] * 2, color=colour,
                      linewidth=0.8)  # fmt: skip
        if np.isfinite(row["first"]):
            axes.plot([row["first"], row["last"]], [place] * 2, color=colour, linewidth=2.4,
                      solid_capstyle="butt")  # fmt: skip
        axes.plot([row["at"]], [place], marker="o" if row["at"] > 0 else "s", markersize=5,
                  color=colour, markerfacecolor=colour if row["shown"] else "white")  # fmt: skip
    axes.axvline(0.0, color="black", linewidth=0.6, zorder=0)
    narrow = is_narrow(_figure_of(axes))
    names = [_in_two(name) if narrow else name for name in rows["label"]]
    axes.set_yticks(places, names, fontsize=7)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.locator_params(axis="x", nbins=2 if narrow else _FEW_TICKS)


def _in_two(name: str) -> str:
    r"""Return a name in two lines that are as short as can be; a short name in one.

    >>> _in_two("rank correlation of consensus and truth: +0.012")
    'rank correlation of\nconsensus and truth: +0.012'
    """
    across = max(_SHORT_NAME, len(name) // 2)
    while len(lines := textwrap.wrap(name, across, break_long_words=False)) > 2:
        across += 1
    return "\n".join(lines)


def cells_of(frame: pd.DataFrame, x: str, y: str, value: str) -> pd.DataFrame:
    """Return a table of values, y down and x across, in the order of the sweep."""
    texts = frame.assign(**{x: frame[x].astype(str), y: frame[y].astype(str)})
    wide = texts.pivot_table(index=y, columns=x, values=value, aggfunc="first", dropna=False)
    return wide.loc[list(dict.fromkeys(texts[y])), list(dict.fromkeys(texts[x]))]


def paint_cells(figure: Figure, axes: Axes, table: pd.DataFrame, label: str) -> None:
    """Draw a table as coloured cells; values of both signs are coloured from a neutral zero."""
    values = table.to_numpy(dtype=np.float64)
    both = np.nanmin(values) < 0.0 < np.nanmax(values)
    most = float(np.nanmax(np.abs(values))) or 1.0
    scale: dict[str, Any] = (
        {"cmap": "PuOr_r", "vmin": -most, "vmax": most} if both else {"cmap": "cividis"}
    )
    image = axes.imshow(np.ma.masked_invalid(values), aspect="auto", origin="lower", **scale)
    figure.colorbar(image, ax=axes).set_label(label, fontsize=8 if is_narrow(figure) else 8.5)
    name_places(axes, range(table.shape[1]), [_short(name) for name in table.columns])
    axes.set_yticks(range(len(table)), [_short(name) for name in table.index], fontsize=8)


def write_cells(axes: Axes, table: pd.DataFrame, texts: pd.DataFrame, size: float = 7.5) -> None:
    """Write texts into painted cells, light on dark ones; upright where a cell is narrow."""
    image = axes.images[0]
    beside = max(len(_short(name)) for name in table.index) / _CHARACTERS_PER_INCH
    room = (_figure_of(axes).get_figwidth() - beside - _BESIDE_A_PANEL) / table.shape[1]
    upright = texts.map(len).to_numpy().max() / _CHARACTERS_PER_INCH > _FULL * room
    for (row, column), value in np.ndenumerate(table.to_numpy(dtype=np.float64)):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axes.text(column, row, str(texts.iloc[row, column]), ha="center", va="center",
                      fontsize=size, color="white" if dark else "black",
                      rotation=90 if upright else 0)  # fmt: skip


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= 22 else f"{text[:20]}.."


def grouped_bars(axes: Axes, frame: pd.DataFrame, rows: str, columns: list[str]) -> None:
    """Draw one bar per row and column, with the interval of ``_low`` and ``_high``."""
    paint = colours(columns)
    places = np.arange(len(frame))
    width = 0.8 / len(columns)
    for number, name in enumerate(columns):
        at = places + (number - (len(columns) - 1) / 2) * width
        values = frame[name].to_numpy(dtype=np.float64)
        ends = [values - frame[f"{name}_low"], frame[f"{name}_high"] - values]
        known = np.isfinite(values)
        axes.bar(at[known], values[known], width, color=paint[name], label=name,
                 edgecolor="white", hatch="" if number == 0 else "///")  # fmt: skip
        axes.errorbar(at[known], values[known], yerr=[np.nan_to_num(end[known]) for end in ends],
                      fmt="none", ecolor="0.2", elinewidth=1.0, capsize=2.0)  # fmt: skip
    name_places(axes, places, list(frame[rows].astype(str)))
    axes.legend(frameon=False, fontsize=8)


def name_places(axes: Axes, places: Sequence[float] | NDArray[Any], names: Sequence[str]) -> None:
    """Write names under an axis, the steeper the less room there is for each."""
    grid = axes.get_subplotspec()
    columns = 1 if grid is None else grid.get_gridspec().ncols
    room = (_figure_of(axes).get_figwidth() / columns - _BESIDE_A_PANEL) / max(len(names), 1)
    needed = max(map(len, names), default=0) / _CHARACTERS_PER_INCH
    flat, turned = needed < room, needed < 2.0 * room
    axes.set_xticks(places, names, fontsize=8, rotation_mode="anchor" if not flat else "default",
                    rotation=0 if flat else 20 if turned else 45,
                    ha="center" if flat else "right")  # fmt: skip


def _figure_of(axes: Axes) -> Figure:
    return cast("Figure", axes.figure)  # no canvas of ours has figures inside figures


def told_apart(treatments: Sequence[str]) -> tuple[list[str], str]:
    """Return treatments by the settings in which they differ, and the settings that all share.

    Long names have several lines.

    >>> told_apart(["share=0,b=3", "share=0.3,b=3"])
    (['share=0', 'share=0.3'], 'b=3')
    """
    parts = [treatment.split(",") for treatment in treatments]
    shared = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    names = [", ".join(part for part in each if part not in shared) for each in parts]
    broken = ["\n".join(textwrap.wrap(name, _LONGEST_NAME)) for name in names]
    return broken, ",".join(part for part in parts[0] if part in shared)


def legend(
    axes: Axes, lines: int, title: str | None = None, *, most_inside: int = _MOST_INSIDE
) -> None:
    """Name the lines of a panel; many of them beside it, or over it where it is narrow."""
    figure = _figure_of(axes)
    outside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
    if is_narrow(figure):
        names = axes.get_legend_handles_labels()[1]
        columns = 2 if max(map(len, names), default=0) <= _SHORT_NAME else 1
        outside = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": columns}
    is_outside = lines > most_inside
    drawn = axes.legend(frameon=False, fontsize=7.5, title=title, title_fontsize=7.5,
                        **(outside if is_outside else {}))  # fmt: skip
    grid = axes.get_subplotspec()
    if is_outside and grid is not None and grid.colspan.stop < grid.get_gridspec().ncols:
        drawn.set_in_layout(axes is not figure.axes[-1])  # no panel is where it stands


def point(
    axes: Axes, row: Mapping[Any, Any], x: str, y: str, ends: tuple[str, str], **how: Any
) -> None:
    """Draw one row as a point with the interval between two of its columns, where it has one."""
    error = np.nan_to_num([[row[y] - row[ends[0]]], [row[ends[1]] - row[y]]])
    axes.errorbar([row[x]], [row[y]], yerr=error, capsize=3, **how)
