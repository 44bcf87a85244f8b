"""What the queries of verification protocols ask of a scenario beyond its schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.scenario.schema.verification import protocol_of
from poq_abm.simulation.queries.market import needed_nodes

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Scenario

__all__ = ["market_findings"]

ELSEWHERE = (
    "queries are answered by the nodes that verification.adversaries describes, and scored by "
    "honest evaluators"
)


def market_findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
    """Yield what keeps a scenario without a sweep from being played query by query.

    >>> from poq_abm.profile import load_profile
    >>> from poq_abm.scenario import load
    >>> settings = ["verification.protocol=otr", "malicious={share: 0.5, behaviour: boost}"]
    >>> found = market_findings(load("cost_aware_poq", settings), load_profile("published"))
    >>> [path for path, _ in found]
    [('malicious',)]
    """
    verification = scenario.verification
    if verification is None:
        return
    if scenario.economy is not None:
        yield ("economy",), "a scenario has an economy or a verification, not both"
    yield from _deviations(scenario)
    protocol = protocol_of(verification)
    nodes = sum(group.count for group in scenario.population.inference)
    if nodes < (needed := needed_nodes(protocol)):
        said = f"{protocol.name!r} needs {needed} inference nodes, got {nodes}"
        yield ("verification", "protocol"), said
    model = verification.adversaries.downgrade.model
    if model is not None and model not in profile.models:
        path: KeyPath = ("verification", "adversaries", "downgrade", "model")
        hint = nearest(model[:80], profile.models)
        yield path, f"the profile has no model {shown(model)}; {hint}"


def _deviations(scenario: Scenario) -> Iterator[Finding]:
    """Yield behaviours that nobody would play: who cheats is said in one place."""
    people = scenario.population
    if scenario.malicious is not None:
        yield ("malicious",), f"has no part in a verification: {ELSEWHERE}"
    roles: tuple[tuple[str, Sequence[InferenceGroup | EvaluatorGroup]], ...] = (
        ("inference", people.inference),
        ("evaluators", people.evaluators),
    )
    for role, groups in roles:
        for number, group in enumerate(groups):
            name = group.behaviour["name"]
            if name != "honest":
                path: KeyPath = ("population", role, number, "behaviour")
                yield path, f"{name!r} has no part in a verification: {ELSEWHERE}"
