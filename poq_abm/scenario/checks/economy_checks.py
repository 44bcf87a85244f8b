"""What an economy asks of the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import Finding
from poq_abm.scenario.scenario import Scenario
from poq_abm.scenario.schema.economy import MOST_BURSTS, Economy

__all__ = ["economy_findings"]


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


def _unmovable(scenario: Scenario, economy: Economy) -> Iterator[Finding]:
    """Yield what is to be moved, or to move demand, and is 0: moves are relative."""
    moved = dict.fromkeys(controller.move for controller in economy.controllers)
    fee = ("economy", "payment", "fee")
    if economy.payment.fee == 0.0 and ("fee" in moved or economy.demand.elasticity > 0.0):
        yield fee, "must be above 0 to be moved, or to move demand"
    for name in moved:
        if name != "fee" and getattr(scenario.mechanism, name) == 0.0:
            yield ("mechanism", name), "must be above 0 to be moved by a controller"


def _too_many_bursts(economy: Economy) -> Iterator[Finding]:
    demand = economy.demand
    if demand.arrivals != "bursty":
        return
    count = 60.0 * economy.epoch_hours * demand.burst_share / demand.burst_minutes
    if count > MOST_BURSTS:
        said = f"an epoch would have about {count:.3g} bursts; {MOST_BURSTS:,} can be drawn"
        yield ("economy", "demand", "burst_minutes"), said


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
