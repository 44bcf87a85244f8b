"""What a cascade of evaluators saves on a profile, and what it guarantees.

The seats of a committee are taken in order of cost. After two seats or more the answer is accepted
if the scores so far lie within theta of one another, else the next seat is taken. Theta is set on
planted records so that accepted answers are rarely scored otherwise than by the whole committee;
what the cascade costs is measured on all the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv

from poq_abm.analysis.charts import name_places
from poq_abm.analysis.figure_style import canvas, caption, need, records_of
from poq_abm.analysis.questions import AnalysisRequest, FigureKind, TableKind, of_profile
from poq_abm.analysis.resampling import record_intervals
from poq_abm.errors import InputError
from poq_abm.profile import Profile
from poq_abm.random import Purpose, uniform

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "TABLES",
    "agreement_bound",
    "cascade_sentence",
    "cascade_table",
    "expected_cost",
    "loosest_threshold",
]

Array = NDArray[np.float64]

RISK: Final = 0.05  #: accepted answers that may be scored otherwise, as a share
PLANTED: Final = 0.5  #: share of the records that theta is set on
APART: Final = 1.0  #: points from the whole committee's mean that count as scored otherwise


def agreement_bound(errors: int, trials: int, level: float = 0.05) -> float:
    """Return the upper Clopper-Pearson bound of a share of errors, in [0, 1].

    The largest share under which as few errors have a chance of at least ``level``.

    >>> round(agreement_bound(0, 200), 5)
    0.01487
    """
    if errors >= trials:
        return 1.0
    return float(betaincinv(errors + 1, trials - errors, 1.0 - level))


def expected_cost(costs: Sequence[float], escalated: Sequence[float]) -> float:
    """Return what an answer costs: sum_k c_k prod_{j < k} P(escalate at j).

    ``escalated`` has the chance of taking another seat after each seat but the last, of those that
    have come so far.

    >>> round(1.0 - expected_cost([0.0, 1.0], [0.273]), 3)
    0.727
    """
    reached = np.concatenate([[1.0], np.cumprod(np.asarray(escalated, dtype=np.float64))])
    return float((np.asarray(costs) * reached).sum())


def loosest_threshold(spread: Array, wrong: NDArray[np.bool_], risk: float, level: float) -> float:
    """Return the loosest spread at which accepted answers are wrong in at most ``risk`` of cases.

    Thresholds are tested from strict to loose, at ``level`` each, and the first that fails ends the
    search (fixed-sequence testing), so that the one returned holds at that level. The strictest is
    the one that accepts as many answers as could pass without an error; that looks at spreads only.
    -1, which accepts nothing, where not even that one passes.

    >>> spread = np.arange(200.0)
    >>> loosest_threshold(spread, spread >= 150.0, 0.05, 0.05)
    152.0
    """
    order = np.argsort(spread, kind="stable")
    ranked, errors = spread[order], np.cumsum(wrong[order])
    found = -1.0
    last = np.flatnonzero(np.append(np.diff(ranked) > 0.0, True))  # of answers that lie as near
    for place in last.tolist():
        accepted = place + 1
        if agreement_bound(0, accepted, level) > risk:
            continue
        if agreement_bound(int(errors[place]), accepted, level) > risk:
            break
        found = float(ranked[place])
    return found


def cascade_table(
    profile: Profile, *, risk: float = RISK, level: float = 0.05, seed: int = 1
) -> pd.DataFrame:
    """Return the seats of a cascade of all evaluators of a profile, in order of cost.

    One row a seat: the evaluator, its cost (mean latency) over that of all, the threshold after it,
    the share of answers that reach it and that it accepts, how many planted answers it accepts and
    how many of these lie more than a point from the mean of the whole committee, with the bound of
    their share. The last row, ``all``, has the cost of an answer over that of the whole committee,
    with its interval over records (95 %). Each threshold holds at ``level`` over the number of
    thresholds, so that all hold together.

    Raises :class:`~poq_abm.errors.InputError` for a profile of fewer than three evaluators.
    """
    if len(profile.evaluators) < 3:
        raise InputError(
            f"a cascade takes three evaluators or more; profile {profile.name!r} has "
            f"{len(profile.evaluators)}"
        )
    latency = [
        min(profile.latency_ms(name, machine) for machine in profile.hardware_of(name))
        for name in profile.evaluators
    ]
    order = np.argsort(latency, kind="stable")
    costs = np.array(latency)[order] / float(np.sum(latency))
    scores = profile.scores[:, :, order]
    draws = [uniform(seed, 0, int(Purpose.GOLD), r, 0) for r in range(len(profile.records))]
    planted = np.array(draws) < PLANTED
    whole = scores.mean(axis=2)
    open_, rows = np.ones(whole.shape, dtype=np.bool_), []
    cost = np.zeros(whole.shape)
    stages = len(order) - 2
    for seat, place in enumerate(order.tolist()):
        cost += np.where(open_, costs[seat], 0.0)
        seen = scores[:, :, : seat + 1]
        spread = np.ptp(seen, axis=2)
        wrong = np.abs(seen.mean(axis=2) - whole) > APART
        theta = np.nan if seat == 0 else np.inf
        if 0 < seat <= stages:
            on = open_ & planted[:, None]
            theta = loosest_threshold(spread[on], wrong[on], risk, level / stages)
        accepted = open_ & (spread <= theta) if seat else np.zeros_like(open_)
        tested = accepted & planted[:, None]
        known = int(tested.sum()) if 0 < seat <= stages else 0
        errors = int((tested & wrong).sum())
        rows.append(
            {
                "seat": str(seat + 1),
                "evaluator": profile.evaluators[place],
                "cost": float(costs[seat]),
                "threshold": theta,
                "reached": float(open_[~planted].mean()),
                "accepted": float(accepted[~planted].mean()),
                "planted": known,
                "errors": errors,
                "bound": agreement_bound(errors, known, level / stages) if known else np.nan,
            }
        )
        open_ &= ~accepted
    rows.append(_whole(cost[~planted], seed))
    return pd.DataFrame(rows)


def _whole(cost: Array, seed: int) -> dict[str, object]:
    """Return the last row: what an answer costs, with the interval over records."""
    sums = np.stack([cost.sum(axis=1), np.full(len(cost), cost.shape[1])], axis=1)
    found = record_intervals(
        sums,
        np.zeros(len(cost), dtype=np.int64),
        lambda totals: totals[:, 0, :1] / totals[:, 0, 1:],
        seed=seed,
    )
    low, high = float(found.low[0]), float(found.high[0])
    return {
        "seat": "all",
        "evaluator": "",
        "cost": float(found.estimate[0]),
        "low": low,
        "high": high,
    }


def cascade_sentence(table: pd.DataFrame) -> str:
    """Return what a cascade saves, in a sentence.

    >>> row = {"seat": "all", "cost": 0.25, "low": 0.2, "high": 0.3}
    >>> cascade_sentence(pd.DataFrame([row]))
    'The cascade saves 75.0% [70.0%, 80.0%] of what the whole committee costs.'
    """
    last = table[table["seat"] == "all"].iloc[0]
    if last["cost"] > 1.0 - 1e-9:
        return "Nothing is saved: nowhere is it safe to leave out a seat of the whole committee."
    saved, low, high = (1.0 - last[name] for name in ("cost", "high", "low"))
    return (
        f"The cascade saves {saved:.1%} [{low:.1%}, {high:.1%}] of what the whole committee costs."
    )


def _figure(request: AnalysisRequest) -> Figure:
    profile = request.profile
    frame = of_profile(cascade_table(profile), profile)
    need(frame, ["seat", "evaluator", "reached", "cost"])
    seats = frame[frame["seat"] != "all"]
    figure, (axes,) = canvas()
    places = np.arange(len(seats))
    axes.bar(places, seats["reached"], color="0.85", label="reached")
    axes.bar(places, seats["accepted"], color="0.35", label="accepted")
    names = [f"{s}: {e}" for s, e in zip(seats["seat"], seats["evaluator"], strict=True)]
    name_places(axes, places, names)
    axes.set_xlabel("seat, in order of cost")
    axes.set_ylabel("share of answers (0-1)")
    axes.set_ylim(0.0, 1.02)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    said = cascade_sentence(frame)
    said = f"{said[0].lower()}{said[1:]}"  # one part of the caption among others
    caption(figure, "What does a cascade save?", frame, said, records_of(frame))
    return figure


TABLES = (
    TableKind(
        "cascade",
        "seats in order of cost, when they suffice, what is saved (profile or run)",
        lambda request: cascade_table(request.profile),
        needs=(),
        of_profiles=True,
    ),
)
FIGURES = (
    FigureKind(
        "cascade",
        "share of answers that reach each seat of a cascade (profile or run)",
        _figure,
        needs=(),
    ),
)
