"""Over which parameters rational nodes are honest, by the protocols' own terms: phase diagrams.

``python -m poq_abm.analysis.deterrence docs/verification`` draws the pictures of the protocols'
documentation.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.analysis.figure_style import write_svg
from poq_abm.analysis.trilemma import changed, play_protocols, trilemma, trilemma_table
from poq_abm.profile import load_profile
from poq_abm.rules.settling import disputed
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.simulation.queries.economics import deterrence_threshold
from poq_abm.simulation.queries.node_types import broken_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "SETTINGS",
    "draw_pages",
    "phase_diagram",
    "pictures",
    "proof_rate_by_stake",
    "vulnerability_by_patch",
    "watchers_by_window",
]

#: what differs from the defaults: a load that two providers per query can bear
SETTINGS = {
    "protocol": "otr",
    "demand.load": 0.3,
    "adversaries.downgrade.model": "tinylama_1_1b",
    "adversaries.downgrade.latency_share": 0.5,
}
POINTS = 41


def proof_rate_by_stake(
    verification: Verification, proof_rates: Sequence[float], stakes: Sequence[float]
) -> pd.DataFrame:
    """Return a row per proof rate and stake: whether cheating with a broken enclave is deterred.

    Columns as in :func:`watchers_by_window`, after ``proof_rate`` and ``stake_usd``. The bounty is
    held at no more than the slash.
    """
    economics = verification.economics
    rows = []
    for rate, stake in product(proof_rates, stakes):
        bounty = min(economics.bounty_usd, stake * economics.slash_share)
        settings = {
            "otr.proof_rate": rate,
            "economics.stake_usd": stake,
            "economics.bounty_usd": bounty,
        }
        found = _deterrence(changed(verification, settings))
        rows.append({"proof_rate": rate, "stake_usd": stake, **found})
    return pd.DataFrame(rows)


def watchers_by_window(
    verification: Verification, active_shares: Sequence[float], windows_s: Sequence[float]
) -> pd.DataFrame:
    """Return a row per share of active watchers and challenge window.

    Columns, after ``active_share`` and ``window_s``: ``detection``, the chance that a cheat with a
    broken enclave is found; ``threshold``, the chance that deters the largest known gain;
    ``margin``, the first over the second; ``deterred``.
    """
    name = "opml" if verification.protocol == "opml" else "otr"
    return pd.DataFrame(
        {
            "active_share": share,
            "window_s": window,
            **_deterrence(
                changed(
                    verification,
                    {"watchers.lazy_share": 1.0 - share, f"{name}.window_s": window},
                )
            ),
        }
        for share, window in product(active_shares, windows_s)
    )


def vulnerability_by_patch(
    verification: Verification, rates_per_year: Sequence[float], patches_days: Sequence[float]
) -> pd.DataFrame:
    """Return a row per rate of vulnerabilities and mean patch delay.

    Columns, after ``vulnerability_per_year`` and ``patch_days``: ``broken_share``;
    ``dishonest_stands``, the long-run share of queries whose dishonest answer is paid and stands,
    with the scenario's adversaries; and those of :func:`watchers_by_window`.
    """
    adversaries = verification.adversaries
    found = _deterrence(verification)
    cheats = adversaries.byzantine_share
    if not found["deterred"]:
        cheats += adversaries.rational_share
    return pd.DataFrame(
        {
            "vulnerability_per_year": rate,
            "patch_days": days,
            "broken_share": share,
            "dishonest_stands": share * cheats * (1.0 - found["detection"]),
            **found,
        }
        for rate, days, share in _shares(rates_per_year, patches_days)
    )


def _shares(
    rates: Sequence[float], patches: Sequence[float]
) -> Iterator[tuple[float, float, float]]:
    for rate, days in product(rates, patches):
        yield rate, days, broken_share(rate, days)


def _deterrence(verification: Verification) -> dict[str, Any]:
    """Return whether the largest known gain is deterred while the enclave is broken."""
    protocol = protocol_of(verification)
    terms, adversaries = protocol.terms, verification.adversaries
    gain = max(getattr(adversaries, name).gain_usd for name in adversaries.actions)
    detection = protocol.detection(broken=True)
    at_risk = terms.slash + (0.0 if terms.keeps_gain else gain)
    back = disputed(terms, True) * terms.refund  # what the node's own watchers get of bounties
    threshold = deterrence_threshold(gain + back, at_risk, terms.fee)
    return {
        "detection": detection,
        "threshold": threshold,
        "margin": detection / threshold if threshold > 0.0 else float("inf"),
        "deterred": detection >= threshold,
    }


def phase_diagram(
    frame: pd.DataFrame, x: str, y: str, *, labels: tuple[str, str], title: str, note: str = ""
) -> Figure:
    """Return a figure of where rational nodes are deterred, over two parameters on log axes.

    ``frame`` has the columns ``x``, ``y`` and ``margin`` (detection over what deters), a row per
    point of a full grid, as the tables of this module have.
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

    ``frame`` is what :func:`vulnerability_by_patch` returns.
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


