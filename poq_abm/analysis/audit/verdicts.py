"""The audit in sentences."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from poq_abm.analysis.audit.gains import RELATIVE_EPSILON, together_name
from poq_abm.experiment.estimates import shown

__all__ = ["by_cost", "cheapest", "sentences"]

Row = Mapping[Hashable, Any]


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
