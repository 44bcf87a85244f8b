"""One treatment, ready to play: the scenario and the profile turned into columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.errors import InputError
from poq_abm.random import Purpose, uniform
from poq_abm.rules.aggregation import WeighsBy
from poq_abm.rules.behaviour.base import Behaviour
from poq_abm.rules.compiled import Kernels, RulesInPlay, number_of
from poq_abm.rules.payment import Counted, MeasuredFrom, cut_points
from poq_abm.rules.payment.formulas import SCORE_SCALE, evaluator_reward, inference_reward
from poq_abm.rules.schedule.drawing import thresholds
from poq_abm.simulation.arrays import ActiveBehaviours, Conduct, GameArrays, Nodes, Rules, Tables
from poq_abm.simulation.ledger import MID_SCALE
from poq_abm.simulation.population import (
    NodePopulation,
    Populations,
    find_active,
    plugins,
)

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["Game", "build_game", "refuse_consensus", "refuse_report"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Game:
    """Everything a round needs besides its key; shared by all replications of a treatment."""

    rules: Rules
    tables: Tables
    nodes: Nodes
    conduct: Conduct
    population: NodePopulation
    in_play: RulesInPlay
    tasks: tuple[str, ...]  #: the tasks in play
    records: tuple[str, ...]  #: all records of the profile
    #: whether everybody is honest and deterministic and nobody's weight matters: the quick loop
    plain: bool
    #: users' own behaviours in play, in the places of ``population.behaviours``
    plugins: tuple[Behaviour | None, ...] = ()

    @cached_property
    def arrays(self) -> GameArrays:
        """The game as compiled functions take it."""
        return GameArrays(self.rules, self.tables, self.nodes, self.conduct)

    @cached_property
    def active(self) -> ActiveBehaviours | None:
        """What evaluators do besides playing honestly; None for the quick loop of a plain game."""
        return None if self.plain else find_active(self.conduct)

    @property
    def needs_agents(self) -> bool:
        """Whether a behaviour in plain Python keeps the compiled engine from playing."""
        own = [plugin for plugin in self.plugins if plugin is not None]
        return len(own) > 1 or any(not plugin.is_compiled() for plugin in own)

    @cached_property
    def kernels(self) -> Kernels | None:
        """The kernels that the compiled engine is to call, if anything in play is one's own."""
        own = [plugin for plugin in self.plugins if plugin is not None]
        return self.in_play.kernels(own[0].report if own and not self.needs_agents else None)

    def pay_range(self, role: str, alpha: float, beta: float) -> tuple[float, float]:
        """Return the least and the most that an answer or a score is paid at these coefficients."""
        return pay_range(
            self.in_play,
            self.rules.inference_parameters,
            role,
            alpha,
            beta,
            dearest=dearest(self.population),
            auctioned=self.rules.sets_pay,
        )


def dearest(population: NodePopulation) -> float:
    """Return the most that a cost is charged as: 1, unless a node's effort is above its model's."""
    return float(population.reported_cost.max(initial=1.0))


def pay_range(
    in_play: RulesInPlay,
    parameters: NDArray[np.float64],
    role: str,
    alpha: float,
    beta: float,
    *,
    dearest: float = 1.0,
    auctioned: bool = False,
) -> tuple[float, float]:
    """Return the least and the most that a role is paid for a job, in points.

    ``parameters`` are those of inference payment, a row a task; ``dearest`` is the highest cost. A
    rule that pays an evaluator for anything but closeness may pay more or less. ``auctioned``
    answers are paid by the second score.
    """
    if role == "evaluator":
        return -beta, alpha
    if auctioned:
        return -beta * dearest, alpha + beta
    rule = in_play.inference_payment
    kernel = rule.compiled()
    at_ends = [
        kernel(consensus, cost, alpha, beta, *rule.arguments(row))
        for row in parameters[:-1]
        for consensus in rule.telling_scores(row)
        for cost in (0.0, 1.0, dearest)
    ]
    return min(-beta * dearest, *at_ends), max(at_ends)


