"""What an economy asks of the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

from poq_abm.errors import nearest
from poq_abm.scenario.problems import Finding
from poq_abm.scenario.scenario import Scenario
from poq_abm.scenario.schema import PLAIN_SCHEDULES

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
    moves_fee = any(controller.move == "fee" for controller in economy.controllers)
    if economy.payment.fee == 0.0 and (moves_fee or economy.demand.elasticity > 0.0):
        yield ("economy", "payment", "fee"), "must be above 0 to be moved, or to move demand"
    played = tuple(scenario.tasks or tasks)
    for task in economy.demand.tasks_end or ():
        if task not in played:
            yield ("economy", "demand", "tasks_end", task), f"no such task; {nearest(task, played)}"
    if scenario.mechanism.trust.interval and not economy.demand.is_constant:
        yield (
            ("mechanism", "trust", "interval"),
            "needs a constant demand, where epochs have equal rounds; epochs.parquet has trust too",
        )


def _needing(scenario: Scenario) -> Iterator[Finding]:
    """Yield what has a meaning in an economy only."""
    if scenario.schedule not in PLAIN_SCHEDULES:
        yield ("schedule",), f"{scenario.schedule} needs the section economy"
    people = scenario.population
    for role, groups in (("inference", people.inference), ("evaluators", people.evaluators)):
        for index, group in enumerate(groups):
            for key in ("active", "region"):
                if getattr(group, key) is not None:
                    yield ("population", role, index, key), "needs the section economy"
