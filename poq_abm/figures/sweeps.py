"""Pictures of sweeps: heat maps of two axes and phase diagrams of attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.figures.style import canvas, caption, count_of, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["attack_phase_diagram", "heat_map"]

_MOST_WRITTEN = 120  # cells; in more, numbers would not be read
_SIGNS = {"pays": "+", "costs": "\N{MINUS SIGN}", "undecided": "?"}


def heat_map(
    frame: pd.DataFrame, x: str, y: str, *, value: str = "mean", label: str = ""
) -> Figure:
    """Return a heat map of a measure over two axes of a sweep, its values written in the cells.

    ``frame`` is :func:`poq_abm.analysis.sweeps.metric_over_axes`; ``x`` and ``y`` are two of its
    columns. Measures of both signs are coloured from a neutral zero. ``label`` names the measure
    and its unit. Cells of a single replication carry a star: they have no interval.
    """
    need(frame, [x, y, value])
    table = _wide(frame, x, y, value)
    figure, (axes,) = canvas(
        max(5.0, 1.0 + 0.75 * table.shape[1]), max(3.2, 1.6 + 0.5 * len(table))
    )
    _paint(figure, axes, table, label or value)
    if table.size <= _MOST_WRITTEN:
        single = (
            _wide(frame, x, y, "replications") < 2 if "replications" in frame else table < -np.inf
        )
        digits = _digits(table.to_numpy())
        texts = table.map(lambda v: "" if np.isnan(v) else f"{v:.{digits}f}")
        _write(axes, table, texts + single.map(lambda alone: "*" if alone is True else ""))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    caption(figure, f"{label or value} over {_leaf(x)} and {_leaf(y)}", frame,
            count_of(frame))  # fmt: skip
    return figure


def attack_phase_diagram(frame: pd.DataFrame) -> Figure:
    """Return where an attack pays: drift of the consensus as colour, the sign of its gain as mark.

    ``frame`` has the columns of :func:`poq_abm.analysis.audit.frontier.attack_phases` or of
    :func:`poq_abm.analysis.sweeps.attack_phases_of`: field, value, share, drift, phase. A plus
    means that the 95% interval of the attackers' gain lies above zero, a minus below, a question
    mark that it contains zero.
    """
    need(frame, ["field", "value", "share", "drift", "phase"])
    field = str(frame["field"].iloc[0])
    table = _wide(frame, "share", "value", "drift")
    marks = _wide(frame, "share", "value", "phase").map(lambda phase: _SIGNS.get(phase, ""))
    figure, (axes,) = canvas(
        max(5.4, 1.4 + 0.75 * table.shape[1]), max(3.4, 1.8 + 0.5 * len(table))
    )
    _paint(figure, axes, table, "drift of the mean consensus (points of 10)")
    _write(axes, table, marks, size=12)
    axes.set_xlabel("share of evaluators that attack (0-1)")
    axes.set_ylabel(field)
    against = frame.attrs.get("gain_against", "being honest")
    caption(figure, "Where the attack pays", frame,
            f"+ pays, {_SIGNS['costs']} costs, ? undecided, against {against} (95%)",
            count_of(frame))  # fmt: skip
    return figure


def _wide(frame: pd.DataFrame, x: str, y: str, value: str) -> pd.DataFrame:
    """Return a table of values, y down and x across, in the order of the sweep."""
    texts = frame.assign(**{x: frame[x].astype(str), y: frame[y].astype(str)})
    wide = texts.pivot_table(index=y, columns=x, values=value, aggfunc="first", dropna=False)
    return wide.loc[list(dict.fromkeys(texts[y])), list(dict.fromkeys(texts[x]))]


def _paint(figure: Figure, axes: Axes, table: pd.DataFrame, label: str) -> None:
    values = table.to_numpy(dtype=np.float64)
    both = np.nanmin(values) < 0.0 < np.nanmax(values)
    most = float(np.nanmax(np.abs(values))) or 1.0
    scale: dict[str, Any] = (
        {"cmap": "PuOr_r", "vmin": -most, "vmax": most} if both else {"cmap": "cividis"}
    )
    image = axes.imshow(np.ma.masked_invalid(values), aspect="auto", origin="lower", **scale)
    figure.colorbar(image, ax=axes).set_label(label, fontsize=8.5)
    axes.set_xticks(range(table.shape[1]), [_short(name) for name in table.columns], fontsize=8)
    axes.set_yticks(range(len(table)), [_short(name) for name in table.index], fontsize=8)
    if max(len(_short(name)) for name in table.columns) > 6:
        axes.tick_params(axis="x", labelrotation=20)


def _write(axes: Axes, table: pd.DataFrame, texts: pd.DataFrame, size: float = 7.5) -> None:
    image = axes.images[0]
    for (row, column), value in np.ndenumerate(table.to_numpy(dtype=np.float64)):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axes.text(column, row, str(texts.iloc[row, column]), ha="center", va="center",
                      fontsize=size, color="white" if dark else "black")  # fmt: skip


def _digits(values: np.ndarray) -> int:
    most = float(np.nanmax(np.abs(values)))
    return 3 if most < 1.0 else 2 if most < 100.0 else 0


def _leaf(path: str) -> str:
    return path.rpartition(".")[2]


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= 22 else f"{text[:20]}.."