def pictures(replications: int, queries: int) -> dict[str, Figure]:
    """Return every figure of the documentation by the name of its file."""
    verification = changed(Verification(), SETTINGS)
    scenario = load("cost_aware_poq").replace(
        {
            "rounds": queries,
            "population.inference": [{"model": "llama_3_2_3b", "count": 200}],
            "population.evaluators": [
                {"model": model, "count": 10} for model in ("sts_stsb", "ce_minilm", "ce_deberta")
            ],
        }
    )
    profile = load_profile(scenario.profile)
    played = play_protocols(scenario, profile, verification, replications=replications)
    return {
        "trilemma": trilemma(trilemma_table(played)),
        "proof_rate_by_stake": _proofs(verification),
        "watchers_by_window": _watchers(verification),
        "vulnerability_by_patch": _vulnerabilities(verification),
    }


def _stated(verification: Verification) -> str:
    gain, fee = verification.adversaries.downgrade.gain_usd, verification.economics.fee_usd
    return (
        f"gain {gain:g} USD, fee {fee:g} USD per query; enclave broken; "
        f"computed, {POINTS} x {POINTS} points"
    )


def _proofs(verification: Verification) -> Figure:
    table = proof_rate_by_stake(
        changed(verification, {"watchers.count": 0}),
        np.geomspace(1e-4, 1.0, POINTS).tolist(),
        np.geomspace(0.05, 100.0, POINTS).tolist(),
    )
    return phase_diagram(
        table,
        "proof_rate",
        "stake_usd",
        labels=("share of queries that must carry a proof", "stake per query, USD"),
        title="Do random proofs alone deter?",
        note=f"{_stated(verification)}; no watchers",
    )


def _watchers(verification: Verification) -> Figure:
    settings = {
        "otr.proof_rate": 0.0,
        "economics.stake_usd": 2.0,
        "watchers.count": 1000,
        "watchers.check_probability": 5e-5,
    }
    table = watchers_by_window(
        changed(verification, settings),
        np.geomspace(0.05, 1.0, POINTS).tolist(),
        np.geomspace(41.0, 1e5, POINTS).tolist(),
    )
    stated = f"{_stated(verification)};\nstake 2 USD, no proofs; 1,000 watchers"
    return phase_diagram(
        table,
        "active_share",
        "window_s",
        labels=("share of watchers that check at all", "challenge window, s"),
        title="Do watchers alone deter?",
        note=f"{stated}, each active one checks 1 in 20,000",
    )


def _vulnerabilities(verification: Verification) -> Figure:
    table = vulnerability_by_patch(
        changed(verification, {"protocol": "tee"}),
        np.geomspace(0.01, 10.0, POINTS).tolist(),
        np.geomspace(0.5, 365.0, POINTS).tolist(),
    )
    note = f"tee alone, 95% of nodes cheat once they can; computed, {POINTS} x {POINTS} points"
    return vulnerability_diagram(table, note=note)
