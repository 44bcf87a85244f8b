"""Trust over time: mean weights of evaluators by round, with bands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from poq_abm.analysis.charts import MOST_LINES, legend
from poq_abm.analysis.figure_style import DASHES, canvas, caption, colours, count_of, need
from poq_abm.analysis.questions import TRUST_LOG, AnalysisRequest, FigureKind, told
from poq_abm.analysis.rewards import taking_part
from poq_abm.analysis.stored_run import StoredRun, select
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.schemas import RANGES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CLASSES", "FIGURES", "trust_bands", "trust_figure"]

CLASSES = ("behaviour", "group", "model", "hardware")  #: columns that can tell evaluators apart


def trust_bands(
    trust: pd.DataFrame,
    nodes: pd.DataFrame,
    *,
    by: str = "behaviour",
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return mean trust by round, with its interval over replications, per treatment and class.

    ``trust`` and ``nodes`` are tables of one run; ``by`` is the column of ``nodes`` that makes the
    classes. Inside a replication the weights of a class's nodes, over all tasks, are averaged;
    nodes that never took part in it do not count.
    Columns: ``treatment``, ``by``'s, ``round``, ``nodes``, ``replications``, ``trust``, ``low``,
    ``high``.
    """
    if by not in CLASSES:
        raise InputError(f"trust cannot be split by {by!r}; {nearest(by, CLASSES)}")
    keys = ["treatment", "replication", "node"]
    who = nodes.loc[taking_part(nodes), [*keys, by]].astype({"treatment": str, by: str})
    joined = trust.astype({"treatment": str}).merge(who, on=keys)
    if joined.empty:
        raise InputError("the trust log is empty: the run is shorter than mechanism.trust.interval")
    cells = ["treatment", by, "round"]
    means = joined.groupby([*cells, "replication"], sort=False)["trust"].mean().reset_index()
    count = joined.groupby(["treatment", by])["node"].nunique()
    rows = [
        {**dict(zip(cells, key, strict=True)), **_band(part["trust"], confidence)}
        for key, part in means.groupby(cells, sort=False)
    ]
    table = pd.DataFrame(rows)
    table["nodes"] = [int(count[row]) for row in zip(table["treatment"], table[by], strict=True)]
    return table


def _band(values: pd.Series[float], confidence: float) -> dict[str, float]:
    mean, _, low, high = mean_interval(values, confidence, RANGES["weight"])
    return {"replications": len(values), "trust": mean, "low": low, "high": high}


def trust_figure(frame: pd.DataFrame) -> Figure:
    """Return mean trust by round, a line and a 95% band per treatment and class of evaluators.

    ``frame`` is :func:`trust_bands`. More than eight lines are not drawn:
    select treatments first.
    """
    need(frame, ["treatment", "round", "trust", "low", "high"])
    by = next(name for name in CLASSES if name in frame)
    several = len(frame["treatment"].unique()) > 1
    lines = list(frame.groupby(["treatment", by], sort=False))
    figure, (axes,) = canvas(7.6, 4.2)
    paint = colours(range(min(len(lines), MOST_LINES)))
    for number, ((treatment, name), part) in enumerate(lines[:MOST_LINES]):
        line = part.sort_values("round")
        label = f"{name}, {treatment}" if several else str(name)
        axes.plot(line["round"], line["trust"], color=paint[number], linewidth=1.6, label=label,
                  linestyle=DASHES[number % len(DASHES)])  # fmt: skip
        axes.fill_between(line["round"], line["low"], line["high"], color=paint[number], alpha=0.25,
                          linewidth=0)  # fmt: skip
    axes.set_xlabel("round")
    axes.set_ylabel("mean trust (weight)")
    legend(axes, len(lines))
    left_out = len(lines) - MOST_LINES
    caption(figure, "Trust of evaluators over time", frame, count_of(frame), "bands 95%",
            f"{left_out} more lines left out" if left_out > 0 else "")  # fmt: skip
    return figure


def _drawn(request: AnalysisRequest) -> Figure:
    run = request.run
    log = select(run.results.trust, treatment=request.treatment)
    by = next(iter(request.by), "behaviour")
    nodes = run.nodes("node", "presence", *(name for name in CLASSES if name == by))
    bands = trust_bands(log, pd.concat(nodes), by=by)
    return trust_figure(told(bands, run))


def _fits(run: StoredRun) -> Iterator[dict[str, Any]]:
    if run.has("trust"):
        yield {} if run.few_curves else {"treatment": run.treatments[0]}


FIGURES = (
    FigureKind(
        "trust",
        "trust over time, with bands",
        _drawn,
        ("treatment", "by"),
        _fits,
        (TRUST_LOG,),
    ),
)
