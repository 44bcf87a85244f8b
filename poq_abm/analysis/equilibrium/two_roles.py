"""The game between roles: what evaluators and inference nodes settle on together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.audit.deviations import ALL, ROLES, Deviation, deviating, members_of
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.equilibrium.logit_path import logit_path
from poq_abm.analysis.equilibrium.reduced_game import (
    HONEST,
    PlayedCell,
    payees_of,
    play_cells,
    resampled_means,
    without_dust,
)
from poq_abm.analysis.equilibrium.solution import PRECISIONS, RESAMPLES, bootstrap_ends
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.experiment.search import drive
from poq_abm.rules.behaviour.base import BEHAVIOURS, Role, spell
from poq_abm.rules.registry import rules
from poq_abm.scenario import Scenario

__all__ = ["TwoRoleGame", "two_role_game"]

Array = NDArray[np.float64]
Spec = Mapping[str, Any]

_MOST = 5  #: strategies of a role
_USED = 0.0005  # share of a strategy that is worth a word


@dataclass(frozen=True)
class TwoRoleGame:
    """What a node of each role earns by each strategy, as all of its role and of the other do one.

    Two players stand for the nodes of the own role and one for those of the other, by
    deviation-preserving reduction: entry (i, j, k) of a role's payoffs is what *one* node earns
    that does i while all others of its role do j and all of the other role do k. Roles come in
    the order inference, evaluator.
    """

    scenario: Scenario
    strategies: tuple[tuple[str, ...], tuple[str, ...]]  #: of each role, ``honest`` first
    #: of each role, payoffs on common keys, shape (replications, own, own role, other role)
    samples: tuple[Array, Array]
    per: str  #: ``job`` or ``epoch``, what tokens are counted by

    @property
    def replications(self) -> int:
        """Replications, all on common keys."""
        return len(self.samples[0])

    def paid(self, shares: Array) -> Array:
        """Return what every strategy earns against shares of both roles' strategies, in a row.

        Others draw what they do by chance, each for itself: what :func:`.logit_path` takes.
        """
        count = len(self.strategies[0])
        mixes = shares[:count], shares[count:]
        found = []
        for role, samples in enumerate(self.samples):
            chances = mixes[role][:, None] * mixes[1 - role][None, :]
            found.append((samples.mean(axis=0) * chances).sum(axis=(1, 2)))
        return np.concatenate(found)

    @property
    def payoffs(self) -> pd.DataFrame:
        """Every entry with its interval."""
        rows = []
        for role, samples in enumerate(self.samples):
            own, other = self.strategies[role], self.strategies[1 - role]
            for i, j, k in np.ndindex(samples.shape[1:]):
                mean, _, low, high = mean_interval(samples[:, i, j, k])
                rows.append((ROLES[role], own[i], own[j], other[k], mean, low, high))
        columns = ["role", "strategy", "its_role", "other_role", "payoff", "low", "high"]
        return pd.DataFrame(rows, columns=columns)

    def profiles(self, confidence: float = CONFIDENCE) -> pd.DataFrame:
        """Return every pair of what all nodes of each role do, with what leaving it gains in each.

        ``inference_regret`` and ``evaluator_regret``, each with its interval (bootstrap over
        replications) and the ``best`` strategy there; ``equilibrium`` where both are 0.
        """
        again = [resampled_means(samples, RESAMPLES) for samples in self.samples]
        rows = []
        for pair in np.ndindex(*(len(names) for names in self.strategies)):
            row: dict[str, Any] = {
                name: self.strategies[role][pair[role]] for role, name in enumerate(ROLES)
            }
            for role, name in enumerate(ROLES):
                at = (slice(None), slice(None), pair[role], pair[1 - role])
                paid = self.samples[role][at].mean(axis=0)
                regrets = again[role][at].max(axis=1) - again[role][at][:, pair[role]]
                low, high = bootstrap_ends(regrets, self.replications, confidence)
                row |= {
                    f"{name}_regret": float(paid.max() - paid[pair[role]]),
                    f"{name}_low": float(low),
                    f"{name}_high": float(high),
                    f"{name}_best": self.strategies[role][int(paid.argmax())],
                }
            row["equilibrium"] = row["inference_regret"] == row["evaluator_regret"] == 0.0
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def path(self) -> pd.DataFrame:
        """Logit equilibria, from chance to best responses; columns ``role: strategy``.

        Where it ends, as lambda grows, is a Nash equilibrium, mixed or not.
        """
        spread = max(float(np.ptp(samples.mean(axis=0))) for samples in self.samples) or 1.0
        sizes = [len(names) for names in self.strategies]
        shares = logit_path(lambda x: self.paid(x) / spread, sizes, PRECISIONS)
        table = pd.DataFrame(shares, columns=[f"{role}: {name}" for role, name in self._named])
        table.insert(0, "lambda", np.array(PRECISIONS) / spread)
        return table

    @property
    def _named(self) -> list[tuple[str, str]]:
        return [
            (role, name) for role, some in zip(ROLES, self.strategies, strict=True) for name in some
        ]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        return {"profiles": self.profiles(), "payoffs": self.payoffs, "path": self.path}

    @property
    def sentences(self) -> list[str]:
        """What it comes to, in words."""
        table = self.profiles()
        said = []
        for row in table.to_dict("records"):
            named = f"Inference nodes that play {row['inference']} with evaluators that play "
            named += str(row["evaluator"])
            gains = [
                f"an {name} node that leaves for {row[f'{name}_best']} gains "
                f"{row[f'{name}_regret']:.4f} [{row[f'{name}_low']:.4f}, {row[f'{name}_high']:.4f}]"
                for name in ROLES
                if row[f"{name}_regret"] > 0.0
            ]
            sure = all(row[f"{name}_high"] == 0.0 for name in ROLES)
            if row["equilibrium"]:
                said.append(f"{named} are an equilibrium{'' if sure else ', by the mean payoffs'}.")
            elif row["inference"] == row["evaluator"] == "honest":
                said.append(f"All honest is no equilibrium: {' and '.join(gains)}.")
        end = self.path.iloc[-1]
        used = [
            f"{share:.0%} {name} of {role} nodes"
            for (role, name), share in zip(self._named, end.iloc[1:], strict=True)
            if share > _USED
        ]
        said.append(f"Choice by payoff with less and less noise comes to {', '.join(used)}.")
        said.append(
            f"Payoffs are in tokens per {self.per}, of one node as all others of its role do one "
            f"thing and all of the other role one; {self.replications} replications on common "
            "keys, intervals by bootstrap."
        )
        return said


def two_role_game(
    runner: VariantRunner,
    deviations: Mapping[Role, Iterable[Spec]],
    *,
    replications: int | None = None,
) -> TwoRoleGame:
    """Return the game between inference nodes and evaluators, each honest or as ``deviations``.

    The node whose payoff counts is the first of each group of its role in turn, by the share of
    nodes that the group has.

    Raises
    ------
    InputError
        If a role has no strategy besides honesty or too many, a behaviour is unknown or needs a
        ring, or a node had no job in nearly all replications.
    """
    specs = {role: _specs(role, deviations.get(role, ())) for role in ROLES}
    everyone = {role: members_of(runner.scenario, role, ALL, 1.0) for role in ROLES}
    last = runner.replications if replications is None else replications
    found, per = [], ""
    for role in ROLES:
        (other,) = (one for one in ROLES if one != role)
        payees = payees_of(runner.scenario, role, ALL)
        around = [
            deviating(runner.scenario, Deviation(other, ALL, everyone[other], dict(spec)))
            for spec in specs[other]
        ]
        own = specs[role]
        cells = [
            PlayedCell(scenario, doing, [(others, len(payees[0].others))])
            for doing in own
            for others in own
            for scenario in around
        ]
        paid, per = drive(play_cells(runner, role, payees, cells, (0, last)), runner.player)
        found.append((paid, (len(own), len(own), len(around))))
    known = np.isfinite(np.concatenate([paid for paid, _ in found], axis=1)).all(axis=1)
    if known.sum() < 2:
        raise InputError(
            f"the nodes had jobs in {known.sum()} of {last} replications, and two or more are "
            "needed: play more rounds or replications"
        )
    first, second = (without_dust(paid[known]).reshape(-1, *shape) for paid, shape in found)
    names = [tuple(spell(spec) for spec in specs[role]) for role in ROLES]
    return TwoRoleGame(runner.scenario, (names[0], names[1]), (first, second), per)


def _specs(role: Role, deviations: Iterable[Spec]) -> list[Spec]:
    """Return the strategies of a role, honesty first."""
    known = rules(BEHAVIOURS[role])
    found = {spell(spec): spec for spec in [HONEST, *deviations]}
    for spec in found.values():
        name = str(spec.get("name"))
        if name not in known:
            raise InputError(f"no behaviour {name!r} of {role} nodes; {nearest(name, known)}")
        if known[name].traits.coordinates:
            raise InputError(f"{name} needs a ring; it is no strategy of one node")
    if not 2 <= len(found) <= _MOST:
        raise InputError(
            f"a game between roles takes honest and 1 to {_MOST - 1} other strategies of each; "
            f"{role} nodes have {len(found) - 1}"
        )
    return list(found.values())