def refuse_report(game: Game, round_: int, member: int, score: float, made: str = "") -> None:
    """Raise the error of an evaluator that reported what is no score.

    ``member`` counts evaluators from 0; ``made`` names the class of a node that a user made.
    """
    population = game.population
    node = population.inference_count + member
    _, spec = population.behaviours[population.behaviour[node]]
    doing = " ".join(filter(None, [made, str(spec["name"])]))
    raise InputError(
        f"round {round_}: evaluator node {node} ({doing}) reported {score}; a score lies in [0, 10]"
    )


def refuse_consensus(game: Game, round_: int, consensus: float) -> None:
    """Raise the error of an aggregation rule of somebody's own that gave what is no score."""
    if not 0.0 <= consensus <= SCORE_SCALE:  # NaN fails this too
        raise InputError(
            f"round {round_}: the aggregation rule {game.in_play.aggregation.name} gave a "
            f"consensus of {consensus}; a consensus lies in [0, 10]"
        )


def build_game(
    scenario: Scenario, profile: Profile, populations: Populations | None = None
) -> Game:
    """Return the game that ``scenario`` describes on ``profile``.

    The scenario must have no sweep and must have passed :func:`poq_abm.scenario.check`.
    ``populations`` are those of other treatments, which are not built again.
    """
    population = (populations or Populations()).of(scenario, profile)
    shares = scenario.tasks or dict.fromkeys(profile.tasks, 1.0)
    codes = np.array([profile.tasks.index(task) for task in shares], dtype=np.int64)
    in_play, rules = _rules(scenario, tuple(shares), dearest(population))
    learns = rules.trust_learns or rules.trust_interval > 0
    contested = scenario.malicious is not None  # also at share 0, so that treatments compare
    quick = in_play.all_ship and rules.weighs_by != WeighsBy.TRUST
    return Game(
        rules=rules,
        tables=_tables(scenario, profile, codes, np.array(list(shares.values()))),
        nodes=_nodes(population, profile, rules, _cuts(scenario, profile, codes)),
        conduct=population.conduct,
        population=population,
        tasks=tuple(shares),
        records=profile.records,
        plugins=plugins(population),
        plain=population.is_plain and quick and not (learns or contested),
        in_play=in_play,
    )


def _rules(
    scenario: Scenario, tasks: Sequence[str], most_charged: float
) -> tuple[RulesInPlay, Rules]:
    """Return the rules of the mechanism, and what compiled code reads of them."""
    mechanism, trust = scenario.mechanism, scenario.mechanism.trust
    aggregation, aggregation_values = mechanism.rule("aggregation")
    inference, inference_values = mechanism.reward.rule("family")
    evaluator, evaluator_values = mechanism.rule("evaluator_reward")
    update, update_values = trust.rule("update")
    measured_from = trust.rule("reference")[0].measured_from
    in_play = RulesInPlay(aggregation, inference, evaluator, update)
    schedule = scenario.rule("schedule")[0]
    parameters = inference.by_task(inference_values, tasks)
    coefficients = {
        name: float(getattr(mechanism, name))
        for name in ("alpha_inference", "beta_inference", "alpha_evaluator", "beta_evaluator")
    }
    ranges = [
        pay_range(
            in_play,
            parameters,
            role,
            coefficients[f"alpha_{role}"],
            coefficients[f"beta_{role}"],
            dearest=most_charged,
            auctioned=schedule.sets_pay,
        )
        for role in ("inference", "evaluator")
    ]
    return in_play, Rules(
        drawn_by=int(schedule.drawn_by),
        committee_size=mechanism.committee_size,
        aggregation=number_of(aggregation),
        aggregation_parameters=aggregation.array(aggregation_values),
        weighs_by=int(aggregation.weighs_by),
        reference=int(mechanism.rule("reference")[0].measured_from),
        inference_payment=number_of(inference),
        inference_parameters=parameters,
        sets_pay=schedule.sets_pay,
        counts_answers=inference.by_batch and not schedule.sets_pay,
        charges_shortfall=inference.charges_shortfall and not schedule.sets_pay,
        evaluator_payment=number_of(evaluator),
        evaluator_parameters=evaluator.array(evaluator_values),
        pays_closeness=evaluator.pays_closeness,
        counted=int(evaluator.counted),
        **coefficients,
        pay_ranges=np.array(ranges),
        trust_update=number_of(update),
        trust_parameters=update.array(update_values),
        trust_learns=update.learns,
        trust_on_planted=update.against_truth,
        trust_typical=int(update.typical),
        trust_reference=int(MeasuredFrom.TRUTH if update.against_truth else measured_from),
        trust_start=float(trust.start),
        trust_maximum=float(trust.maximum if number_of(update) >= 0 else np.inf),
        trust_interval=trust.interval,
    )


