"""When honesty pays, what it costs to make it pay, and over which parameters it does.

First the formulas in plain numbers: money in USD, times in seconds, probabilities and shares in
[0, 1]; then phase diagrams, by the protocols' own terms.

``python -m poq_abm.analysis.deterrence docs/verification`` draws the pictures of the protocols'
documentation.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from poq_abm.analysis.figure_style import write_svg
from poq_abm.analysis.trilemma import changed, play_protocols, trilemma, trilemma_table
from poq_abm.profile import load_profile
from poq_abm.rules.protocol.protocol import SECONDS_PER_YEAR
from poq_abm.rules.settling import disputed
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.simulation.queries.node_types import broken_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "SETTINGS",
    "Deterrence",
    "break_even_slash",
    "capital_cost",
    "cheapest_deterrence",
    "detection_after",
    "detection_if_broken",
    "deterrence_threshold",
    "draw_pages",
    "is_deterred",
    "phase_diagram",
    "pictures",
    "proof_rate_by_stake",
    "queries_to_detect",
    "sampling_threshold",
    "verifier_cost",
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


def detection_if_broken(proof_rate: float, watched: float) -> float:
    """Return p = 1 - (1 - rho)(1 - phi), the detection once an enclave is broken.

    >>> round(detection_if_broken(0.01, 0.5), 3)
    0.505
    """
    return 1.0 - (1.0 - proof_rate) * (1.0 - watched)


def deterrence_threshold(gain: float, stake: float, fee: float) -> float:
    """Return the smallest detection that deters, p = G / (S + F); above 1 where nothing does.

    ``stake`` is S, what is slashed besides the fee: all of a bond, or ``slash_share`` of it.

    >>> deterrence_threshold(0.5, 4.0, 1.0)
    0.1
    """
    at_risk = stake + fee
    return gain / at_risk if at_risk > 0.0 else math.inf


def is_deterred(detection: float, gain: float, stake: float, fee: float) -> bool:
    """Return whether honesty pays: p (S + F) >= G.

    >>> is_deterred(0.1, 0.5, 4.0, 1.0), is_deterred(0.1, 0.51, 4.0, 1.0)
    (True, False)
    """
    return detection * (stake + fee) >= gain


def detection_after(queries: int, rate: float) -> float:
    """Return the chance that n cheats in a row are noticed, 1 - (1 - rho)^n.

    >>> round(detection_after(230, 0.01), 3)
    0.901
    """
    return 1.0 - (1.0 - rate) ** queries


def queries_to_detect(target: float, rate: float) -> int:
    """Return the fewest cheats in a row that are noticed with chance ``target`` or more.

    ceil(log(1 - target) / log(1 - rho)); ``target`` below 1, ``rate`` in (0, 1].

    >>> queries_to_detect(0.90, 0.01), queries_to_detect(0.99, 0.01)
    (230, 459)
    """
    if rate >= 1.0:
        return 1
    return math.ceil(math.log(1.0 - target) / math.log(1.0 - rate))


def capital_cost(stake: float, rate_per_year: float, window_s: float) -> float:
    """Return what a bond B costs while a query is in flight, B r W / year.

    >>> round(capital_cost(5.0, 0.08, 7 * 86_400.0), 5)
    0.00767
    """
    return stake * rate_per_year * window_s / SECONDS_PER_YEAR


def verifier_cost(
    attestation: float,
    proof_rate: float,
    proof: float,
    watched: float,
    recheck: float,
    disputed: float,
    dispute: float,
) -> float:
    """Return c_attest + rho c_zk + phi c_recheck + P(dispute) c_dispute, per query.

    ``watched`` is the expected number of checks: phi for one watcher who is always in time, n c for
    n watchers who each check with chance c.

    >>> round(verifier_cost(0.06, 0.01, 1.0, 0.0, 0.0, 0.0, 0.0), 2)
    0.07
    """
    return attestation + proof_rate * proof + watched * recheck + disputed * dispute


def sampling_threshold(saved: float, reward: float, slash: float, colluding: float) -> float:
    """Return the challenge probability above which honesty is the only pure equilibrium.

    q > C / ((1 - r)(R + S)); source: arXiv 2405.00295. C is what cheating saves (our G), R the fee
    (our F), S what is slashed besides it: a convicted node loses R + S, the fee once.

    >>> sampling_threshold(1.0, 1.0, 9.0, 0.5)
    0.2
    """
    return saved / ((1.0 - colluding) * (reward + slash)) if colluding < 1.0 else math.inf


def break_even_slash(reward: float, probability: float) -> float:
    """Return the slash at which cheating brings nothing, S = R (1 - p) / p.

    Source: the probabilistic proofs of Pocket Network, where nothing is kept when caught.

    >>> break_even_slash(10.0, 0.2)
    40.0
    """
    return reward * (1.0 - probability) / probability


class Deterrence(NamedTuple):
    """Parameters that deter a gain, and what they cost per query."""

    stake: float
    proof_rate: float
    watched: float
    detection: float
    cost: float  #: checks and capital


def cheapest_deterrence(
    gain: float,
    fee: float,
    proof_usd: float,
    recheck_usd: float,
    rate_per_year: float,
    window_s: float,
    least_stake: float = 0.0,
) -> Deterrence:
    """Return the stake, proof rate and watching that deter ``gain`` for the least cost per query.

    Minimises rho c_zk + phi c_recheck + S r W / year subject to p (S + F) >= G and S >=
    ``least_stake`` (the bounty, say), all of the bond slashed. For a given p the cost is concave
    along (1 - rho)(1 - phi) = 1 - p, so only one of the two checks is used, the cheaper at c; what
    is left is c G / (S + F) + k S with k = r W / year, least at S = sqrt(c G / k) - F, inside the
    bounds that p <= 1 sets. Where capital costs nothing the stake is unbounded: ValueError.

    >>> best = cheapest_deterrence(0.05, 0.1, 7.0, 1e-3, 0.08, 3600.0)
    >>> round(best.stake, 2), best.proof_rate, round(best.detection, 4)
    (2.24, 0.0, 0.0214)
    """
    if gain <= 0.0:
        cost = capital_cost(least_stake, rate_per_year, window_s)
        return Deterrence(least_stake, 0.0, 0.0, 0.0, cost)
    holding = capital_cost(1.0, rate_per_year, window_s)
    check = min(proof_usd, recheck_usd)
    if holding <= 0.0 < check:
        raise ValueError("capital costs nothing: the larger the stake the cheaper, without end")
    wanted = math.sqrt(check * gain / holding) - fee if check > 0.0 else 0.0
    stake = max(wanted, least_stake, gain - fee, 0.0)
    detection = deterrence_threshold(gain, stake, fee)
    watching = recheck_usd <= proof_usd
    rates = (0.0, detection) if watching else (detection, 0.0)
    return Deterrence(stake, *rates, detection, check * detection + holding * stake)


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
