"""The empirical game: what each behaviour earns when the others do something else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.audit.deviations import ALL, Deviation, deviating, members_of
from poq_abm.analysis.audit.gains import earned_by
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import mean_interval
from poq_abm.rules.behaviour.base import BEHAVIOURS, Role, spell
from poq_abm.rules.registry import rules
from poq_abm.scenario import Scenario
from poq_abm.simulation.population import build_population, malicious_nodes

__all__ = ["EmpiricalGame", "empirical_game"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EmpiricalGame:
    """One node against the field: payoffs estimated by simulation, with standard errors.

    Attributes
    ----------
    behaviours
        The strategies, in the order of rows and columns.
    table
        ``behaviour`` of the node, ``others`` (what a share of the others does), ``share`` of the
        others that does it (the rest do as the node does), ``payoff`` (tokens per job, or in
        an economy of profit per epoch), ``standard_error`` (NaN for one replication),
        ``replications``.
    """

    behaviours: tuple[str, ...]
    table: pd.DataFrame

    def payoffs(self, column: str = "payoff") -> Array:
        """Return the matrix of payoffs (or ``standard_error``) where all others do alike.

        Entry (i, j) is what a node earns that does i while all others of its role do j.
        """
        whole = self.table[self.table["share"] == 1.0]
        wide = whole.pivot_table(index="behaviour", columns="others", values=column, dropna=False)
        order = list(self.behaviours)
        matrix: Array = wide.reindex(index=order, columns=order).to_numpy(dtype=np.float64)
        return matrix

    def to_nashpy(self) -> tuple[Array, Array]:
        """Return the payoff matrices of row and column player: ``nashpy.Game(*matrices)``.

        The game is symmetric, so the second is the first transposed. A symmetric equilibrium of it
        is a behaviour (or a mix) from which no single node gains by departing.
        """
        payoffs = self.payoffs()
        return payoffs, np.ascontiguousarray(payoffs.T)

    def to_egttools(self) -> Array:
        """Return the payoff matrix of an evolutionary game, as EGTTools takes it.

        Entry (i, j) is the payoff of strategy i against j, float64 in C order, of shape
        (strategies, strategies): the second argument of ``Matrix2PlayerGameHolder(n, payoffs)``.
        """
        return np.ascontiguousarray(self.payoffs())


def empirical_game(
    runner: VariantRunner,
    behaviours: Iterable[Mapping[str, Any]],
    *,
    role: Role = "evaluator",
    group: str = ALL,
    shares: Sequence[float] = (1.0,),
    replications: int | None = None,
) -> EmpiricalGame:
    """Return the game among behaviours of one role, the rest of the scenario held fixed.

    The node whose payoff counts is the first of ``group`` (default: of the role). For every two
    behaviours i and j and every share s, it does i, floor(s x others) of the others do j and the
    rest do i. All entries are of the same node under the same keys.

    Parameters
    ----------
    runner
        The scenario.
    behaviours
        The strategies; ``honest`` is one like the others.
    role, group
        Whose game, and of which group the node is.
    shares
        Population shares, in (0, 1]; 1 fills the matrix and is always played.
    replications
        Independent repetitions; default: the scenario's.

    Raises
    ------
    InputError
        If a behaviour is unknown or needs a ring, there are fewer than two nodes, or a share is out
        of range.
    """
    specs = {spell(spec): dict(spec) for spec in behaviours}
    _check(specs, role, shares)
    (focal,) = members_of(runner.scenario, role, group, None) or (None,)
    free = [node for node in members_of(runner.scenario, role, ALL, 1.0) if node != focal]
    if focal is None or not free:
        raise InputError(f"a game needs two {role} nodes or more")
    # By the seed alone, as the block `malicious` would: a larger share adds to a smaller one.
    order = [free[place] for place in malicious_nodes(len(free), 1.0, runner.scenario.seed)]
    cells: dict[tuple[str, str, float], Scenario] = {}
    for (i, own), (j, other) in itertools.product(specs.items(), repeat=2):
        for share in sorted({1.0, *shares}) if i != j else [1.0]:
            cells[i, j, share] = _played_by(runner.scenario, role, focal, order, own, other, share)
    names = {f"g{number}": key for number, key in enumerate(cells)}
    count = runner.replications if replications is None else replications
    played = runner.play({name: cells[key] for name, key in names.items()}, 0, count)
    population = build_population(runner.scenario, runner.plan.profile(0))
    node = np.array([focal + (0 if role == "inference" else population.inference_count)])
    rows = []
    for name, (mine, others, share) in names.items():
        pay = earned_by(played[name], node)
        pay = pay[np.isfinite(pay)]
        mean, sd, _, _ = mean_interval(pay) if pay.size else (math.nan,) * 4
        error = sd / math.sqrt(pay.size) if pay.size else math.nan
        rows.append((mine, others, share, mean, error, pay.size))
    columns = ["behaviour", "others", "share", "payoff", "standard_error", "replications"]
    return EmpiricalGame(tuple(specs), pd.DataFrame(rows, columns=columns))


def _check(specs: Mapping[str, Mapping[str, Any]], role: Role, shares: Sequence[float]) -> None:
    known = rules(BEHAVIOURS[role])
    if len(specs) < 2:
        raise InputError("a game needs two behaviours or more")
    for spec in specs.values():
        kind = known.get(str(spec.get("name")))
        if kind is not None and kind.traits.coordinates:
            raise InputError(
                f"{kind.name} needs a ring; it is no strategy of one node (audit it as a coalition)"
            )
    if not all(0.0 < share <= 1.0 for share in shares):
        raise InputError(f"shares must lie in (0, 1], got {', '.join(f'{s:g}' for s in shares)}")


def _played_by(
    scenario: Scenario,
    role: Role,
    focal: int,
    order: Sequence[int],
    own: dict[str, Any],
    others: dict[str, Any],
    share: float,
) -> Scenario:
    """Return the scenario of one cell of the game."""
    count = math.floor(share * len(order) + 1e-9)
    alike = (focal, *order[count:])
    scenario = deviating(scenario, Deviation(role, ALL, tuple(sorted(alike)), own))
    return deviating(scenario, Deviation(role, ALL, tuple(sorted(order[:count])), others))
