"""How far malicious members drag each aggregation rule, and how many of them break it.

``python -m poq_abm.analysis.aggregation_robustness docs/rules`` draws the pictures of the rules'
documentation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.figure_style import DASHES, MARKERS, canvas, colours
from poq_abm.compilation import compiled_loop
from poq_abm.random import Purpose, normal
from poq_abm.rules.aggregation import AGGREGATION, Aggregation
from poq_abm.rules.committee import Committee, open_committee
from poq_abm.rules.compiled import Kernels, aggregate, number_of, own_kernel
from poq_abm.rules.registry import rules as known_rules
from poq_abm.scenario import Mechanism

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "SHARES",
    "bias_by_share",
    "breakdown_shares",
    "breaking_members",
    "draw_pages",
    "simulated_bias",
]

SHARES: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
_TOP = 10.0
_NORMAL_95 = 1.959963984540054
_GREY = "0.75"
# Honest scores that all but agree stand for any honest scores, because the rules scale with them.
# An attack of five points is as good as unbounded beside their spread: one member of two million
# moves the mean by 2,500 spreads, and a rule that bounds its members' pull stays within a few.
_CENTRE, _SPREAD, _ATTACK = 5.0, 1e-9, 10.0
_FAR = 100.0 * _SPREAD


@compiled_loop
def _errors(
    errors: NDArray[np.float64],
    rule: int,
    parameters: NDArray[np.float64],
    own: Kernels | None,
    honest: NDArray[np.float64],
    lift: NDArray[np.float64],
    committee: Committee,
    truth: float,
) -> None:
    """Fill ``errors`` with consensus minus truth, one for each committee of honest scores.

    ``lift`` is what each seat adds to its score.
    """
    for row in range(honest.shape[0]):
        for k in range(honest.shape[1]):
            committee.scores[k] = min(_TOP, honest[row, k] + lift[k])
        errors[row] = aggregate(rule, parameters, own, committee) - truth


@compiled_loop
def _fill_honest(honest: NDArray[np.float64], truth: float, sd: float, seed: int) -> None:
    """Fill each committee's row with keyed scores, normal around the truth, cut to [0, 10]."""
    for row in range(honest.shape[0]):
        for k in range(honest.shape[1]):
            score = truth + sd * normal(seed, 0, Purpose.FIGURE, row, k)
            honest[row, k] = min(max(score, 0.0), _TOP)


def simulated_bias(
    *,
    committee_size: int = 10,
    boost: float = 3.0,
    truth: float = 5.0,
    sd: float = 1.5,
    rounds: int = 20_000,
    shares: Sequence[float] = SHARES,
    seed: int = 1,
) -> pd.DataFrame:
    """Return each rule's bias, mean consensus minus truth, by the share of boosters.

    Honest scores are normal around ``truth`` with s.d. ``sd``, cut to [0, 10]; floor(share x K)
    members report min(10, s + boost); all members weigh alike. One row per rule and share, with
    columns rule, share, bias, low, high: ``low`` and ``high`` bound a 95% interval. Every cell
    sees the same keyed scores. The table's ``attrs["caption"]`` states the setting.

    >>> table = simulated_bias(committee_size=1, sd=0.0, rounds=2, shares=[1.0])
    >>> table.loc[table["rule"] == "mean", "bias"].tolist()
    [3.0]
    """
    honest, errors = np.empty((rounds, committee_size)), np.empty(rounds)
    committee = open_committee(np.ones(committee_size))
    _fill_honest(honest, truth, sd, seed)
    rows: list[tuple[str, float, float, float, float]] = []
    for name, rule in known_rules(AGGREGATION).items():
        own = Kernels(aggregation=own_kernel(rule)) if number_of(rule) < 0 else None
        for share in shares:
            lift = np.zeros(committee_size)
            lift[: floor(share * committee_size + 1e-9)] = boost
            _errors(errors, number_of(rule), rule.array({}), own, honest, lift, committee, truth)
            bias = float(errors.mean())
            half = _NORMAL_95 * float(errors.std(ddof=1)) / float(np.sqrt(rounds))
            rows.append((name, share, bias, bias - half, bias + half))
    table = pd.DataFrame(rows, columns=["rule", "share", "bias", "low", "high"])
    table.attrs["caption"] = (
        f"K = {committee_size}, honest s.d. {sd:g}, truth {truth:g}, boost {boost:g}; "
        f"equal weights; n = {rounds:,} rounds per point, bars 95%"
    )
    return table


