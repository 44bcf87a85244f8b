"""The game that all nodes of a role play, as a symmetric game of a few players."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.audit.deviations import (
    ALL,
    Deviation,
    declared,
    deviating,
    groups_of,
    members_of,
)
from poq_abm.analysis.audit.gains import earned_by
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.equilibrium.mixture_payoffs import compositions, mixture_payoffs
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.search import Step, Tables, drive
from poq_abm.random import Purpose, fill_below
from poq_abm.rules.behaviour.base import BEHAVIOURS, Role, spell
from poq_abm.rules.payment.payment import Counted
from poq_abm.rules.registry import rules
from poq_abm.scenario import Scenario
from poq_abm.simulation.game import build_game
from poq_abm.simulation.population import build_population, malicious_nodes

__all__ = [
    "Payee",
    "PlayedCell",
    "ReducedGame",
    "best_deviations",
    "payees_of",
    "play_cells",
    "play_reduced_game",
    "reduced_game",
    "resampled_means",
    "split_nodes",
    "splitting",
    "without_dust",
]

Array = NDArray[np.float64]
Spec = Mapping[str, Any]

HONEST: dict[str, Any] = {"name": "honest"}
PLAYERS = 5  #: of the reduced game, where there are so many nodes
MOST_CELLS = 1_000  #: compositions times strategies
MOST_STRATEGIES = 6
_PARTS = 1_000_000  #: of a whole, to which a mix is told
_DUST = 1e-12  #: of a payoff: what sums of equal rewards differ by for their rounding alone


@dataclass(frozen=True)
class ReducedGame:
    """What a node earns by each strategy, whatever the others do, estimated by simulation."""

    scenario: Scenario
    role: Role
    strategies: tuple[str, ...]  #: ``honest`` first
    others: NDArray[np.int64]  #: (ways, strategies) the other players of the reduced game
    nodes: NDArray[np.int64]  #: (ways, strategies) the nodes that they stand for
    samples: Array  #: (replications, strategies, ways) payoffs on common keys
    per: str  #: ``job`` or ``epoch``, what tokens are counted by
    dropped: int = 0  #: replications in which the node had no job
    width: float = math.nan  #: most by which two payoffs can differ; missing where that is open

    @property
    def payoffs(self) -> Array:
        """Mean payoffs, shape (strategies, ways)."""
        return np.asarray(self.samples.mean(axis=0))

    @property
    def spread(self) -> float:
        """The largest mean payoff less the smallest; 1 where all are alike."""
        payoffs = self.payoffs
        return float(payoffs.max() - payoffs.min()) or 1.0

    def paid(self, mixes: Array) -> Array:
        """Return what each strategy earns against mixes, both of shape (points, strategies)."""
        return mixture_payoffs(self.payoffs, self.others, mixes)

    def resampled(self, count: int, seed: int = 1) -> Array:
        """Return mean payoffs of resampled replications, shape (count, strategies, ways)."""
        return resampled_means(self.samples, count, seed)


def resampled_means(samples: Array, count: int, seed: int = 1) -> Array:
    """Return means over resampled replications, the first axis of ``samples``, ``count`` times."""
    places = np.empty(len(samples), dtype=np.int64)
    found = np.empty((count, *samples.shape[1:]))
    for number in range(count):
        fill_below(places, places.size, seed, 0, int(Purpose.BOOTSTRAP), number)
        found[number] = samples[places].mean(axis=0)
    return found


class Payee(NamedTuple):
    """A node whose payoff counts, with its weight, and the others in the order they deviate."""

    node: int
    weight: float
    others: list[int]


class PlayedCell(NamedTuple):
    """What is played to learn what a node earns: what it does, and how many others do what."""

    scenario: Scenario  #: which says what all others do
    own: Spec
    others: Sequence[tuple[Spec, int]]


def split_nodes(counts: Sequence[int], nodes: int) -> list[int]:
    """Return how many nodes do what, in the proportions of the counts (largest remainders).

    >>> split_nodes([3, 1], 19)
    [14, 5]
    """
    total = sum(counts)
    whole = [nodes * count // total for count in counts]
    order = sorted(range(len(counts)), key=lambda i: (-(nodes * counts[i] % total), i))
    for place in order[: nodes - sum(whole)]:
        whole[place] += 1
    return whole


def reduced_game(
    runner: VariantRunner,
    deviations: Iterable[Spec],
    *,
    role: Role = "evaluator",
    group: str = ALL,
    players: int | None = None,
    replications: int | None = None,
) -> ReducedGame:
    """Return the game of honest nodes and deviators, all else in the scenario as it is.

    By deviation-preserving reduction: n players stand for N nodes, and the payoff of strategy i
    against counts c of the n - 1 other players is that of one node that does i while the other
    N - 1 nodes split as c does. What one node gains by deviating is therefore as it is among all N.
    Nodes of a role are alike in what they may do, not in their models: the node is the first of
    each group in turn, by the share of nodes that the group has. Who the others are that deviate
    follows from the seed, and all cells are played on the same keys.

    Parameters
    ----------
    runner
        The scenario. Nodes that its block ``malicious`` takes, or that are absent, do as they did.
    deviations
        Behaviours besides ``honest``, as ``{name: boost, b: 2.0}``.
    role, group
        Whose game, and of which group the node is; default: of all in turn.
    players
        n, 2 to N; default: 5, or N where that is less.
    replications
        Default: the scenario's.

    Source: Wellman, Greenwald and Stone (2008), and Wiedenbeck and Wellman (2012), AAMAS, 931-938.

    Raises
    ------
    InputError
        If a behaviour needs a ring, there are too few nodes or too many compositions, or the node
        had no job in nearly all replications.
    """
    last = runner.replications if replications is None else replications
    playing = play_reduced_game(runner, deviations, role, group, players=players, keys=(0, last))
    return drive(playing, runner.player)


def play_reduced_game(
    runner: VariantRunner,
    deviations: Iterable[Spec],
    role: Role,
    group: str = ALL,
    *,
    players: int | None = None,
    keys: tuple[int, int],
) -> Generator[Step, Sequence[Tables], ReducedGame]:
    """Return what :func:`reduced_game` does, on the keys of some replications, as part of a search.

    It yields one step, of all cells.
    """
    specs = {spell(spec): dict(spec) for spec in [HONEST, *deviations]}
    _check(specs, role)
    payees = payees_of(runner.scenario, role, group)
    most = len(payees[0].others) + 1
    count = min(PLAYERS, most) if players is None else players
    if not 2 <= count <= most:
        raise InputError(f"{most} {role} nodes make a game of 2 to {most} players, not {count}")
    others = compositions(count - 1, len(specs))
    if len(others) * len(specs) > MOST_CELLS:
        raise InputError(
            f"{len(specs)} strategies of {count} players are {len(others) * len(specs):,} cells, "
            f"more than {MOST_CELLS:,}: try fewer"
        )
    nodes = np.array([split_nodes(counts.tolist(), most - 1) for counts in others])
    chosen = list(specs.values())
    cells = [
        PlayedCell(runner.scenario, own, list(zip(chosen, row.tolist(), strict=True)))
        for own in chosen
        for row in nodes
    ]
    paid, per = yield from play_cells(runner, role, payees, cells, keys)
    known = np.isfinite(paid).all(axis=1)
    if known.sum() < 2:
        raise InputError(
            f"the node had a job in {known.sum()} of {known.size} replications, and two or more "
            "are needed: play more rounds or replications"
        )
    samples = without_dust(paid[known]).reshape(-1, len(specs), len(others))
    dropped = int((~known).sum())
    width = _pay_width(runner, role)
    return ReducedGame(
        runner.scenario, role, tuple(specs), others, nodes, samples, per, dropped, width
    )


def _pay_width(runner: VariantRunner, role: Role) -> float:
    """Return how wide the range of pay for a job is; missing for profits, batches, own rules."""
    game = build_game(runner.scenario, runner.plan.profile(0))
    by_batch = game.rules.counted != Counted.NOTHING
    if role == "inference":
        by_batch = game.in_play.inference_payment.by_batch
    if runner.scenario.economy is not None or by_batch or not game.in_play.all_ship:
        return math.nan
    alpha, beta = (getattr(game.rules, f"{name}_{role}") for name in ("alpha", "beta"))
    low, high = game.pay_range(role, alpha, beta)
    return high - low + runner.compute_cost


def best_deviations(
    runner: VariantRunner, *, role: Role = "evaluator", group: str = ALL, most: int = 2
) -> list[dict[str, Any]]:
    """Return the declared behaviours by which one node among honest ones earns most.

    They are chosen on keys of their own, those of the replications after the scenario's.
    """
    payees = payees_of(runner.scenario, role, group)
    known = rules(BEHAVIOURS[role])
    tried = [
        spec
        for spec in declared(runner.scenario, role).behaviours
        if not known[spec["name"]].traits.coordinates
    ]
    if not tried:
        raise InputError(f"no behaviour of {role} nodes is left to try; name one by --strategy")
    honest = [(HONEST, len(payees[0].others))]
    first = runner.replications
    cells = [PlayedCell(runner.scenario, spec, honest) for spec in tried]
    playing = play_cells(runner, role, payees, cells, (first, 2 * first))
    paid, _ = drive(playing, runner.player)
    seen = np.isfinite(paid)
    means = np.where(seen, paid, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    order = np.argsort(-means, kind="stable")[:most]
    return [dict(tried[place]) for place in order]


def without_dust(paid: Array) -> Array:
    """Return payoffs in which what differs from the first cell by rounding alone equals it."""
    dust = _DUST * float(np.abs(paid).max())
    return np.where(np.abs(paid - paid[:, :1]) <= dust, paid[:, :1], paid)


def _check(specs: Mapping[str, Spec], role: Role) -> None:
    known = rules(BEHAVIOURS[role])
    if not 2 <= len(specs) <= MOST_STRATEGIES:
        raise InputError(
            f"a game takes honest and 1 to {MOST_STRATEGIES - 1} other strategies, "
            f"got {len(specs) - 1}"
        )
    for spec in specs.values():
        kind = known.get(str(spec.get("name")))
        if kind is None:
            name = str(spec.get("name"))
            raise InputError(f"no behaviour {name!r} of {role} nodes; {nearest(name, known)}")
        if kind.traits.coordinates:
            raise InputError(
                f"{kind.name} needs a ring; it is no strategy of one node (audit it as a coalition)"
            )


def payees_of(scenario: Scenario, role: Role, group: str) -> list[Payee]:
    """Return the nodes whose payoff counts in a game of a role: of a group, or one of each."""
    known = groups_of(scenario, role)
    if group != ALL and group not in known:
        raise InputError(f"no group {group!r} of {role} nodes; {nearest(group, known)}")
    free = members_of(scenario, role, ALL, 1.0)
    # By the seed alone, as the block `malicious` would: more deviators hold the fewer.
    order = [free[place] for place in malicious_nodes(len(free), 1.0, scenario.seed)]
    sizes = {label: len(members_of(scenario, role, label, 1.0)) for label in known}
    chosen = [label for label in (known if group == ALL else [group]) if sizes[label]]
    if not chosen or len(free) < 2:
        raise InputError(f"a game needs two {role} nodes or more that are free to choose")
    whole = sum(sizes[label] for label in chosen)
    payees = []
    for label in chosen:
        (node,) = members_of(scenario, role, label, None)
        payees.append(Payee(node, sizes[label] / whole, [one for one in order if one != node]))
    return payees


def play_cells(
    runner: VariantRunner,
    role: Role,
    payees: Sequence[Payee],
    cells: Sequence[PlayedCell],
    keys: tuple[int, int],
) -> Generator[Step, Sequence[Tables], tuple[Array, str]]:
    """Return what a node earns in every cell, shape (replications, cells), and per what."""
    variants = {
        f"{payee.node}.{number}": _doing(cell.scenario, role, payee, cell.own, cell.others)
        for payee in payees
        for number, cell in enumerate(cells)
    }
    step = Step(list(variants.values()), *keys)
    played = dict(zip(variants, runner.read(step, (yield step)), strict=True))
    population = build_population(runner.scenario, runner.plan.profile(0))
    first = 0 if role == "inference" else population.inference_count
    paid = np.zeros((keys[1] - keys[0], len(cells)))
    for payee in payees:
        node = np.array([first + payee.node])
        for number in range(len(cells)):
            paid[:, number] += payee.weight * earned_by(played[f"{payee.node}.{number}"], node)
    return paid, next(iter(played.values())).per


def splitting(
    scenario: Scenario, role: Role, group: str, own: Spec, mix: Sequence[tuple[Spec, float]]
) -> Scenario:
    """Return the scenario in which a node does ``own`` and the others of its role split as a mix.

    The node is the first of the group; shares of the others are brought to whole nodes by largest
    remainders.
    """
    (payee,) = payees_of(scenario, role, group)
    counts = split_nodes([round(share * _PARTS) for _, share in mix], len(payee.others))
    others = [(spec, count) for (spec, _), count in zip(mix, counts, strict=True)]
    return _doing(scenario, role, payee, own, others)


def _doing(
    scenario: Scenario, role: Role, payee: Payee, own: Spec, others: Sequence[tuple[Spec, int]]
) -> Scenario:
    """Return the scenario of one cell; the last strategies are given out first."""
    members: list[tuple[Spec, list[int]]] = [(own, [payee.node])]
    at = 0
    for spec, count in reversed(others):
        members.append((spec, payee.others[at : at + count]))
        at += count
    together: dict[str, tuple[Spec, list[int]]] = {}
    for spec, nodes in members:
        together.setdefault(spell(spec), (spec, []))[1].extend(nodes)
    for spec, nodes in together.values():
        scenario = deviating(scenario, Deviation(role, ALL, tuple(sorted(nodes)), dict(spec)))
    return scenario
