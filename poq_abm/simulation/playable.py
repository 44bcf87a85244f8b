"""What a scenario needs to be playable beyond its schema: a profile, and behaviours that fit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from poq_abm.errors import InputError, nearest
from poq_abm.profile import Profile, load_profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.rules.behaviour.base import Role, resolve
from poq_abm.rules.compiled import number_of
from poq_abm.rules.registry import RuleError
from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Problem, Scenario, ScenarioError, check
from poq_abm.scenario.checks.problems import Finding, KeyPath
from poq_abm.simulation.population import malicious_nodes

__all__ = ["SYNTHETIC", "behaviour_findings", "check_playable", "profile_of"]

SYNTHETIC = "synthetic"

Spec = Mapping[str, Any]


def profile_of(scenario: Scenario) -> Profile:
    """Return the profile that a scenario without a sweep of profiles draws from.

    Raises
    ------
    ScenarioError
        If it cannot be read or made, with the line that asks for it.
    """
    made = scenario.profile == SYNTHETIC
    if made:
        _refuse_unknown_settings(scenario)
    try:
        if made:
            return synthetic_profile(SyntheticSettings(**(scenario.synthetic or {})))
        return load_profile(scenario.profile)
    except InputError as error:
        path: KeyPath = ("synthetic",) if made else ("profile",)
        raise ScenarioError([scenario.origins.problem((path, str(error)))]) from error


def _refuse_unknown_settings(scenario: Scenario) -> None:
    known = [setting.name for setting in fields(SyntheticSettings)]
    unknown = [key for key in scenario.synthetic or {} if key not in known]
    if unknown:
        findings: list[Finding] = [
            (("synthetic", key), f"unknown key; {nearest(key, known)}") for key in unknown
        ]
        raise ScenarioError([scenario.origins.problem(finding) for finding in findings])


def check_playable(scenario: Scenario, profile: Profile) -> None:
    """Raise :class:`ScenarioError` with everything that keeps ``scenario`` from being played.

    Looked at are, over all treatments, what :func:`poq_abm.scenario.check` looks at, the behaviours
    with their parameters, and committees too large for a robust rule.
    """
    problems: dict[Problem, None] = {}
    try:
        check(scenario, profile)
    except ScenarioError as error:
        problems.update(dict.fromkeys(error.problems))
    seen: set[object] = set()
    for treatment in scenario.treatments():
        played = treatment.scenario
        key = (id(played.population), id(played.mechanism), id(played.malicious))
        if key not in seen:
            seen.add(key)
            found = [played.origins.problem(f) for f in _findings(played, profile)]
            problems.update(dict.fromkeys(found))
    if problems:
        raise ScenarioError(problems)


def _findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
    population, mechanism = scenario.population, scenario.mechanism
    path: KeyPath
    rule, _ = mechanism.rule("aggregation")
    if scenario.verification is not None and number_of(rule) < 0:
        said = f"{rule.name} is a rule of one's own: it plays rounds and economies, no verification"
        yield ("mechanism", "aggregation"), said
    most = rule.largest_committee
    if most is not None and mechanism.committee_size > most:
        path = ("mechanism", "committee_size")
        yield path, f"{rule.name} takes committees of at most {most}"
    classes: tuple[tuple[str, Sequence[InferenceGroup | EvaluatorGroup]], ...] = (
        ("inference", population.inference),
        ("evaluators", population.evaluators),
    )
    for role, groups in classes:
        for index, group in enumerate(groups):
            path = ("population", role, index, "behaviour")
            yield from behaviour_findings(path, group.behaviour, scenario, profile)
    if scenario.malicious is not None:
        path = ("malicious", "behaviour")
        yield from behaviour_findings(path, scenario.malicious.behaviour, scenario, profile)
    yield from _ring_findings(scenario)
    if scenario.synthetic is not None and scenario.profile != SYNTHETIC:
        yield ("synthetic",), f"is not used: the profile is {scenario.profile!r}, not 'synthetic'"


def _ring_findings(scenario: Scenario) -> Iterator[Finding]:
    """Yield the finding of a ring of one, at the behaviour that says so."""
    population, malicious = scenario.population, scenario.malicious
    sizes = [group.count for group in population.evaluators]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    if malicious is not None:
        owner[malicious_nodes(owner.size, malicious.share, scenario.seed)] = -1
    paths: list[KeyPath] = []
    ring = 0
    for index, group in enumerate(population.evaluators):
        if _colludes(group.behaviour):
            ring += int((owner == index).sum())
            paths.append(("population", "evaluators", index, "behaviour"))
    if malicious is not None and _colludes(malicious.behaviour):
        ring += int((owner == -1).sum())
        paths.append(("malicious", "behaviour"))
    if ring == 1:
        yield paths[0], "a ring of one: collude needs two evaluators or more"


def _colludes(spec: Spec | str) -> bool:
    if isinstance(spec, str):
        return spec == "collude"
    inner = spec.get("inner", "")
    return spec.get("name") == "collude" or (isinstance(inner, Mapping | str) and _colludes(inner))


def behaviour_findings(
    path: KeyPath, spec: Spec, scenario: Scenario, profile: Profile
) -> Iterator[Finding]:
    """Yield what is wrong with a behaviour that stands at ``path``, whose keys name its role."""
    role: Role = "inference" if "inference" in path else "evaluator"
    try:
        columns = resolve(role, spec)
    except RuleError as error:
        yield (*path, *error.path), error.message
        return
    people = scenario.population
    groups = zip(people.inference_labels, people.inference, strict=True)
    labels = tuple(label for label, group in groups if group.count > 0)
    for name, known in (("target", labels), ("model", profile.models)):
        value = columns.get(name)
        if value is not None and value not in known:
            kind = "inference group" if name == "target" else "inference model"
            yield path, f"there is no {kind} {value!r}; {nearest(value, known)}"