def _tables(
    scenario: Scenario, profile: Profile, codes: NDArray[np.int64], shares: NDArray[np.float64]
) -> Tables:
    first = np.searchsorted(profile.task_of_record, codes, side="left")
    last = np.searchsorted(profile.task_of_record, codes, side="right")
    trust = scenario.mechanism.trust
    return Tables(
        scores=profile.scores,
        truth=profile.truth,
        task_first=first.astype(np.int64),
        task_size=(last - first).astype(np.int64),
        task_limits=thresholds(shares),
        agreed=profile.agreed,
        gold=_gold(len(profile.records), trust.gold_share, scenario.seed, _plants(scenario)),
        trust_task=np.arange(codes.size) if trust.per_task else np.zeros(codes.size, np.int64),
    )


def _plants(scenario: Scenario) -> bool:
    """Return whether anything looks at planted benchmarks."""
    economy = scenario.economy
    slashes = economy is not None and economy.stake.slashing.gold is not None
    paid = scenario.mechanism.rule("evaluator_reward")[0].counted == Counted.TRUTH
    return slashes or paid or scenario.mechanism.trust.rule("update")[0].against_truth


def _gold(records: int, share: float, seed: int, planted: bool) -> NDArray[np.bool_]:
    """Return which records are planted benchmarks: each with chance ``share``, by its own draw."""
    if not planted:
        return np.zeros(records, dtype=np.bool_)
    purpose = int(Purpose.GOLD)  # to hand over an enum takes 0.1 ms
    draws = [uniform(seed, 0, purpose, record, 0) for record in range(records)]
    return np.array(draws) < share


def _cuts(scenario: Scenario, profile: Profile, codes: NDArray[np.int64]) -> Array:
    """Return the cut points of every evaluator model's honest scores, of the tasks in play.

    A row for each model of the profile and then one of zeros, for free places of an economy.
    """
    rule, values = scenario.mechanism.rule("evaluator_reward")
    if rule.counted != Counted.PAIRS:
        return np.zeros((len(profile.evaluators) + 1, 0))
    bins, played = int(values["score_bins"]), np.isin(profile.task_of_record, codes)
    cuts = np.zeros((len(profile.evaluators) + 1, bins - 1))
    for model in range(len(profile.evaluators)):
        cuts[model] = cut_points(profile.scores[played, :, model].ravel(), bins)
    return cuts


def _nodes(population: NodePopulation, profile: Profile, rules: Rules, cuts: Array) -> Nodes:
    inference = population.role_is("inference")
    evaluators = population.role_is("evaluator")
    scorers = {model: i for i, model in enumerate(profile.evaluators)}
    models = {model: i for i, model in enumerate(profile.models)}
    evaluator = population.node_values([scorers.get(g.model, -1) for g in population.groups])
    stake = np.array([group.stake for group in population.groups])[population.group]
    costs, evaluator_costs = population.reported_cost, population.cost[evaluators]
    alpha_f, beta_f = rules.alpha_inference, rules.beta_inference
    alpha_m, beta_m = rules.alpha_evaluator, rules.beta_evaluator
    alpha_m = alpha_m if rules.counted == Counted.NOTHING else 0.0  # a round is charged for alone
    return Nodes(
        model=np.array([models[model] for model in population.answering], np.int64),
        evaluator=evaluator[evaluators],
        inference_cost=costs,
        evaluator_cost=evaluator_costs,
        inference_anchor=np.array(
            [inference_reward(alpha_f, beta_f, MID_SCALE, cost) for cost in costs]
        ),
        evaluator_anchor=np.array(
            [evaluator_reward(alpha_m, beta_m, 1.0, cost) for cost in evaluator_costs]
        ),
        score_cuts=cuts[evaluator[evaluators]],
        limits=thresholds(population.weight[inference]),
        stake=stake[evaluators],
    )
