"""What a deviation was worth to those who deviated, and how surely: table, forest, sentences."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from poq_abm.analysis.audit.deviations import Deviation
from poq_abm.analysis.audit.variants import PlayedVariant
from poq_abm.analysis.charts import MOST_ROWS, forest
from poq_abm.analysis.figure_style import caption, count_of, need
from poq_abm.experiment.estimates import CONFIDENCE, shown
from poq_abm.experiment.paired import holm, paired
from poq_abm.simulation.population import NodePopulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "RELATIVE_EPSILON",
    "VERDICTS",
    "by_cost",
    "cheapest",
    "earned_by",
    "gain_forest",
    "gain_table",
    "places",
    "replications_to_decide",
    "sentences",
    "together_name",
]

Array = NDArray[np.float64]
#: what the audit says of a deviation
VERDICTS = (
    "gains",  # more than nothing, by Holm over the audit
    "loses",
    "bounded",  # its simultaneous upper end lies below epsilon
    "equal",  # every pair is
    "undecided",
    "never acted",  # it changed nothing, so nothing was tested
    "one replication",
)
RELATIVE_EPSILON: Final = 0.01  #: of what the same nodes get without deviating, where none is given
_MOST_REPLICATIONS: Final = 10**9  # beyond this a number says no more than "too many"
Row = Mapping[Hashable, Any]


def places(population: NodePopulation, deviation: Deviation) -> NDArray[np.int64]:
    """Return the node ids of the members of a deviation, and of their partners."""
    first = {"inference": 0, "evaluator": population.inference_count}
    return np.concatenate(
        [np.asarray(part.members, np.int64) + first[part.role] for part in deviation.parts]
    )


def earned_by(played: PlayedVariant, nodes: NDArray[np.int64]) -> Array:
    """Return what some nodes together had per job (in an economy, per epoch), by replication.

    NaN without a job.
    """
    jobs = played.jobs[:, nodes].sum(axis=1)
    rewards = played.rewards[:, nodes].sum(axis=1)
    paid: Array = np.divide(rewards, jobs, out=np.full(jobs.shape, np.nan), where=jobs > 0)
    return paid


def gain_table(
    deviations: Sequence[Deviation],
    base: PlayedVariant,
    played: Sequence[PlayedVariant],
    population: NodePopulation,
    confidence: float = CONFIDENCE,
    *,
    bond: float = 0.0,
    epsilon: float | None = None,
    acted: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the gain of every deviation, with intervals alone and together.

    The gain is the members' reward per job when they deviate, less what the same nodes earn in the
    same replications when they do not; keyed draws make these matched pairs. Every interval
    ``low``, ``high`` holds by itself (Student, paired). ``family_low`` and ``family_high`` hold
    together at the same confidence: Student intervals at level 1 - (1 - confidence) / m for the m
    deviations audited (Bonferroni). ``p_adjusted`` is Holm's, of the paired t tests, and ``gains``
    and ``loses`` follow it, so the chance of any false one is at most 1 - confidence.

    That no gain was shown is no verdict. ``bounded`` needs ``family_high`` below ``epsilon``: the
    gain, in tokens per job, that is too small to matter (default: :data:`RELATIVE_EPSILON` of the
    honest pay of these very nodes). What neither shows is ``undecided``, with the number of
    replications that would decide it (:func:`replications_to_decide`).

    ``acted`` is, by deviation, the share of the members' jobs in which it changed anything
    (:func:`.activation.activation_rate`). One that is 0, and left all pay as it was, ``never
    acted``: nothing was tested.

    In an economy the gain (and epsilon) is in profit per member and epoch, ``per`` says ``epoch``,
    and ``gain_per_epoch`` takes the place of ``gain_per_round``. ``bond`` is what a node of stake 1
    puts up there, in tokens.

    Returns
    -------
    DataFrame
        ``role``, ``group``, ``behaviour``, ``members``, ``bonds`` (tokens that the members put up),
        ``instead_of``, ``replications``, ``per`` (``job`` or ``epoch``),
        ``honest`` and ``deviating`` (tokens per job), ``gain`` (tokens per job of a member),
        ``low``, ``high``, ``family_low``, ``family_high``, ``gain_per_round`` (tokens per round,
        all members together), ``drift`` (mean consensus less that without the deviation, points of
        10), ``ran_out`` (replications in which a member's bond did not cover a fine), ``p_value``,
        ``acted`` (NaN where not known), ``epsilon``, ``p_adjusted``, ``verdict``
        (one of :data:`VERDICTS`), ``needed`` (replications that would decide; NaN where decided).
    """
    family = max(len(deviations), 1)
    rates = [math.nan] * len(deviations) if acted is None else acted
    rows = [
        _row(deviation, base, one, population, confidence, family)
        | {"bonds": bond * _stakes(population, deviation), "acted": rate}
        for deviation, one, rate in zip(deviations, played, rates, strict=True)
    ]
    table = pd.DataFrame(rows)
    table.insert(4, "bonds", table.pop("bonds"))
    table["epsilon"] = RELATIVE_EPSILON * table["honest"].abs() if epsilon is None else epsilon
    table["p_adjusted"] = holm(table["p_value"])
    table["verdict"] = _verdicts(table, confidence)
    level = 1.0 - (1.0 - confidence) / family
    undecided = table["verdict"] == "undecided"
    table["needed"] = [
        replications_to_decide(row, level) if open_ else math.nan
        for row, open_ in zip(table.to_dict("records"), undecided, strict=True)
    ]
    return table


