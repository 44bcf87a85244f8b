"""A scenario against the profile it draws from, and its sections against one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import Finding, Problem, ScenarioError, shown
from poq_abm.scenario.scenario import Scenario, Treatment
from poq_abm.scenario.schema.economy import MOST_PAIRS, EconomySettings
from poq_abm.scenario.schema.service import MOST_BURSTS

__all__ = ["ProfileLike", "check", "economy_findings", "problems_of"]

_EQUIPS = ("model_switch", "upgrade")  # adaptations that change what a node runs


class ProfileLike(Protocol):
    """What a check needs to know about a profile."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that have records."""

    @property
    def models(self) -> tuple[str, ...]:
        """The inference models that were measured."""

    @property
    def evaluators(self) -> tuple[str, ...]:
        """The evaluator models that were measured."""

    def hardware_of(self, node: str) -> tuple[str, ...]:
        """Return the hardware on which a model was measured."""

    def hardware_fault(self, node: str, hardware: str) -> str | None:
        """Return why a model cannot be played on some hardware, or ``None`` where it can."""

    def price_fault(self, node: str, hardware: str | None) -> str | None:
        """Return why there is no price of a model's answers, or ``None`` where there is one."""


def check(scenario: Scenario, profile: ProfileLike) -> None:
    """Raise :class:`ScenarioError` unless ``profile`` can play every treatment of the scenario.

    Looked at are models, hardware, tasks and the committee, which cannot be larger than the number
    of evaluator nodes. Where a sweep changes the profile, check each treatment against its own.
    """
    problems = problems_of(
        scenario.treatments(),
        {
            partial(economy_findings, tasks=profile.tasks): (
                "economy", "schedule", "rounds", "tasks", "mechanism", "population",
            ),
            partial(_unmeasured, profile=profile): ("population", "tasks"),
            partial(_unpriced, profile=profile): ("population", "mechanism"),
            _too_large: ("mechanism", "population"),
        },
    )  # fmt: skip
    if problems:
        raise ScenarioError(problems)


Check = Callable[[Scenario], Iterable[Finding]]


def problems_of(
    treatments: Iterable[Treatment], checks: Mapping[Check, Sequence[str]]
) -> list[Problem]:
    """Return what checks find in treatments, each problem once.

    ``checks`` says which keys of a scenario each looks at: treatments share what no axis touches,
    so that identity tells what is to be looked at anew.
    """
    found: dict[Problem, None] = {}
    seen: set[tuple[object, ...]] = set()
    for treatment in treatments:
        played = treatment.scenario
        for check, keys in checks.items():
            looked_at = (check, *(id(getattr(played, key)) for key in keys))
            if looked_at not in seen:
                seen.add(looked_at)
                found.update(dict.fromkeys(map(played.origins.problem, check(played))))
    return list(found)


def _unmeasured(scenario: Scenario, profile: ProfileLike) -> Iterator[Finding]:
    """Yield the tasks, models and machines that a profile does not have."""
    for task in scenario.tasks or ():
        if task not in profile.tasks:
            yield (
                ("tasks", task),
                f"the profile has no task {shown(task)}; {_near(task, profile.tasks)}",
            )
    population = scenario.population
    for role, groups, known in (
        ("inference", population.inference, profile.models),
        ("evaluators", population.evaluators, profile.evaluators),
    ):
        kind = "inference model" if role == "inference" else "evaluator"
        for index, group in enumerate(groups):
            here = ("population", role, index)
            if group.model not in known:
                hint = _near(group.model, known)
                yield (*here, "model"), f"the profile has no {kind} {shown(group.model)}; {hint}"
                continue
            for machine, _ in group.machines:
                fault = machine and profile.hardware_fault(group.model, machine[:80])
                if fault:
                    yield (*here, "hardware"), fault


def _unpriced(scenario: Scenario, profile: ProfileLike) -> Iterator[Finding]:
    """Yield whose answers have no price where rewards charge the price."""
    population = scenario.population
    for role, groups, known in (
        ("inference", population.inference, profile.models),
        ("evaluator", population.evaluators, profile.evaluators),
    ):
        if scenario.mechanism.cost_basis(role) != "price":
            continue
        asked = {
            (group.model, machine): None
            for group in groups
            if getattr(group, "usd_per_answer", None) is None
            for machine, _ in group.machines
        }
        faults = [profile.price_fault(*pair) for pair in asked if pair[0] in known]
        for fault in dict.fromkeys(filter(None, faults)):
            yield ("mechanism", f"cost_{role}"), f"price cannot be charged: {fault}"


def _too_large(scenario: Scenario) -> Iterator[Finding]:
    """Yield that there are fewer evaluators than a committee has, if there are."""
    size, available = scenario.mechanism.committee_size, scenario.population.evaluator_nodes
    if size > available:
        yield (
            ("mechanism", "committee_size"),
            f"a committee of {size} cannot be drawn from {available} evaluator nodes; "
            f"must be 1 to {available}",
        )