def bias_by_share(frame: pd.DataFrame, highlight: str | None = None) -> Figure:
    """Return a figure of bias against malicious share, one line per rule.

    ``frame`` has the columns of :func:`simulated_bias`, in any order of rows. With ``highlight``
    only that rule is coloured and named, the others are grey for comparison. Bars span ``low`` to
    ``high``.

    Raises
    ------
    ValueError
        If ``highlight`` is no rule of ``frame``.
    """
    rules = list(dict.fromkeys(frame["rule"]))
    if highlight is not None and highlight not in rules:
        raise ValueError(f"no rule {highlight!r} in the table; it has {', '.join(rules)}")
    paint = colours(rules)
    figure, (axes,) = canvas()
    for number, rule in enumerate(rules):
        line = frame[frame["rule"] == rule].sort_values("share")
        muted = highlight not in (None, rule)
        axes.errorbar(
            line["share"],
            line["bias"],
            yerr=[line["bias"] - line["low"], line["high"] - line["bias"]],
            color=_GREY if muted else paint[rule],
            marker=None if muted else MARKERS[number % len(MARKERS)],
            linestyle="-" if muted or highlight else DASHES[number % len(DASHES)],
            linewidth=1.0 if muted else 1.8,
            markersize=5.0,
            zorder=2 if muted else 3,
            label="other rules" if muted else rule,
        )
    _finish(figure, frame, highlight)
    return figure


def _finish(figure: Figure, frame: pd.DataFrame, highlight: str | None) -> None:
    """Add title, units, setting and a legend without repetitions."""
    axes = figure.axes[0]
    axes.axhline(0.0, color="black", linewidth=0.6, zorder=1)
    axes.set_xlabel("malicious share of the committee")
    axes.set_ylabel("bias: mean consensus - truth (points of 10)")
    subject = "each rule" if highlight is None else highlight
    figure.suptitle(f"Bias of {subject} when a share of evaluators boosts", fontsize=11)
    axes.set_title(frame.attrs.get("caption", "bars: low to high"), fontsize=7.5, color="0.35")
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    if highlight is not None:
        once = {label: once[label] for label in (highlight, "other rules") if label in once}
    axes.legend(once.values(), once.keys(), frameon=False, fontsize=8, loc="upper left")


def draw_pages(folder: Path, frame: pd.DataFrame | None = None) -> list[Path]:
    """Write ``<rule>.svg`` for every rule into ``folder``; the same table gives the same bytes."""
    from matplotlib import rc_context  # noqa: PLC0415

    frame = simulated_bias() if frame is None else frame
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for rule in dict.fromkeys(frame["rule"]):
        path = folder / f"{rule}.svg"
        with rc_context({"svg.hashsalt": "poq_abm", "svg.fonttype": "path"}):
            figure = bias_by_share(frame, highlight=rule)
            figure.savefig(path, metadata={"Date": None, "Creator": None})
        written.append(path)
    return written


def _main() -> None:
    parser = argparse.ArgumentParser(description="Draw the bias of every aggregation rule.")
    parser.add_argument("folder", type=Path, help="where the pictures go, e.g. docs/rules")
    draw_pages(parser.parse_args().folder)


if __name__ == "__main__":
    _main()


def breaking_members(rule: type[Aggregation], committee_size: int, **given: float) -> int:
    """Return the fewest members of a committee that break a rule.

    Broken is a rule whose consensus is dragged as far as one likes in units of the honest scores'
    spread, the finite-sample breakdown of Donoho and Huber (1983); looked at are honest scores
    spread evenly over 5 -+ 1e-9, others that report 10, and a consensus 100 spreads away. All
    members weigh alike.

    >>> known = known_rules(AGGREGATION)
    >>> [breaking_members(known[name], 10) for name in ("mean", "median", "trimmed_mean")]
    [1, 5, 3]
    """
    for attackers in range(1, committee_size):
        honest = _CENTRE + _SPREAD * np.linspace(-1.0, 1.0, committee_size - attackers)
        if honest.size == 1:
            honest[0] = _CENTRE
        scores = np.concatenate([honest, np.full(attackers, _ATTACK)])
        if rule.consensus(scores, None, **given) > _CENTRE + _FAR:
            return attackers
    return committee_size


def breakdown_shares(
    mechanism: Mechanism, committee_sizes: Sequence[int] | None = None
) -> pd.DataFrame:
    """Return the breakdown share of every aggregation rule, with the mechanism's parameters.

    One row per rule and committee size (default: the mechanism's): ``rule``, ``parameter``,
    ``committee_size``, ``members`` (:func:`breaking_members`) and ``share``, members over committee
    size. Committees above 64 have a row of the mean alone: the other rules do not take them.

    >>> table = breakdown_shares(Mechanism(), [10]).set_index("rule")
    >>> table.loc[["mean", "median"], "share"].tolist()
    [0.1, 0.5]
    """
    rows = []
    for size in committee_sizes or [mechanism.committee_size]:
        for name, rule in known_rules(AGGREGATION).items():
            if rule.largest_committee is not None and size > rule.largest_committee:
                continue
            given = mechanism.values_of("aggregation", rule)
            members = breaking_members(rule, size, **given)
            rows.append((name, next(iter(given.values()), np.nan), size, members, members / size))
    return pd.DataFrame(rows, columns=["rule", "parameter", "committee_size", "members", "share"])
