"""What a scenario needs to be playable beyond its schema: a profile, and behaviours that fit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from poq_abm.errors import InputError, nearest
from poq_abm.profile import Profile, load_profile
from poq_abm.profile.hardware import catalogue, regions
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.rules.adaptation.base import resolve_adaptation
from poq_abm.rules.behaviour.base import Role, resolve
from poq_abm.rules.payment import Counted
from poq_abm.rules.registry import RuleError
from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Problem, Scenario, ScenarioError, check
from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.scenario.checks.sections import problems_of
from poq_abm.simulation.batch_counts import MOST_TABLE_BYTES, answer_bytes, table_bytes
from poq_abm.simulation.population import malicious_nodes

__all__ = ["SYNTHETIC", "behaviour_findings", "check_playable", "profile_of"]

SYNTHETIC = "synthetic"
FEWEST_RESAMPLED = 4  #: replications that tell of a profile's error

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
    with their parameters, committees too large for a robust rule, and what an economy asks of its
    rules of adaptation, options, regions and hardware.
    """
    problems: dict[Problem, None] = {}
    try:
        check(scenario, profile)
    except ScenarioError as error:
        problems.update(dict.fromkeys(error.problems))
    found = problems_of(
        scenario.treatments(),
        {
            _too_large: ("mechanism",),
            _batch_findings: ("mechanism", "population", "economy", "verification", "rounds"),
            partial(_ranking_findings, records=len(profile.records)): (
                "mechanism", "population", "economy", "verification", "rounds", "profile",
            ),
            partial(_findings, profile=profile): (
                "population", "malicious", "economy", "synthetic", "profile", "mechanism",
            ),
            partial(_resampling_findings, profile=profile): (
                "resample_profile", "replications", "tasks", "profile", "synthetic",
            ),
        },
    )  # fmt: skip
    problems.update(dict.fromkeys(found))
    if problems:
        raise ScenarioError(problems)


def _too_large(scenario: Scenario) -> Iterator[Finding]:
    """Yield that a committee is too large for its rule of aggregation, if it is."""
    rule, _ = scenario.mechanism.rule("aggregation")
    most = rule.largest_committee
    if most is not None and scenario.mechanism.committee_size > most:
        yield ("mechanism", "committee_size"), f"{rule.name} takes committees of at most {most}"


def _batch_findings(scenario: Scenario) -> Iterator[Finding]:
    """Yield what keeps evaluators from being paid for what a batch of rounds tells of them."""
    mechanism, path = scenario.mechanism, ("mechanism", "evaluator_reward")
    rule, values = mechanism.rule("evaluator_reward")
    if rule.counted == Counted.NOTHING:
        return
    if scenario.verification is not None:
        yield path, f"{rule.name} pays by batches of rounds, and a verification plays none"
    if rule.counted != Counted.TRUTH and mechanism.committee_size == 1:
        yield ("mechanism", "committee_size"), f"{rule.name} compares members: 1 has no peers"
    if rule.counted == Counted.PAIRS:
        evaluators, most = scenario.population.evaluator_nodes, MOST_TABLE_BYTES
        needed = table_bytes(evaluators, int(values["score_bins"]))
        if needed > most:
            yield (
                path,
                f"{rule.name} counts every pair of {evaluators} evaluators, which takes "
                f"{needed / 2**30:.1f} GiB; at most {most / 2**30:.0f}",
            )
    economy = scenario.economy
    batch = scenario.rounds if economy is None else scenario.rounds // economy.epochs
    if (least := values.get("minimum_shared", 0)) > batch:
        yield (
            ("mechanism", "minimum_shared"),
            f"is {least}, and a batch has {batch} rounds: nobody can share that many",
        )