def _verdicts(table: pd.DataFrame, confidence: float) -> NDArray[np.object_]:
    shown = (table["p_adjusted"] < 1.0 - confidence).to_numpy()
    words = np.where(table["gain"].to_numpy() > 0, "gains", "loses").astype(object)
    words[~shown] = "undecided"
    words[~shown & (table["family_high"] < table["epsilon"]).to_numpy()] = "bounded"
    equal = ((table["low"] == 0.0) & (table["high"] == 0.0)).to_numpy()
    words[equal] = "equal"
    words[table["low"].isna().to_numpy()] = "one replication"
    same = equal | ((table["gain"] == 0.0) & table["low"].isna()).to_numpy()
    words[same & (table["acted"] == 0.0).to_numpy()] = "never acted"
    return words


def replications_to_decide(row: Any, level: float) -> float:
    """Return about how many replications would decide an undecided deviation.

    Were the estimate and the spread of ``row`` (columns of :func:`gain_table`) the true ones, an
    interval of half-width t_{n-1} s / sqrt(n) at the simultaneous ``level`` decides once it clears
    zero or, for a bound, epsilon: the nearer to be had of the two. NaN without an interval, and
    infinite where nothing varies or no number below a thousand million does.

    >>> row = {"gain": 0.0, "family_low": -0.5, "family_high": 0.5, "epsilon": 0.1,
    ...        "replications": 10}
    >>> replications_to_decide(row, 0.95)
    191.0
    """
    first = int(row["replications"])
    half = (row["family_high"] - row["family_low"]) / 2.0
    margin = max(abs(row["gain"]), row["epsilon"] - row["gain"])
    if first < 2 or math.isnan(half):
        return math.nan
    if not margin > 0.0 or half == 0.0:
        return math.inf
    spread = half * math.sqrt(first) / _t(first, level)
    low, high = 1, 2
    while _t(high, level) * spread / math.sqrt(high) > margin:
        low, high = high, 2 * high
        if high > _MOST_REPLICATIONS:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        wide = _t(middle, level) * spread / math.sqrt(middle) > margin
        low, high = (middle, high) if wide else (low, middle)
    return float(high)


def _t(count: int, level: float) -> float:
    return float(stdtrit(count - 1, (1.0 + level) / 2.0))


def together_name(per: str) -> str:
    """Return the column of what all members together gain: per round, or per epoch."""
    return "gain_per_round" if per == "job" else "gain_per_epoch"


def _stakes(population: NodePopulation, deviation: Deviation) -> float:
    """Return the sum of the members' stakes, which bonds are multiples of."""
    stakes = np.array([group.stake for group in population.groups])
    return float(stakes[population.group[places(population, deviation)]].sum())


def _row(
    deviation: Deviation,
    base: PlayedVariant,
    played: PlayedVariant,
    population: NodePopulation,
    confidence: float,
    family: int,
) -> dict[str, Any]:
    nodes = places(population, deviation)
    before, after = earned_by(base, nodes)[: len(played.rewards)], earned_by(played, nodes)
    alone = paired(before, after, confidence)
    together = paired(before, after, 1.0 - (1.0 - confidence) / family)
    count = len(after)
    moved = played.rewards[:, nodes].sum(axis=1) - base.rewards[:count, nodes].sum(axis=1)
    drift = paired(base.consensus[:count], played.consensus, confidence)
    return {
        "role": deviation.roles,
        "group": deviation.groups,
        "behaviour": deviation.doing,
        "members": deviation.size,
        "instead_of": deviation.instead_of,
        "replications": alone.replications,
        "per": played.per,
        "honest": alone.mean_a,
        "deviating": alone.mean_b,
        "gain": alone.difference,
        "low": alone.low,
        "high": alone.high,
        "family_low": together.low,
        "family_high": together.high,
        together_name(played.per): float(moved.mean()) / played.rounds,
        "drift": drift.difference,
        "ran_out": played.ran_out(nodes),
        "p_value": alone.p_value,
    }


