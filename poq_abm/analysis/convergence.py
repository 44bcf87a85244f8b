"""Whether an answer moves with more rounds: half, as many, and twice as many, on common keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval, shown
from poq_abm.experiment.paired import REWARD_OF, holm, metrics_of, paired, units_of
from poq_abm.experiment.running import run
from poq_abm.experiment.schemas import range_of
from poq_abm.experiment.study import Progress
from poq_abm.scenario import Scenario

__all__ = ["convergence", "verdict"]

_STEPS = ("half", "once", "twice")
#: units of what adds up over rounds, or counts them: more rounds move it, which says nothing
_OF_LENGTH = ("tokens", "rounds", "round", "epochs", "epoch", "queries", "comparisons")
_MOST_NAMED = 3


def convergence(
    scenario: Scenario,
    on: Sequence[str] | None = None,
    *,
    confidence: float = CONFIDENCE,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how far each measure moves from half the rounds to all, and from all to twice as many.

    The three runs share their keys: a longer one begins with the rounds of the shorter, so that the
    paired difference is small where nothing drifts. An economy has half, as many and twice as many
    epochs of equally many rounds. What adds up over rounds is left out.

    Parameters
    ----------
    scenario
        Without a sweep; a replication more than one.
    on
        Measures: columns of floats of replications or queries, or ``reward of ROLE GROUP``.
        Default: all that have a number.
    confidence
        Level of the intervals, in (0, 1).
    n_jobs, progress
        As in :func:`poq_abm.run`.

    Returns
    -------
    DataFrame
        A row for each measure: ``metric``, ``unit``, ``pairs``; its means ``half``, ``once`` and
        ``twice``; ``half_width`` of the interval of ``once`` over replications; and for each of the
        steps ``to_once`` and ``to_twice`` the paired difference with its interval (``_low``,
        ``_high``) and whether it ``_moved``: ``p_adjusted`` of Holm over all measures and both
        steps is below 1 - confidence.

    Raises
    ------
    InputError
        If the scenario has a sweep, cannot be halved, or a measure is unknown.
    """
    results = run(_stretched(scenario), n_jobs=n_jobs, progress=progress)
    played = []
    for step in _STEPS:
        side = results.side(step)
        played.append(metrics_of(side.main, side.nodes, step))
    units = units_of(results.main)
    known = [
        name
        for name in map(str, played[1].columns)
        if all(name in one and one[name].notna().any() for one in played)
        and units.get(name) not in _OF_LENGTH
    ]
    for name in on or []:
        if name not in known:
            raise InputError(f"--metric {name}: no such measure here; {nearest(name, known)}")
    rows = [
        _row(
            name, units.get(name, "tokens per job" * name.startswith(REWARD_OF)), played, confidence
        )
        for name in dict.fromkeys(on or known)
    ]
    table = pd.DataFrame(rows)
    adjusted = holm(table[["to_once_p", "to_twice_p"]].to_numpy().ravel()).reshape(-1, 2)
    for place, step in enumerate(("to_once", "to_twice")):
        table[f"{step}_moved"] = adjusted[:, place] < 1.0 - confidence
    return table.drop(columns=["to_once_p", "to_twice_p"])


def _stretched(scenario: Scenario) -> Scenario:
    """Return the scenario as a sweep over half, as many and twice as many rounds."""
    if len(scenario.treatments()) > 1 or scenario.sweep:
        raise InputError(f"{scenario.name} has a sweep; --set 'sweep={{}}' plays one treatment")
    if scenario.resample_profile:
        raise InputError("resample_profile does nothing here: set it to false")
    if scenario.most_replications < 2:
        raise InputError("one replication has no interval; give two or more")
    lengths = {"rounds": scenario.rounds}
    if scenario.economy is not None:
        lengths["economy.epochs"] = scenario.economy.epochs
    if odd := [f"{path}={value}" for path, value in lengths.items() if value % 2]:
        raise InputError(f"{' and '.join(odd)}: only an even number can be halved")
    listed = [
        {**{path: int(value * times) for path, value in lengths.items()}, "id": step}
        for step, times in zip(_STEPS, (0.5, 1, 2), strict=True)
    ]
    return scenario.replace({"sweep": {"list": listed}})


def _row(name: str, unit: str, played: Sequence[pd.DataFrame], confidence: float) -> dict[str, Any]:
    within = range_of(name, unit)
    half, once, twice = (one[name] for one in played)
    mean, _, low, high = mean_interval(once.dropna(), confidence, within)
    row = {"metric": name, "unit": unit, "pairs": 0, "half": half.mean(), "once": mean,
           "twice": twice.mean(), "half_width": max(mean - low, high - mean)}  # fmt: skip
    for step, pair in (("to_once", (half, once)), ("to_twice", (once, twice))):
        found = paired(*pair[0].align(pair[1], join="inner"), confidence, within)
        row |= {"pairs": found.replications, step: found.difference, f"{step}_low": found.low,
                f"{step}_high": found.high, f"{step}_p": found.p_value}  # fmt: skip
    return row


def verdict(table: pd.DataFrame, rounds: int) -> str:
    """Say whether the answer moves with more rounds, of a table of :func:`convergence`.

    A move that is shown but smaller than what replications leave open anyway (half the interval of
    the estimate) changes no conclusion at this number of replications.

    >>> row = {"metric": "bias", "unit": "score", "pairs": 9, "once": 1.0, "half_width": 0.5,
    ...     "to_twice": 0.1, "to_twice_low": 0.05, "to_twice_high": 0.15, "to_twice_moved": True}
    >>> verdict(pd.DataFrame([row]), 1000).split(": ")[0]
    'From 1,000 to 2,000 rounds, 1 of 1 measures moves, by less than half the interval that 9
    replications leave'
    """
    moved = table[table["to_twice_moved"]]
    matters = moved[moved["to_twice"].abs() > moved["half_width"]]
    span = f"From {rounds:,} to {2 * rounds:,} rounds, "
    of = f"of {len(table)} measures move"
    if len(matters):
        return (
            f"{span}{len(matters)} {of}{'s' * (len(matters) == 1)} by more than half the interval "
            f"of the estimate: {_named(matters)}. The answer depends on the number of rounds: play "
            "more, or say for how many it holds."
        )
    if len(moved):
        return (
            f"{span}{len(moved)} {of}{'s' * (len(moved) == 1)}, by less than half the interval "
            f"that {table['pairs'].max()} replications leave: {_named(moved)}. With many more "
            "replications it would matter."
        )
    differ = table[table["to_twice"] != 0.0]
    share = differ[["to_twice_low", "to_twice_high"]].abs().max(axis=1) / differ["half_width"]
    share = share.replace([np.inf], np.nan).dropna()
    most = ""
    if len(share):
        times, name = max(zip(share, differ.loc[share.index, "metric"], strict=True))
        most = (
            f"; at most (the 95% interval of {name}) by {times:.1f} times half that of its estimate"
        )
    return f"{span}none {of.replace('move', 'is shown to move')}{most}."


def _named(rows: pd.DataFrame) -> str:
    """Name what moved most, as a multiple of its interval, with the difference in its unit."""
    order = (rows["to_twice"].abs() / rows["half_width"]).sort_values(ascending=False).index
    said = []
    for row in rows.loc[order[:_MOST_NAMED]].to_dict("records"):
        ends = (row["to_twice"], row["to_twice_low"], row["to_twice_high"])
        said.append(f"{row['metric']} by {' '.join(shown(*ends, sign='+'))} {row['unit']}".strip())
    left_out = len(rows) - len(said)
    return "; ".join(said) + (f"; and {left_out} more" if left_out else "")