def _near(name: str, known: tuple[str, ...]) -> str:
    return nearest(name[:80], known)


def economy_findings(scenario: Scenario, tasks: tuple[str, ...]) -> Iterator[Finding]:
    """Yield where an economy and the rest of the scenario do not fit, or need one another."""
    economy = scenario.economy
    if economy is None:
        yield from _needing(scenario)
        return
    if scenario.rounds % economy.epochs:
        said = f"{scenario.rounds} rounds cannot be shared equally by {economy.epochs} epochs"
        yield ("economy", "epochs"), said
    yield from _unmovable(scenario, economy)
    yield from _too_many_bursts(economy)
    yield from _unprojected(scenario, economy)
    yield from _unpaid_by_yuma(scenario, economy)
    yield from _unpriceable(scenario, economy)
    if economy.stake.top_up and economy.stake.bond == 0.0:
        yield ("economy", "stake", "top_up"), "there is no bond to top up: stake.bond is 0"
    played = tuple(scenario.tasks or tasks)
    for task in economy.demand.tasks_end or ():
        if task not in played:
            yield ("economy", "demand", "tasks_end", task), f"no such task; {nearest(task, played)}"
    if scenario.mechanism.trust.interval and not economy.demand.is_constant:
        yield (
            ("mechanism", "trust", "interval"),
            "needs a constant demand, where epochs have equal rounds; epochs.parquet has trust too",
        )


def _unpriceable(scenario: Scenario, economy: EconomySettings) -> Iterator[Finding]:
    """Yield rules that change what nodes run, of which a price is not."""
    changes = [rule["name"] for rule in economy.adaptation if rule["name"] in _EQUIPS]
    for index, group in enumerate(scenario.population.inference):
        if group.usd_per_answer is None:
            continue
        for name in dict.fromkeys(changes):
            yield (
                ("population", "inference", index, "usd_per_answer"),
                f"is the price of {group.model} alone, and {name} lets these nodes run something "
                "else",
            )


def _unpaid_by_yuma(scenario: Scenario, economy: EconomySettings) -> Iterator[Finding]:
    """Yield what keeps Yuma from paying anybody, or from being played."""
    payment, people = economy.payment, scenario.population
    if payment.scheme != "yuma":
        return
    if payment.yuma.reveal_delay >= economy.epochs:
        said = f"weights are never revealed: there are {economy.epochs} epochs"
        yield ("economy", "payment", "yuma", "reveal_delay"), said
    pairs = people.inference_nodes * people.evaluator_nodes
    if pairs > MOST_PAIRS:
        yield (
            ("economy", "payment", "scheme"),
            f"yuma keeps a weight of every evaluator for every inference node: at most "
            f"{MOST_PAIRS:,}, not {pairs:,}",
        )


def _unmovable(scenario: Scenario, economy: EconomySettings) -> Iterator[Finding]:
    """Yield what is to be moved, or to move demand, and is 0: moves are relative."""
    moved = dict.fromkeys(controller.move for controller in economy.controllers)
    fee = ("economy", "payment", "fee")
    if economy.payment.fee == 0.0 and ("fee" in moved or economy.demand.elasticity > 0.0):
        yield fee, "must be above 0 to be moved, or to move demand"
    for name in moved:
        if name != "fee" and getattr(scenario.mechanism, name) == 0.0:
            yield ("mechanism", name), "must be above 0 to be moved by a controller"


def _too_many_bursts(economy: EconomySettings) -> Iterator[Finding]:
    demand = economy.demand
    if demand.arrivals != "bursty":
        return
    count = 60.0 * economy.epoch_hours * demand.burst_share / demand.burst_minutes
    if count > MOST_BURSTS:
        said = f"an epoch would have about {count:.3g} bursts; {MOST_BURSTS:,} can be drawn"
        yield ("economy", "demand", "burst_minutes"), said


def _unprojected(scenario: Scenario, economy: EconomySettings) -> Iterator[Finding]:
    """Yield rules of adaptation that project rewards by the family, where a schedule sets pay."""
    if not scenario.rule("schedule")[0].sets_pay:
        return
    for index, rule in enumerate(economy.adaptation):
        if rule["name"] == "upgrade":
            said = f"upgrade projects a family's pay, and schedule: {scenario.schedule} sets it"
            yield ("economy", "adaptation", index), said


def _needing(scenario: Scenario) -> Iterator[Finding]:
    """Yield what has a meaning in an economy only."""
    if scenario.rule("schedule")[0].in_economies:
        yield ("schedule",), f"{scenario.schedule} needs the section economy"
    people = scenario.population
    for role, groups in (("inference", people.inference), ("evaluators", people.evaluators)):
        for index, group in enumerate(groups):
            for key in ("active", "region"):
                if getattr(group, key) is not None:
                    yield ("population", role, index, key), "needs the section economy"
