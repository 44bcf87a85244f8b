"""One treatment of the queries, ready to play: scenario and profile as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.scenario.schema.verification_conditions import Adversaries
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.population import NodeGroup
from poq_abm.simulation.queries.beliefs import Action, Choice, best_choice, named_action
from poq_abm.simulation.queue import ServiceTime, lognormal
from poq_abm.simulation.round_steps import NO_TASK, inference_points

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import InferenceGroup, Scenario

__all__ = ["Market", "People", "Ways", "market_findings", "needed_nodes", "open_market"]

MAX_ARRIVALS_PER_S: Final = 1e9
MS: Final = 1e-3


class Ways(NamedTuple):
    """What each :class:`~poq_abm.simulation.queries.beliefs.Action` does, by its number."""

    gain: NDArray[np.float64]  #: (4,) USD saved per query
    lift: NDArray[np.float64]  #: (4,) points added to every score
    fixed: NDArray[np.float64]  #: (4,) score of an answer whose truth is 0; NaN where it answers


class People(NamedTuple):
    """The inference nodes of one treatment, F in all."""

    model: NDArray[np.int64]  #: (F, 4) model that answers, by action
    service_s: NDArray[np.float64]  #: (F, 4) mean service time without any protocol
    cost: NDArray[np.float64]  #: (F,) normalised cost in [0, 1]
    choice: NDArray[np.int64]  #: (F, 2) a rational node's action, enclave intact and broken
    chance: NDArray[np.float64]  #: (F, 2) and the chance that it cheats
    scoring_s: NDArray[np.float64]  #: (M,) an evaluator's time per answer


@dataclass(frozen=True)
class Market:
    """Everything that queries need besides their key; shared by all replications."""

    game: Game  #: tables, evaluators and mechanism, as the rounds use them
    verification: Verification
    protocol: VerificationProtocol
    people: People
    ways: Ways
    arrivals_per_s: float
    law: ServiceTime
    queries: int
    seed: int
    scenario: Scenario


def open_market(
    scenario: Scenario, profile: Profile, verification: Verification | None = None
) -> Market:
    """Return the market that a scenario describes on a profile; its `rounds` are the queries.

    ``verification`` replaces the scenario's own section. The scenario must have no sweep. Raises
    :class:`~poq_abm.errors.InputError` where nodes deviate in the population as well, a protocol
    needs more nodes than there are, or a model is unknown.

    >>> from poq_abm.profile import load_profile
    >>> from poq_abm.scenario import load
    >>> market = open_market(load("cost_aware_poq"), load_profile("published"), Verification())
    >>> market.people.model.shape, round(market.arrivals_per_s, 2)
    ((5, 4), 1.45)
    """
    chosen = verification or getattr(scenario, "verification", None) or Verification()
    game = build_game(scenario, profile)
    protocol = protocol_of(chosen)
    _refuse_deviation(game)
    _refuse_shortage(protocol, game)
    demand = chosen.demand
    people = _people(game, protocol, chosen.adversaries, profile)
    shares = np.diff(np.concatenate([[0.0], game.nodes.limits.astype(np.float64)])) / 2.0**32
    busiest = float((shares * people.service_s[:, Action.HONEST]).max())
    rate = demand.arrivals_per_s or demand.load / busiest
    if not rate <= MAX_ARRIVALS_PER_S:
        raise InputError(f"{rate:g} arrivals per second; at most {MAX_ARRIVALS_PER_S:g}")
    return Market(
        game=game,
        verification=chosen,
        protocol=protocol,
        people=people,
        ways=_ways(chosen),
        arrivals_per_s=float(rate),
        law=lognormal(demand.service_cv),
        queries=scenario.rounds,
        seed=scenario.seed,
        scenario=scenario,
    )


def _refuse_deviation(game: Game) -> None:
    for role, spec in game.population.behaviours:
        if role == "inference" and spec["name"] != "honest":
            raise InputError(
                f"verification: an inference group has the behaviour {spec['name']!r}; who cheats "
                "on queries is said under verification.adversaries"
            )


def needed_nodes(protocol: VerificationProtocol) -> int:
    """Return how many inference nodes a protocol cannot do without.

    >>> needed_nodes(protocol_of(Verification(protocol="redundancy")))
    2
    """
    return max(protocol.terms.providers, 2 if protocol.terms.sample_rate > 0 else 1)


def _refuse_shortage(protocol: VerificationProtocol, game: Game) -> None:
    nodes, needed = game.population.inference_count, needed_nodes(protocol)
    if nodes < needed:
        raise InputError(
            f"verification.protocol {protocol.name!r} needs {needed} inference nodes, got {nodes}"
        )


def _ways(verification: Verification) -> Ways:
    adversaries = verification.adversaries
    ways = Ways(np.zeros(4), np.zeros(4), np.full(4, np.nan))
    for name in ("downgrade", "cached", "judge_hack"):
        ways.gain[named_action(name)] = getattr(adversaries, name).gain_usd
    ways.lift[Action.JUDGE_HACK] = adversaries.judge_hack.lift
    ways.fixed[Action.CACHED] = adversaries.cached.score
    return ways


def _people(
    game: Game, protocol: VerificationProtocol, adversaries: Adversaries, profile: Profile
) -> People:
    population = game.population
    cheap = _cheap_model(profile, adversaries.downgrade.model)
    count = population.inference_count
    people = People(
        model=np.repeat(game.nodes.model[:, None], 4, axis=1),
        service_s=np.repeat(population.latency_ms[:count, None] * MS, 4, axis=1),
        cost=game.nodes.inference_cost,
        choice=np.zeros((count, 2), np.int64),
        chance=np.zeros((count, 2)),
        scoring_s=population.latency_ms[count:] * MS,
    )
    people.service_s[:, Action.CACHED] = adversaries.cached.latency_s
    for number, group in enumerate(population.groups):
        if group.role != "inference":
            continue
        members = np.flatnonzero(population.group[:count] == number)
        for action in (Action.DOWNGRADE, Action.JUDGE_HACK):
            people.model[members, action] = profile.models.index(cheap)
            people.service_s[members, action] = _cheap_s(
                profile, cheap, group, adversaries.downgrade.latency_share
            )
        choices = _choices(
            game, protocol, adversaries, profile, group, cheap, float(people.cost[members[0]])
        )
        for state, choice in enumerate(choices):
            people.choice[members, state] = choice.action
            people.chance[members, state] = choice.probability
    return people


def _choices(
    game: Game,
    protocol: VerificationProtocol,
    adversaries: Adversaries,
    profile: Profile,
    group: NodeGroup,
    cheap: str,
    cost: float,
) -> list[Choice]:
    """Return what a rational node of a group does while its enclave is intact, and broken."""
    honest = game.tables.agreed[:, profile.models.index(group.model)]
    cheaper = game.tables.agreed[:, profile.models.index(cheap)]
    cached = np.full_like(honest, adversaries.cached.score)
    hacked = np.minimum(cheaper + adversaries.judge_hack.lift, 10.0)
    scores = np.stack([honest, cheaper, cached, hacked])
    points = _points(game, scores, cost) if protocol.terms.committee else None
    return [
        best_choice(
            protocol,
            scores,
            broken=broken,
            can_downgrade=group.model != cheap,
            points=points,
        )
        for broken in (False, True)
    ]


def _points(game: Game, scores: NDArray[np.float64], cost: float) -> NDArray[np.float64]:
    """Return what a node would earn by the mechanism's reward, shape (4, records)."""
    tables = game.tables
    tasks = np.full(scores.shape[1], NO_TASK)
    for task, first in enumerate(tables.task_first):
        tasks[first : first + tables.task_size[task]] = task
    return np.array(
        [
            [
                inference_points(game.rules, task, score, cost, game.kernels)
                for task, score in zip(tasks, row, strict=True)
            ]
            for row in scores
        ]
    )


