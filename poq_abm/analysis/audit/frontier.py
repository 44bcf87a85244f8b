"""What an attack achieves and what it costs those who attack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from poq_abm.analysis.audit.bench import Bench, Played
from poq_abm.analysis.audit.deviations import ALL, Deviation, deviating, members_of
from poq_abm.analysis.audit.gains import earned_by, places
from poq_abm.analysis.paired import paired
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.rules.behaviour.base import Role, spell
from poq_abm.scenario import Scenario
from poq_abm.simulation.population import Population, build_population

__all__ = ["COSTS", "PHASES", "SHARES", "attack_frontier", "attack_phases"]

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
#: what an attack is to those who attack
PHASES = ("pays", "undecided", "costs")
#: columns of what an attack costs, by what gains are counted per
COSTS = {"job": "cost_per_round", "epoch": "cost_per_epoch"}


def attack_frontier(
    bench: Bench,
    behaviours: Iterable[Mapping[str, Any]],
    *,
    shares: Sequence[float] = SHARES,
    role: Role = "evaluator",
    replications: int | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return how far coalitions of growing size move the consensus, and what they pay for it.

    A coalition holds floor(share x nodes) nodes of the role, those of a smaller share among those
    of a larger one. Shares that give nobody are left out, and the same number is played once.
    Replications default to the scenario's.

    Returns
    -------
    DataFrame
        One row per behaviour and share: ``behaviour``, ``share``, ``members``, ``replications``;
        ``drift``, mean consensus less the background's (points of 10), with ``drift_low``,
        ``drift_high``; ``gain`` per job of a member with ``gain_low``, ``gain_high``;
        ``cost_per_round``, tokens per round that the coalition gives up (below 0: it earns); in an
        economy ``cost_per_epoch``, in profit, as are gains;
        ``efficient``: whether no other attack in the table moves the consensus at least as far, in
        either direction, at a lower cost, or further at the same. Intervals are paired Student
        intervals, each by itself; ``efficient`` compares the estimates.

    Raises
    ------
    InputError
        If no share gives a coalition.
    """
    attacks = [
        deviation
        for behaviour in behaviours
        for deviation in _coalitions(bench.scenario, dict(behaviour), shares, role)
    ]
    if not attacks:
        raise InputError("no share in the list gives a coalition of even one node")
    variants = {f"a{i}": deviating(bench.scenario, attack) for i, attack in enumerate(attacks)}
    count = bench.replications if replications is None else replications
    played = bench.play({"base": bench.scenario, **variants}, 0, count)
    population = build_population(bench.scenario, bench.plan.profile(0))
    base = played.pop("base")
    total = population.role_is(role).sum()
    rows = [
        {"behaviour": spell(attack.behaviour), "share": len(attack.members) / total,
         **_effect(attack, base, one, population, confidence)}
        for attack, one in zip(attacks, played.values(), strict=True)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return table.assign(efficient=_efficient(table))


def attack_phases(
    bench: Bench,
    behaviour: Mapping[str, Any],
    field: str,
    values: Sequence[Any],
    *,
    shares: Sequence[float] = SHARES,
    role: Role = "evaluator",
    replications: int | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return whether an attack pays, by its share and by the value of a field.

    Columns: ``field`` (its path), ``value``, then those of :func:`attack_frontier` without
    ``efficient``, and ``phase``: ``pays`` or ``costs`` where the interval of the gain excludes
    zero, else ``undecided``. Each interval holds by itself.
    """
    parts = []
    for value in values:
        here = Bench.of(
            bench.scenario.replace({field: value}),
            n_jobs=bench.workers.count,
            progress=bench.progress,
        )
        table = attack_frontier(
            here,
            [behaviour],
            shares=shares,
            role=role,
            replications=replications,
            confidence=confidence,
        )
        phase = np.select(
            [table["gain_low"] > 0.0, table["gain_high"] < 0.0], ["pays", "costs"], "undecided"
        )
        table = table.drop(columns="efficient").assign(phase=phase)
        table.insert(0, "value", [value] * len(table))
        table.insert(0, "field", field)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _coalitions(
    scenario: Scenario, behaviour: dict[str, Any], shares: Sequence[float], role: Role
) -> list[Deviation]:
    least = 2 if behaviour["name"] == "collude" else 1
    teams = {members_of(scenario, role, ALL, share) for share in shares}
    return [
        Deviation(role, ALL, members, behaviour)
        for members in sorted(teams, key=len)
        if len(members) >= least
    ]


def _effect(
    attack: Deviation, base: Played, played: Played, population: Population, confidence: float
) -> dict[str, Any]:
    nodes = places(population, attack)
    drift = paired(base.consensus, played.consensus, confidence)
    gain = paired(earned_by(base, nodes), earned_by(played, nodes), confidence)
    moved = (played.rewards[:, nodes] - base.rewards[:, nodes]).sum(axis=1)
    return {
        "members": len(attack.members),
        "replications": drift.replications,
        "drift": drift.difference,
        "drift_low": drift.low,
        "drift_high": drift.high,
        "gain": gain.difference,
        "gain_low": gain.low,
        "gain_high": gain.high,
        COSTS[played.per]: 0.0 - float(moved.mean()) / played.rounds,
    }


def _efficient(table: pd.DataFrame) -> list[bool]:
    (name,) = (name for name in COSTS.values() if name in table)
    far, cost = table["drift"].abs().to_numpy(), table[name].to_numpy()
    return [
        not bool(np.any((far >= f) & (cost <= c) & ((far > f) | (cost < c))))
        for f, c in zip(far, cost, strict=True)
    ]
