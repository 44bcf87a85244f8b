"""What share of all rewards the poorest share of nodes holds: Lorenz curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.figure_style import DASHES, canvas, caption, colours, need
from poq_abm.analysis.questions import AnalysisRequest, FigureKind, TableKind, told
from poq_abm.analysis.rewards import (
    AMOUNT_OPTIONS,
    NODE_OPTIONS,
    Amount,
    Holder,
    Nodes,
    Samples,
    cells,
    class_asked,
    rows_asked,
)
from poq_abm.analysis.stored_run import StoredRun, selected
from poq_abm.errors import InputError
from poq_abm.simulation.inequality import gini, lorenz

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "TABLES", "lorenz_curves", "lorenz_figure"]

Array = NDArray[np.float64]
_HUNDREDTHS = np.linspace(0.0, 1.0, 101)


class _MeanCurve:
    """The mean of Lorenz curves, at their own points where they share them, else at hundredths."""

    def __init__(self) -> None:
        self.nodes: list[float] = []
        self.gini: list[float] = []
        self._holders: Array | None = None
        self._held: Array = np.zeros(0)  # sums over curves, as long as they share their points
        self._at_hundredths = np.zeros(_HUNDREDTHS.size)
        self._alike = True

    def add(self, samples: Samples) -> None:
        """Take in the curves of replications; those with a loss, or without a total, have none."""
        usable = (samples.amounts[:, 0] >= 0.0) & (samples.amounts[:, -1] > 0.0)
        for amounts, presence in zip(*(part[usable] for part in samples), strict=True):
            holders, held = lorenz(amounts, presence)
            if self._holders is None:
                self._holders, self._held = holders, np.zeros(holders.size)
            self._alike = self._alike and np.array_equal(holders, self._holders)
            self._at_hundredths += np.interp(_HUNDREDTHS, holders, held)
            if self._alike:
                self._held += held
            self.nodes.append(float(presence.sum()))
            self.gini.append(gini(amounts, presence))

    def table(self) -> pd.DataFrame:
        """Return the curve with the columns of :func:`lorenz_curves`, but for its cell."""
        count = len(self.gini)
        points = (self._holders, self._held) if self._alike else (_HUNDREDTHS, self._at_hundredths)
        cell: Any = {
            "nodes": np.mean(self.nodes),
            "replications": count,
            "gini": np.mean(self.gini),
        }
        return pd.DataFrame({"holders": points[0], "held": points[1] / count}).assign(**cell)


def lorenz_curves(
    nodes: Nodes,
    *,
    by: Sequence[str] = ("role",),
    amount: Amount = "reward_total",
    over: Holder = "nodes",
) -> pd.DataFrame:
    """Return the Lorenz curve of each cell, averaged over replications point by point.

    Nodes count by their presence, as in :func:`~poq_abm.analysis.rewards.reward_distribution`.
    Columns: ``treatment``, those of ``by``, ``nodes``, ``replications``, ``holders`` and ``held``,
    both in [0, 1], ``gini``, the mean coefficient. Replications in which a node earned less than
    nothing, or all together nothing, have no curve and are left out; a cell without any left has no
    rows. Where nodes or their presence differ over replications, curves are averaged at hundredths
    of the holders.

    >>> table = pd.DataFrame({"treatment": "base", "replication": 0, "role": "evaluator",
    ...                       "reward_total": [1.0, 3.0]})
    >>> lorenz_curves(table)["held"].tolist()
    [0.0, 0.25, 1.0]
    """
    curves: dict[tuple[str, ...], _MeanCurve] = defaultdict(_MeanCurve)
    for key, replications in cells(nodes, by, amount, over):
        for _, samples in replications:
            curves[key].add(samples)
    keys = ["treatment", *by]
    columns = [*keys, "nodes", "replications", "gini", "holders", "held"]
    parts = [
        curve.table().assign(**dict(zip(keys, key, strict=True)))[columns]
        for key, curve in curves.items()
        if curve.gini
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def lorenz_figure(frame: pd.DataFrame) -> Figure:
    """Return Lorenz curves: what share of all rewards the poorest share of nodes holds.

    Rewards are tokens paid, nodes count by their presence. ``frame`` is
    :func:`lorenz_curves`; a line per cell, its mean Gini coefficient in
    the legend.
    """
    need(frame, ["holders", "held", "gini", "replications", "nodes"])
    cells = [str(c) for c in frame.columns
             if c not in ("nodes", "replications", "gini", "holders", "held")]  # fmt: skip
    told = [c for c in cells if len(frame[c].astype(str).unique()) > 1] or cells[-1:]
    figure, (axes,) = canvas(5.2, 4.6)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.9)
    groups = list(frame.groupby(cells, sort=False, observed=True))
    paint = colours(range(len(groups)))
    for number, (_, part) in enumerate(groups):
        label = ", ".join(str(part[c].iloc[0]) for c in told)
        axes.plot(part["holders"], part["held"], color=paint[number], linewidth=1.6,
                  linestyle=DASHES[number % len(DASHES)],
                  label=f"{label} (Gini {part['gini'].iloc[0]:.3f})")  # fmt: skip
    axes.set_xlabel("share of nodes, poorest first (0-1)")
    axes.set_ylabel("share of all tokens paid (0-1)")
    axes.set_aspect("equal")
    axes.legend(frameon=False, fontsize=7.5)
    counts = sorted({int(n) for n in frame["replications"]})
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    caption(figure, "How unevenly rewards are shared", frame, f"mean of n = {span} replications",
            "of nodes that took part, each by the share of the run in which it did")  # fmt: skip
    return figure


def _drawn(request: AnalysisRequest) -> Figure:
    run, by = request.run, class_asked(request, "role")
    one = None if request.treatment is None else [run.one_treatment(request.treatment)]
    nodes = run.nodes("role", by, "presence", "reward_total", treatments=one)
    curves = lorenz_curves(selected(nodes, role=request.role), by=[by])
    if curves.empty:
        raise InputError("somebody earned less than nothing in every replication: no Lorenz curve")
    return lorenz_figure(told(curves, run))


def _fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.has("nodes") and run.few_curves:
        yield {"role": "inference"}


def _table(request: AnalysisRequest) -> pd.DataFrame:
    rows, asked = rows_asked(request)
    return lorenz_curves(rows, **asked)


TABLES = (TableKind("lorenz", "Lorenz curves, point by point", _table, AMOUNT_OPTIONS),)
FIGURES = (FigureKind("lorenz", "Lorenz curves of rewards", _drawn, NODE_OPTIONS, _fits),)