def cheapest(gains: pd.DataFrame, role: str | None = None) -> Row | None:
    """Return the cheapest profitable deviation: least bonds, fewest members, largest gain.

    In this order; of the rows whose verdict is ``gains``; nothing if there is none.
    """
    found = gains[gains["verdict"] == "gains"]
    found = found if role is None else found[found["role"] == role]
    if found.empty:
        return None
    row: Row = by_cost(found).iloc[0].to_dict()
    return row


def by_cost(gains: pd.DataFrame) -> pd.DataFrame:
    """Return deviations the cheapest first: by bonds, then members, then the largest gain."""
    bonds = ["bonds"] if "bonds" in gains else []
    ascending = [True] * (len(bonds) + 1) + [False]
    return gains.sort_values([*bonds, "members", "gain"], ascending=ascending, kind="stable")


def sentences(
    gains: pd.DataFrame, confidence: float = 0.95, epsilon: float | None = None
) -> list[str]:
    """Return a verdict per role and group, then the cheapest profitable deviation of each role.

    Honesty is called a best response of a group only where every deviation that acted loses, or has
    a simultaneous upper end below epsilon: with the stated confidence, over the whole audit, none
    of them gains that much per job (in an economy, of profit per epoch). Where intervals are too
    wide for that the group is undecided, and the sentence says how many replications would decide.
    What never acted is named: it was not tested.
    """
    lines = []
    for (role, group), part in gains.groupby(["role", "group"], sort=False):
        lines += [f"{role} {group}: {said}" for said in [*_of_group(part), *_bonds_spent(part)]]
    for role in gains["role"].unique():
        row = cheapest(gains, str(role))
        if row is not None:
            bonds = row.get("bonds", 0.0)
            staked = f"; bonds put up: {bonds:g} tokens" if bonds else ""
            lines.append(f"Cheapest profitable deviation of {role} nodes: {_gain(row)}{staked}.")
    level = f"{confidence:.0%}"
    if (gains["verdict"].isin(["one replication", "never acted"])).all():
        if (gains["verdict"] == "one replication").any():
            lines.append("One replication has no interval: these are no verdicts.")
    else:
        least, most = gains["replications"].min(), gains["replications"].max()
        count = f"{least}" if least == most else f"{least} to {most}"
        lines.append(
            f"{len(gains)} deviations, {count} matched replications; verdicts hold together at "
            f"{level} (Holm on paired t tests), simultaneous intervals are Bonferroni's. "
            f"{_epsilon_said(gains, epsilon)}"
        )
    return lines


def _epsilon_said(gains: pd.DataFrame, epsilon: float | None) -> str:
    """Return what counts as too small a gain to matter."""
    per = _per(gains.iloc[0].to_dict())
    if epsilon is not None:
        return f"Gains below epsilon = {epsilon:g} {per} count as none."
    least, most = gains["epsilon"].min(), gains["epsilon"].max()
    size = f"{least:.2g}" if least == most else f"{least:.2g} to {most:.2g}"
    return (
        f"Gains below epsilon = {RELATIVE_EPSILON:.0%} of what the same nodes get without "
        f"deviating ({size} {per}) count as none; --epsilon sets another."
    )


def _of_group(part: pd.DataFrame) -> list[str]:
    asleep = part[part["verdict"] == "never acted"]
    awake: Sequence[Row] = part[part["verdict"] != "never acted"].to_dict("records")
    names = ", ".join(dict.fromkeys(asleep["behaviour"]))
    untested = [f"{names} never acted: nothing was tested."] if names else []
    if not awake:
        return ["no deviation ever acted: nothing was tested."]
    return [*_of_those_that_acted(awake), *untested]


def _bonds_spent(part: pd.DataFrame) -> list[str]:
    """Return which deviations went on after their bonds could pay no more fines."""
    if "ran_out" not in part or not (part["ran_out"] > 0).any():
        return []
    worst = part.sort_values("ran_out").iloc[-1]
    count, replications = int(worst["ran_out"]), int(worst["replications"])
    return [
        f"the bond of {worst['behaviour']} ran out in {count} of {replications} replications: what "
        "fines it no longer covered deterred nobody (economy.stake.top_up: true restores bonds)."
    ]


