"""How many members of a committee can carry each rule's consensus where they want."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from poq_abm.rules.aggregation import AGGREGATION, Aggregation
from poq_abm.rules.registry import rules
from poq_abm.scenario import Mechanism

__all__ = ["breakdown_shares", "breaking_members"]

# Honest scores that all but agree stand for any honest scores, because the rules scale with them.
# An attack of five points is as good as unbounded beside their spread: one member of two million
# moves the mean by 2,500 spreads, and a rule that bounds its members' pull stays within a few.
_CENTRE, _SPREAD, _ATTACK = 5.0, 1e-9, 10.0
_FAR = 100.0 * _SPREAD


def breaking_members(rule: type[Aggregation], committee_size: int, **given: float) -> int:
    """Return the fewest members of a committee that break a rule.

    Broken is a rule whose consensus is dragged as far as one likes in units of the honest scores'
    spread, the finite-sample breakdown of Donoho and Huber (1983); looked at are honest scores
    spread evenly over 5 -+ 1e-9, others that report 10, and a consensus 100 spreads away. All
    members weigh alike.

    >>> known = rules(AGGREGATION)
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
        for name, rule in rules(AGGREGATION).items():
            if rule.largest_committee is not None and size > rule.largest_committee:
                continue
            given = mechanism.values_of("aggregation", rule)
            members = breaking_members(rule, size, **given)
            rows.append((name, next(iter(given.values()), np.nan), size, members, members / size))
    return pd.DataFrame(rows, columns=["rule", "parameter", "committee_size", "members", "share"])
