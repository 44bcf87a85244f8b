"""One treatment of the queries, ready to play: scenario and profile as columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.scenario.schema.adversaries import Adversaries
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.population import Group
from poq_abm.simulation.queries.beliefs import Choice, Conduct, best_choice, named_conduct

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["Market", "People", "Ways", "needed_nodes", "open_market"]

MAX_ARRIVALS_PER_S: Final = 1e9
MS: Final = 1e-3


class Ways(NamedTuple):
    """What each :class:`~poq_abm.simulation.queries.beliefs.Conduct` does, by its number."""

    gain: NDArray[np.float64]  #: (4,) USD saved per query
    lift: NDArray[np.float64]  #: (4,) points added to every score
    fixed: NDArray[np.float64]  #: (4,) score of an answer whose truth is 0; NaN where it answers


class People(NamedTuple):
    """The inference nodes of one treatment, F in all."""

    model: NDArray[np.int64]  #: (F, 4) model that answers, by conduct
    service_s: NDArray[np.float64]  #: (F, 4) mean service time without any protocol
    cost: NDArray[np.float64]  #: (F,) normalised cost in [0, 1]
    choice: NDArray[np.int64]  #: (F, 2) a rational node's conduct, enclave intact and broken
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
    sigma: float  #: s.d. of the logarithm of a service time
    queries: int
    seed: int

    @property
    def alpha(self) -> float:
        """Weight of quality in the mechanism's inference reward."""
        return self.game.rules.alpha_inference

    @property
    def beta(self) -> float:
        """Weight of cost in it."""
        return self.game.rules.beta_inference


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
    _refuse_deviation(game)
    protocol = protocol_of(chosen)
    _refuse_shortage(protocol, game)
    demand = chosen.demand
    people = _people(game, protocol, chosen.adversaries, profile)
    shares = np.diff(np.concatenate([[0.0], game.nodes.limits.astype(np.float64)])) / 2.0**32
    busiest = float((shares * people.service_s[:, Conduct.HONEST]).max())
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
        sigma=math.sqrt(math.log1p(demand.service_cv**2)),
        queries=scenario.rounds,
        seed=scenario.seed,
    )


def _refuse_deviation(game: Game) -> None:
    for role, spec in game.population.behaviours:
        if spec["name"] != "honest":
            raise InputError(
                f"verification: an {role} group has the behaviour {spec['name']!r}; who cheats on "
                "queries is said under verification.adversaries, and evaluators are honest here"
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
        ways.gain[named_conduct(name)] = getattr(adversaries, name).gain_usd
    ways.lift[Conduct.JUDGE_HACK] = adversaries.judge_hack.lift
    ways.fixed[Conduct.CACHED] = adversaries.cached.score
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
    people.service_s[:, Conduct.CACHED] = adversaries.cached.latency_s
    for number, group in enumerate(population.groups):
        if group.role != "inference":
            continue
        members = np.flatnonzero(population.group[:count] == number)
        for conduct in (Conduct.DOWNGRADE, Conduct.JUDGE_HACK):
            people.model[members, conduct] = profile.models.index(cheap)
            people.service_s[members, conduct] = _cheap_s(
                profile, cheap, group, adversaries.downgrade.latency_share
            )
        choices = _choices(
            game, protocol, adversaries, profile, group, cheap, float(people.cost[members[0]])
        )
        for state, choice in enumerate(choices):
            people.choice[members, state] = choice.conduct
            people.chance[members, state] = choice.probability
    return people


def _choices(
    game: Game,
    protocol: VerificationProtocol,
    adversaries: Adversaries,
    profile: Profile,
    group: Group,
    cheap: str,
    cost: float,
) -> list[Choice]:
    """Return what a rational node of a group does while its enclave is intact, and broken."""
    honest = game.tables.agreed[:, profile.models.index(group.model)]
    cheaper = game.tables.agreed[:, profile.models.index(cheap)]
    cached = np.full_like(honest, adversaries.cached.score)
    hacked = np.minimum(cheaper + adversaries.judge_hack.lift, 10.0)
    return [
        best_choice(
            protocol,
            np.stack([honest, cheaper, cached, hacked]),
            broken=broken,
            can_downgrade=group.model != cheap,
            cost=cost,
            alpha=game.rules.alpha_inference,
            beta=game.rules.beta_inference,
        )
        for broken in (False, True)
    ]


def _cheap_model(profile: Profile, name: str | None) -> str:
    if name is None:
        return profile.models[int(profile.truth.mean(axis=0).argmin())]
    if name not in profile.models:
        raise InputError(
            f"verification.adversaries.downgrade.model: the profile has no model {name[:80]!r}; "
            f"{nearest(name[:80], profile.models)}"
        )
    return name


def _cheap_s(profile: Profile, model: str, group: Group, share: float | None) -> float:
    """Return the cheaper model's time: as told, or measured on the node's or other hardware."""
    if share is not None:
        return share * group.latency_ms * MS
    known = profile.hardware_of(model)
    return profile.latency_ms(model, group.hardware if group.hardware in known else known[0]) * MS