def _of_those_that_acted(rows: Sequence[Row]) -> list[str]:
    gaining = [row for row in rows if row["verdict"] == "gains"]
    if gaining:
        best = max(gaining, key=lambda row: row["gain"])
        more = len(gaining) - 1
        others = f"; {more} more deviation{'s' * (more > 1)} gain{'s' * (more == 1)}"
        return [f"{_gain(best)}{others if more else ''}."]
    if all(row["verdict"] == "one replication" for row in rows):
        best = max(rows, key=lambda row: row["gain"])
        return [
            f"{best['behaviour']} moved pay most, by {best['gain']:+.4f} {_per(best)} "
            "(no interval)."
        ]
    doing = rows[0]["instead_of"]
    subject = "honesty" if doing == "honest" else doing
    open_ = [row for row in rows if row["verdict"] in ("undecided", "one replication")]
    if open_:
        return [f"undecided: {_undecided(open_)}."]
    if all(row["verdict"] == "loses" for row in rows):
        return [f"{subject} is the best response: every deviation that acted loses."]
    if all(row["verdict"] == "equal" for row in rows):
        return [f"{subject} is paid exactly as every deviation that acted is: nothing deters them."]
    bound = max(0.0, *(row["family_high"] for row in rows))
    least = min(row["epsilon"] for row in rows)
    return [
        f"{subject} is a best response within epsilon = {least:.2g} {_per(rows[0])}: no deviation "
        f"that acted gains more than {_shown(bound)}."
    ]


def _undecided(rows: Sequence[Row]) -> str:
    """Return what the widest open deviation may gain, and how many replications would decide."""
    bounds = [row for row in rows if not math.isnan(row["family_high"])]
    if not bounds:
        return "one replication has no interval"
    most = max(bounds, key=lambda row: row["family_high"])
    needed = max(row["needed"] for row in bounds)
    enough = f"about {needed:,.0f} replications" if needed < math.inf else "no number we can afford"
    return (
        f"{most['behaviour']} may gain up to {_shown(most['family_high'])} {_per(most)}, not below "
        f"epsilon = {most['epsilon']:.2g}; {enough} would decide"
    )


def _gain(row: Row) -> str:
    gain, ends = shown(row["gain"], row["low"], row["high"])
    members = int(row["members"])
    if members == 1:
        who = f"{row['behaviour']} by one node of {row['group']}"
        return f"{who} gains {gain} {_per(row)} {ends}"
    per = row.get("per", "job")
    unit = "round" if per == "job" else per
    together = row[together_name(per)]
    return (
        f"{row['behaviour']} by a ring of {members} of {row['group']} gains "
        f"{gain} {_per(row)} of a member {ends}, "
        f"{together:.3g} per {unit} together"
    )


def _per(row: Row) -> str:
    """Return what a gain is counted in."""
    return "per job" if row.get("per", "job") == "job" else "in profit per epoch"


def _shown(bound: float) -> str:
    """Return a bound rounded up to two digits: what is claimed must not be less than was found."""
    if bound <= 0.0:
        return "0"
    digits = 1 - math.floor(math.log10(bound))
    return f"{math.ceil(bound * 10**digits) / 10**digits:.{max(digits, 0)}f}"


def gain_forest(frame: pd.DataFrame) -> Figure:
    """Return a forest of what deviations gain, in tokens per job of a member.

    ``frame`` is :func:`gain_table`. Thick bars are single 95%
    intervals, thin ones hold together.
    """
    need(frame, ["role", "group", "behaviour", "members", "gain", "low", "high", "verdict"])
    table = frame.head(MOST_ROWS)
    scaled = table.assign(
        label=[
            f"{row['behaviour']} by {row['members']} of {row['group']}"
            for row in table.to_dict("records")
        ],
        at=table["gain"],
        first=table["low"],
        last=table["high"],
        shown=table["verdict"].isin(["gains", "loses"]),
    )
    figure = forest(scaled, "gain from deviating (tokens per job of a member)")
    left_out = len(frame) - len(table)
    caption(figure, "What deviations gain", frame, count_of(frame),
            "thick 95% each, thin 95% together; filled: shown (Holm)",
            f"{left_out} more rows left out" if left_out > 0 else "")  # fmt: skip
    return figure