def _cheap_model(profile: Profile, name: str | None) -> str:
    if name is None:  # the one worth least, by what is known
        worth = profile.truth if profile.knows_truth else profile.agreed
        return profile.models[int(worth.mean(axis=0).argmin())]
    if name not in profile.models:
        raise InputError(
            f"verification.adversaries.downgrade.model: the profile has no model {name[:80]!r}; "
            f"{nearest(name[:80], profile.models)}"
        )
    return name


def _cheap_s(profile: Profile, model: str, group: NodeGroup, share: float | None) -> float:
    """Return the cheaper model's time: as told, or measured on the node's or other hardware."""
    if share is not None:
        return share * group.latency_ms * MS
    known = profile.hardware_of(model)
    return profile.latency_ms(model, group.hardware if group.hardware in known else known[0]) * MS


ELSEWHERE = "queries are answered by the nodes that verification.adversaries describes"


def market_findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
    """Yield what keeps a scenario without a sweep from being played query by query.

    >>> from poq_abm.profile import load_profile
    >>> from poq_abm.scenario import load
    >>> settings = ["verification.protocol=otr", "population.inference.0.behaviour=freeload"]
    >>> found = market_findings(load("cost_aware_poq", settings), load_profile("published"))
    >>> [path for path, _ in found]
    [('population', 'inference', 0, 'behaviour')]
    """
    verification = scenario.verification
    if verification is None:
        return
    if scenario.economy is not None:
        yield ("economy",), "a scenario has an economy or a verification, not both"
    protocol = protocol_of(verification)
    yield from _deviations(scenario.population.inference)
    nodes = sum(group.count for group in scenario.population.inference)
    if nodes < (needed := needed_nodes(protocol)):
        said = f"{protocol.name!r} needs {needed} inference nodes, got {nodes}"
        yield ("verification", "protocol"), said
    model = verification.adversaries.downgrade.model
    if model is not None and model not in profile.models:
        path: KeyPath = ("verification", "adversaries", "downgrade", "model")
        hint = nearest(model[:80], profile.models)
        yield path, f"the profile has no model {shown(model)}; {hint}"


def _deviations(groups: Sequence[InferenceGroup]) -> Iterator[Finding]:
    """Yield behaviours that nobody would play: who cheats is said in one place."""
    for number, group in enumerate(groups):
        name = group.behaviour["name"]
        if name != "honest":
            path: KeyPath = ("population", "inference", number, "behaviour")
            yield path, f"{name!r} has no part in a verification: {ELSEWHERE}"
