"""What an economy asks of its rules, regions and hardware."""

from __future__ import annotations

from collections.abc import Iterator

from poq_abm.errors import nearest
from poq_abm.profile import Profile
from poq_abm.profile.electricity import regions
from poq_abm.profile.hardware import catalogue
from poq_abm.rules.adaptation.base import resolve_adaptation
from poq_abm.rules.behaviour.base import resolve
from poq_abm.rules.registry import RuleError
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.simulation.playable import behaviour_findings

__all__ = ["adaptation_findings"]


def adaptation_findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
    """Yield what is wrong with rules of adaptation, options, regions and priced hardware."""
    economy = scenario.economy
    if economy is None:
        return
    for number, spec in enumerate(economy.adaptation):
        path: KeyPath = ("economy", "adaptation", number)
        try:
            resolve_adaptation(spec)
        except RuleError as error:
            yield (*path, *error.path), error.message
    for role in ("inference", "evaluator"):
        for number, behaviour in enumerate(getattr(economy.options, role)):
            path = ("economy", "options", role, number)
            findings = list(behaviour_findings(path, behaviour, scenario, profile))
            yield from findings
            if not findings and "plugin" in resolve(role, behaviour):
                yield path, "a report of one's own cannot be an option; put it in a group"
    for number, name in enumerate(economy.options.models):
        if name not in profile.models:
            yield (
                ("economy", "options", "models", number),
                f"the profile has no inference model {shown(name)}; "
                f"{nearest(name[:80], profile.models)}",
            )
    for number, name in enumerate(economy.options.hardware):
        if name not in catalogue():
            yield (
                ("economy", "options", "hardware", number),
                f"the hardware catalogue has no {shown(name)}; {nearest(name[:80], catalogue())}",
            )
    yield from _place_findings(scenario)


def _place_findings(scenario: Scenario) -> Iterator[Finding]:
    economy, people = scenario.economy, scenario.population
    known = {*(economy.regions if economy else ()), *regions()}
    for role, groups in (("inference", people.inference), ("evaluators", people.evaluators)):
        for number, group in enumerate(groups):
            here: KeyPath = ("population", role, number)
            if group.region is not None and group.region not in known:
                hint = nearest(group.region[:80], known)
                yield (*here, "region"), f"no electricity price of {shown(group.region)}; {hint}"
            for name, _ in group.machines:
                if economy and economy.cost.basis == "money" and name and name not in catalogue():
                    yield (
                        (*here, "hardware"),
                        "costs are money: name hardware of the catalogue, as in rtx_4090",
                    )
