"""The audit in sentences."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from poq_abm.analysis.audit.gains import together_name
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


def sentences(gains: pd.DataFrame, confidence: float = 0.95) -> list[str]:
    """Return a verdict per role and group, then the cheapest profitable deviation of each role.

    "within +-x" is the largest simultaneous upper end among the group's deviations: with the stated
    confidence, over the whole audit, none of them gains more than x per job (in an economy, in
    profit per epoch).
    """
    lines = []
    for (role, group), part in gains.groupby(["role", "group"], sort=False):
        lines += [f"{role} {group}: {said}" for said in _of_group(part)]
    for role in gains["role"].unique():
        row = cheapest(gains, str(role))
        if row is not None:
            bonds = row.get("bonds", 0.0)
            staked = f"; bonds put up: {bonds:g} tokens" if bonds else ""
            lines.append(f"Cheapest profitable deviation of {role} nodes: {_gain(row)}{staked}.")
    level = f"{confidence:.0%}"
    if (gains["verdict"] == "one replication").all():
        lines.append("One replication has no interval: these are no verdicts.")
    else:
        least, most = gains["replications"].min(), gains["replications"].max()
        count = f"{least}" if least == most else f"{least} to {most}"
        lines.append(
            f"{len(gains)} deviations, {count} matched replications; verdicts hold together at "
            f"{level} (Holm on paired t tests), simultaneous intervals are Bonferroni's."
        )
    return lines


def _of_group(part: pd.DataFrame) -> list[str]:
    rows: Sequence[Row] = part.to_dict("records")
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
    bounds = [row["family_high"] for row in rows if not math.isnan(row["family_high"])]
    bound = max([0.0, *bounds])
    doing = rows[0]["instead_of"]
    subject = "honesty" if doing == "honest" else doing
    if all(row["verdict"] == "loses" for row in rows):
        return [f"{subject} is the best response: every declared deviation loses."]
    return [f"{subject} is a best response within +-{_shown(bound)} {_per(rows[0])}."]


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