def _ranking_findings(scenario: Scenario, records: int) -> Iterator[Finding]:
    """Yield what keeps inference nodes from being paid for how a batch's answers compare."""
    path: KeyPath = ("mechanism", "reward", "family")
    rule, values = scenario.mechanism.reward.rule("family")
    if not rule.by_batch:
        return
    nodes, economy = scenario.population.inference_nodes, scenario.economy
    if scenario.verification is not None:
        yield path, f"{rule.name} pays by batches of rounds, and a verification plays none"
    if nodes == 1:
        yield path, f"{rule.name} compares inference nodes: 1 has nobody to be compared with"
    if (needed := answer_bytes(records, nodes)) > MOST_TABLE_BYTES:
        yield (
            path,
            f"{rule.name} adds up {records} records of {nodes} inference nodes and compares these, "
            f"which takes {needed / 2**30:.1f} GiB; at most {MOST_TABLE_BYTES / 2**30:.0f}",
        )
    batch = scenario.rounds if economy is None else scenario.rounds // economy.epochs
    least, most = values.get("minimum_shared", 0), (nodes - 1) * min(batch // 2, records)
    if nodes > 1 and least > most:
        yield (
            ("mechanism", "reward", "minimum_shared"),
            f"is {least}, and {nodes} nodes can be compared at most {most} times each in a batch "
            f"of {batch} rounds on {records} records",
        )


def _findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
    population = scenario.population
    path: KeyPath
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
    yield from _economy_findings(scenario, profile)
    if not profile.knows_truth:
        yield from _truth_findings(scenario, profile)
    if scenario.synthetic is not None and scenario.profile != SYNTHETIC:
        yield ("synthetic",), f"is not used: the profile is {scenario.profile!r}, not 'synthetic'"


def _truth_findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
    """Yield every rule that looks at a truth which the profile does not know."""
    said = f"needs the truth of planted records, and profile {profile.name!r} knows none"
    mechanism, economy = scenario.mechanism, scenario.economy
    if mechanism.rule("evaluator_reward")[0].counted == Counted.TRUTH:
        yield ("mechanism", "evaluator_reward"), said
    if mechanism.trust.rule("update")[0].against_truth:
        yield ("mechanism", "trust", "update"), said
    if economy is not None and economy.stake.slashing.gold is not None:
        yield ("economy", "stake", "slashing", "gold"), said


def _resampling_findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
    """Yield why a profile cannot be resampled, or too few replications tell of it."""
    if not scenario.resample_profile:
        return
    path: KeyPath = ("resample_profile",)
    precision = scenario.precision
    fewest = scenario.most_replications if precision is None else precision.at_least
    if fewest < FEWEST_RESAMPLED:
        yield (
            path,
            f"needs {FEWEST_RESAMPLED} replications or more, got {fewest}: two share a resample, "
            "and one resample alone has no spread",
        )
    sizes = np.bincount(profile.task_of_record, minlength=len(profile.tasks))
    for task in scenario.tasks or profile.tasks:
        if task in profile.tasks and sizes[profile.tasks.index(task)] == 1:
            yield path, f"task {task} has one record: there is nothing to resample"


def _ring_findings(scenario: Scenario) -> Iterator[Finding]:
    """Yield the finding of a share of malicious evaluators that comes to a ring of one.

    One that is written as a group does as the ring agreed: the others may have left it.
    """
    malicious = scenario.malicious
    if malicious is None or not _colludes(malicious.behaviour):
        return
    groups = scenario.population.evaluators
    owner = np.repeat(np.arange(len(groups)), [group.count for group in groups])
    taken = malicious_nodes(owner.size, malicious.share, scenario.seed)
    others = [index for index, group in enumerate(groups) if _colludes(group.behaviour)]
    if len(taken) + int(np.isin(np.delete(owner, taken), others).sum()) == 1:
        yield (
            ("malicious", "behaviour"),
            "a ring of one: collude needs two evaluators or more",
        )


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
    if all(columns.get(name) is None for name in ("target", "model", "family")):
        return  # names nobody, as most do: who there is need not be listed for each of them
    people = scenario.population
    groups = zip(people.inference_labels, people.inference, strict=True)
    labels = tuple(label for label, group in groups if group.count > 0)
    families = tuple(group.family or group.model for group in people.evaluators if group.count > 0)
    for name, kind, known in (
        ("target", "inference group", labels),
        ("model", "inference model", profile.models),
        ("family", "family of evaluators", families),
    ):
        value = columns.get(name)
        if value is not None and value not in known:
            yield path, f"there is no {kind} {value!r}; {nearest(value, known)}"


def _economy_findings(scenario: Scenario, profile: Profile) -> Iterator[Finding]:
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
