"""The trilemma of verification, and phase diagrams of deterrence, as pictures.

``python -m poq_abm.figures.verification docs/verification`` draws the pictures of the protocols'
documentation.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from poq_abm.figures.vector import write_svg
from poq_abm.simulation.queries.query_tables import COSTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["GLOSSES", "draw_pages", "phase_diagram", "trilemma"]

#: one line per protocol, for a reader who has never heard of it
GLOSSES: Final = {
    "centralised": "one trusted operator",
    "none": "pay strangers unseen",
    "poq": "evaluators score, pay follows",
    "redundancy": "several answer, compare",
    "proof_of_sampling": "recompute a random share",
    "opml": "7 days in which to dispute",
    "zkml": "a proof for every answer",
    "tee": "signed by secure hardware",
    "otr": "secure hardware + disputes\n+ random proofs",
    "poq+otr": "otr, and pay by score",
}
_INK, _MUTED, _SECOND = "#1b4f72", "0.55", "#d55e00"
_TICKS: Final = {1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", 86_400.0: "1 day", 604_800.0: "7 days"}
_LEAST_USD: Final = 3e-5


def trilemma(table: pd.DataFrame) -> Figure:
    """Return a figure with a row per protocol: integrity, waiting, cost and throughput.

    ``table`` is what :func:`poq_abm.analysis.trilemma.trilemma_table` returns.
    """
    import seaborn as sns  # noqa: PLC0415  (heavy, and only for pictures)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with sns.axes_style("ticks"):
        figure = Figure(figsize=(14.0, 0.55 * len(table) + 2.2), layout="constrained")
        panels = figure.subplots(1, 4, sharey=True, width_ratios=[1.1, 1.4, 1.2, 0.9])
    for panel, draw in zip(panels, (_integrity, _waiting, _money, _throughput), strict=True):
        draw(panel, table)
        panel.grid(axis="y", color="0.93", linewidth=5.0)
        panel.set_axisbelow(True)
    first = panels[0]
    first.set_yticks(range(len(table)), [_label(name) for name in table.index])
    first.set_ylim(len(table) - 0.5, -0.5)
    first.tick_params(axis="y", length=0, labelsize=9)
    sns.despine(fig=figure, left=True)
    figure.suptitle(
        "What each way of checking an AI answer lets through, costs and delays", fontsize=13
    )
    figure.supxlabel(table.attrs.get("caption", ""), fontsize=8, color="0.35")
    return figure


def _label(name: str) -> str:
    gloss = GLOSSES.get(name, "")
    return f"{name}\n{gloss}" if gloss else name


def _bars(axes: Axes, table: pd.DataFrame, measure: str, colour: str, scale: float = 1.0) -> None:
    """Draw the means of a measure as points, with their intervals."""
    mean = table[measure].to_numpy() * scale
    ends = [table[f"{measure}_{end}"].to_numpy() * scale for end in ("low", "high")]
    error = np.clip([mean - ends[0], ends[1] - mean], 0.0, None)
    axes.errorbar(mean, np.arange(len(table)), xerr=error, fmt="o", color=colour, markersize=6)


def _integrity(axes: Axes, table: pd.DataFrame) -> None:
    places = np.arange(len(table))
    share = table["dishonest_stands"].to_numpy() * 100.0
    axes.barh(places, share, height=0.5, color=_SECOND, zorder=2)
    ends = [table[f"dishonest_stands_{end}"].to_numpy() * 100.0 for end in ("low", "high")]
    error = np.clip([share - ends[0], ends[1] - share], 0.0, None)
    axes.errorbar(share, places, xerr=error, fmt="none", color="0.2", linewidth=1.0, zorder=3)
    for place, (value, cheats) in enumerate(
        zip(share, table["cheating_share"].to_numpy(), strict=True)
    ):
        said = f"{value:.2g}%"
        if cheats == cheats:  # noqa: PLR0124  (missing where nobody is rational)
            said += f"  ({cheats:.0%} choose to cheat)"
        axes.text(max(value, error[1][place] + value) + 5.0, place, said, va="center", fontsize=8)
    axes.set_xlim(0.0, 195.0)
    axes.set_xticks([0, 50, 100])
    axes.set_xlabel("dishonest answers that are paid\nand never undone, % of queries")
    axes.set_title(
        "Integrity (in brackets: rational nodes\nwho choose to cheat)", fontsize=9.5, loc="left"
    )


def _waiting(axes: Axes, table: pd.DataFrame) -> None:
    places = np.arange(len(table))
    for name, colour, shift, marker, said in (
        ("provisional", _INK, -0.13, "o", "answer in hand"),
        ("economic", _SECOND, 0.13, "s", "payment final"),
    ):
        low, high = table[f"{name}_p50_s"].to_numpy(), table[f"{name}_p99_s"].to_numpy()
        middle = table[f"{name}_p95_s"].to_numpy()
        axes.hlines(places + shift, low, high, color=colour, linewidth=2.0)
        axes.plot(low, places + shift, marker, color=colour, markersize=6, label=f"{said}: p50")
        axes.plot(middle, places + shift, "|", color=colour, markersize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.3, 3e6)
    axes.set_xticks(list(_TICKS), list(_TICKS.values()), fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("time from the question (log scale;\ndot p50, tick p95, line to p99)")
    axes.set_title("Waiting", fontsize=9.5, loc="left")
    axes.legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(1.0, 1.0))


def _money(axes: Axes, table: pd.DataFrame) -> None:
    _bars(axes, table, "total_usd", _INK)
    parts = table[list(COSTS)]
    for place, name in enumerate(table.index):
        total = float(table.loc[name, "total_usd"])
        largest = str(parts.loc[name].idxmax())
        share = float(parts.loc[name, largest]) / total if total > 0 else 0.0
        said = f"${_plain(total)}: {share:.0%} {largest.removesuffix('_usd')}"
        axes.annotate(said, (max(total, _LEAST_USD), place), (7, 7), textcoords="offset points",
                      fontsize=7.5)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(_LEAST_USD, 5e4)
    axes.set_xticks([1e-4, 1e-2, 1.0, 100.0], ["$0.0001", "$0.01", "$1", "$100"], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("resources used per query, USD\n(log scale; text: the largest part)")
    axes.set_title("Cost", fontsize=9.5, loc="left")


def _plain(value: float) -> str:
    """Return a number in two digits, without an exponent.

    >>> _plain(7.9e-05), _plain(0.0692), _plain(45.0)
    ('0.000079', '0.069', '45')
    """
    decimals = max(0, 1 - math.floor(math.log10(value))) if value > 0.0 else 0
    return f"{value:.{decimals}f}"


def _throughput(axes: Axes, table: pd.DataFrame) -> None:
    _bars(axes, table, "throughput", _INK, 100.0)
    axes.axvline(100.0, color=_MUTED, linewidth=0.8, linestyle="--")
    axes.set_xlim(0.0, max(115.0, 105.0 * float(table["throughput_high"].max())))
    axes.set_xlabel("queries per second,\n% of centralised")
    axes.set_title("Throughput\n(provers and watchers apart)", fontsize=9.5, loc="left")


def phase_diagram(
    frame: pd.DataFrame, x: str, y: str, *, labels: tuple[str, str], title: str, note: str = ""
) -> Figure:
    """Return a figure of where rational nodes are deterred, over two parameters on log axes.

    ``frame`` has the columns ``x``, ``y`` and ``margin`` (detection over what deters), a row per
    point of a full grid, as the tables of :mod:`poq_abm.analysis.deterrence` have.
    """
    grid = frame.pivot_table(index=y, columns=x, values="margin")
    values = np.log10(np.clip(grid.to_numpy(), 1e-3, 1e3))
    figure, axes = _canvas()
    mesh = axes.pcolormesh(
        grid.columns.to_numpy(), grid.index.to_numpy(), values, cmap="PuOr", vmin=-2.0, vmax=2.0,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    _boundary(axes, grid, values)
    _finish(figure, axes, mesh, labels, title, note)
    return figure


def _canvas() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    return figure, axes


def _boundary(axes: Axes, grid: pd.DataFrame, values: Any) -> None:
    """Draw the line on which cheating and honesty pay alike, and name both sides."""
    if values.min() < 0.0 < values.max():
        axes.contour(grid.columns, grid.index, values, levels=[0.0], colors="black", linewidths=1.6)
    for side, said in ((values > 0.0, "honesty pays"), (values < 0.0, "cheating pays")):
        if side.any():
            row, column = (int(np.median(place)) for place in np.nonzero(side))
            box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none"}
            at = float(grid.columns[column]), float(grid.index[row])
            axes.text(*at, said, ha="center", va="center", fontsize=11, bbox=box)


def _finish(
    figure: Figure, axes: Axes, mesh: Any, labels: tuple[str, str], title: str, note: str
) -> None:
    bar = figure.colorbar(mesh, ax=axes, extend="both")
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["1/100", "1/10", "1", "10", "100"])
    bar.set_label("chance of being caught, over what deters")
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_title(title, fontsize=11, loc="left")
    figure.supxlabel(note, fontsize=8, color="0.35")


def vulnerability_diagram(frame: pd.DataFrame, *, note: str = "") -> Figure:
    """Return a figure of the dishonest answers that stand, over vulnerability rate and patch delay.

    ``frame`` is what :func:`poq_abm.analysis.deterrence.vulnerability_by_patch` returns.
    """
    grid = frame.pivot_table(
        index="patch_days", columns="vulnerability_per_year", values="dishonest_stands"
    )
    figure, axes = _canvas()
    values = np.log10(np.clip(grid.to_numpy() * 100.0, 1e-4, None))
    columns, index = grid.columns.to_numpy(), grid.index.to_numpy()
    mesh = axes.pcolormesh(columns, index, values, cmap="cividis", shading="nearest",
                           rasterized=True)  # fmt: skip
    lines = axes.contour(
        columns, index, values, levels=[-2, -1, 0, 1], colors="white", linestyles="solid"
    )
    axes.clabel(lines, fmt=lambda level: f"{10.0**level:g}%", fontsize=9)
    bar = figure.colorbar(mesh, ax=axes)
    bar.set_ticks([-2, -1, 0, 1], labels=["0.01%", "0.1%", "1%", "10%"])
    bar.set_label("queries whose dishonest answer is paid and stands")
    axes.set_xlabel("vulnerabilities found per vendor and year (log scale)")
    axes.set_ylabel("mean days until a patch (log scale)")
    axes.set_title("What broken enclaves let through", fontsize=11, loc="left")
    figure.supxlabel(note, fontsize=8, color="0.35")
    return figure


def draw_pages(folder: Path, replications: int = 20, queries: int = 20_000) -> list[Path]:
    """Write the pictures of the documentation into ``folder``; the same bytes every time."""
    from poq_abm.figures.verification_pages import pictures  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in pictures(replications, queries).items():
        path = folder / f"{name}.svg"
        write_svg(figure, path)
        written.append(path)
    return written


def _main() -> None:
    parser = argparse.ArgumentParser(description="Draw the trilemma and the phase diagrams.")
    parser.add_argument("folder", type=Path, help="where they go, e.g. docs/verification")
    draw_pages(parser.parse_args().folder)


if __name__ == "__main__":
    _main()
