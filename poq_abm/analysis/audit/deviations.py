"""Who could do what instead: deviations of single nodes and of coalitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from poq_abm.errors import InputError, nearest
from poq_abm.profile import Profile
from poq_abm.profile.latencies import latency_of
from poq_abm.rules.behaviour.base import BEHAVIOURS, Role, resolve, spell
from poq_abm.rules.registry import rules
from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Scenario
from poq_abm.scenario.schema.fields import named
from poq_abm.simulation.population import NodeGroup, build_population, malicious_nodes

__all__ = [
    "ALL",
    "Declared",
    "Deviation",
    "declared",
    "deviating",
    "deviations",
    "groups_of",
    "members_of",
    "name_switches",
    "raising",
    "ring_of",
    "rings",
    "searchers",
]

Spec = Mapping[str, Any]
ROLES: tuple[Role, ...] = ("inference", "evaluator")
ALL = "all"  #: the group of a coalition that is drawn from the whole role

_STANDARD_ERRORS = 2.0  # beyond which a mean truth is higher, not luck of the records
#: what does something of its own only where weights change, because it watches them
_CHEATS = ("downgrade", "freeload")  #: what an inference node may save by, in a ring
_NEEDS_TRUST = ("sleeper", "whitewash")


@dataclass(frozen=True)
class Deviation:
    """One thing that some nodes could do instead of what the scenario says they do."""

    role: Role
    group: str  #: label of the group they are in, or :data:`ALL`
    members: tuple[int, ...]  #: nodes, counted inside the role
    behaviour: dict[str, Any]
    instead_of: str = "honest"  #: what they do in the scenario
    told: str = ""  #: the behaviour in words, where its own name would mislead
    #: who is in it with them, as a ring across roles: what they earn counts with the members' pay,
    #: whoever of them is paid, since a ring can hand it on
    partners: tuple[Deviation, ...] = ()

    @property
    def parts(self) -> tuple[Deviation, ...]:
        """Its members and their partners, those of one group and behaviour at a time."""
        return (self, *self.partners)

    @property
    def size(self) -> int:
        """How many nodes are in it."""
        return sum(len(part.members) for part in self.parts)

    @property
    def roles(self) -> str:
        """The role of its members, or the roles: ``evaluator + inference``."""
        return " + ".join(dict.fromkeys(part.role for part in self.parts))

    @property
    def groups(self) -> str:
        """The group of its members, or the groups: ``all + llama_3_2_3b``."""
        return " + ".join(dict.fromkeys(part.group for part in self.parts))

    @property
    def doing(self) -> str:
        """The behaviour in words: ``boost``, or ``boost(b=2.0)``; with partners, theirs too."""
        said = self.told or spell(self.behaviour)
        return " with ".join([said, *(partner.doing for partner in self.partners)])

    @property
    def name(self) -> str:
        """The deviation in words: ``boost by 3 of all``."""
        return f"{self.doing} by {self.size} of {self.groups}"


class Declared(NamedTuple):
    """Behaviours to audit, and those that were left out, each with the reason."""

    behaviours: list[dict[str, Any]]
    skipped: list[str]


def declared(scenario: Scenario, role: Role) -> Declared:
    """Return every behaviour a role has, with the scenario's names filled in where one is needed.

    ``downgrade`` is tried with every other inference model of the population, ``targeted`` with the
    first inference group, and what the ``options`` of an economy name besides. Behaviours that
    watch trust are left out where no trust is updated: they would differ in nothing from honesty or
    from what they hold.
    """
    found: list[dict[str, Any]] = []
    skipped: list[str] = []
    people = scenario.population
    models = list(dict.fromkeys(group.model for group in people.inference if group.count))
    for name, kind in rules(BEHAVIOURS[role]).items():
        needed = [key for key, parameter in kind.parameters.items() if parameter.required]
        if name == "honest":
            continue
        if name in _NEEDS_TRUST and scenario.mechanism.trust.update == "none":
            skipped.append(f"{name}: watches trust, and mechanism.trust.update is none")
        elif name == "linear_report":
            skipped.append(f"{name}: poq attack looks for the numbers it needs")
        elif name == "downgrade":
            found += [{"name": name, "model": model} for model in models]
        elif name == "targeted":
            first = next(i for i, group in enumerate(people.inference) if group.count)
            found.append({"name": name, "group": people.inference_labels[first]})
        elif needed:
            skipped.append(f"{name}: needs {', '.join(needed)}; name it as {{name: {name}, ...}}")
        else:
            found.append({"name": name})
    if scenario.economy is not None:
        options = getattr(scenario.economy.options, role)
        known = [resolve(role, spec) for spec in [{"name": "honest"}, *found]]
        found += [dict(spec) for spec in options if resolve(role, spec) not in known]
    return Declared(found, skipped)


def members_of(scenario: Scenario, role: Role, group: str, share: float | None) -> tuple[int, ...]:
    """Return the nodes of a group (or of :data:`ALL`) that deviate; nodes count inside the role.

    Without a share, the first one. With a share, floor(share x nodes) of them as the block
    ``malicious`` would pick them: by the seed alone, more for a larger share and the same among
    them. Nodes that the scenario's own ``malicious`` block takes, and those that are not there at
    first (``active``), are never chosen.
    """
    labels, groups = _groups(scenario, role)
    owners = list(itertools.chain.from_iterable([i] * g.count for i, g in enumerate(groups)))
    taken: set[int] = set()
    if role == "evaluator" and scenario.malicious is not None:
        chosen = malicious_nodes(len(owners), scenario.malicious.share, scenario.seed)
        taken = {int(node) for node in chosen}
    free = [
        node
        for node, (owner, here) in enumerate(zip(owners, _present(groups), strict=True))
        if here and node not in taken and group in (ALL, labels[owner])
    ]
    if share is None:
        return tuple(free[:1])
    return tuple(sorted(free[i] for i in malicious_nodes(len(free), share, scenario.seed)))


def deviations(
    scenario: Scenario,
    *,
    share: float = 0.3,
    chosen: Iterable[Spec] | None = None,
    roles: Sequence[Role] = ROLES,
) -> tuple[list[Deviation], list[str]]:
    """Return every deviation to audit, and notes on what was left out.

    Per role and group: each behaviour by one node, and by a coalition of ``share`` of the group and
    of the whole role, where that is two nodes or more. ``chosen`` replaces the declared behaviours;
    each is tried by the roles that know it.

    Raises
    ------
    InputError
        If a chosen behaviour is unknown to all of the roles, lacks a parameter or has one out of
        range, or the share is out of range.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> found, _ = deviations(load("cost_aware_poq"), chosen=[{"name": "boost"}])
    >>> [deviation.name for deviation in found]
    ['boost by 1 of sts_stsb', 'boost by 1 of ce_minilm', 'boost by 1 of ce_deberta']
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"the coalition's share must lie in (0, 1], got {share:g}")
    wanted = None if chosen is None else [dict(named(spec)) for spec in chosen]
    for spec in wanted or []:
        known = [name for role in roles for name in rules(BEHAVIOURS[role])]
        if spec.get("name") not in known:
            name = str(spec.get("name"))
            raise InputError(f"no behaviour {name!r} of {' or '.join(roles)} nodes; "
                             f"{nearest(name, known)}")  # fmt: skip
        for role in roles:
            if spec["name"] in rules(BEHAVIOURS[role]):
                resolve(role, spec)  # says what is missing or out of range
    found: list[Deviation] = []
    skipped: list[str] = []
    for role in roles:
        options = (
            declared(scenario, role)
            if wanted is None
            else Declared([spec for spec in wanted if spec["name"] in rules(BEHAVIOURS[role])], [])
        )
        skipped += [f"{role} {reason}" for reason in options.skipped]
        for group, members in _teams(scenario, role, share):
            found += _of_team(scenario, role, group, members, options.behaviours)
    return found, skipped


def rings(
    scenario: Scenario, share: float, chosen: Iterable[Spec] | None = None
) -> Iterator[Deviation]:
    """Yield joint deviations of evaluators and of the inference nodes they favour.

    For every inference group: ``share`` of all evaluators, or one, raise its scores (``collude``
    and ``targeted`` in its favour), as its nodes go on as before, run each other model, or do not
    answer at all (``freeload``). What counts is what all of them get together: whoever gains can
    hand it on. ``chosen`` replaces what evaluators do and, where it names behaviours of inference
    nodes, what these do besides going on.

    >>> from poq_abm.scenario import load
    >>> found = list(rings(load("cost_aware_poq"), 0.7))
    >>> found[0].name
    'collude(favour=llama_3_2_3b) with honest by 3 of all + llama_3_2_3b'
    """
    members = members_of(scenario, "evaluator", ALL, share)
    members = members or members_of(scenario, "evaluator", ALL, None)
    options = declared(scenario, "inference").behaviours
    for label in groups_of(scenario, "inference"):
        doing = raising(label)
        answering = [spec for spec in options if spec["name"] in _CHEATS]
        if chosen is not None:
            wanted = [dict(named(spec)) for spec in chosen]
            doing = [spec for spec in wanted if spec["name"] in rules(BEHAVIOURS["evaluator"])]
            answering = [spec for spec in wanted if spec["name"] in rules(BEHAVIOURS["inference"])]
        nodes = members_of(scenario, "inference", label, 1.0)
        before = dict(_owners(scenario, "inference")[nodes[0]].behaviour)
        as_before = Deviation("inference", label, nodes, before, spell(before))
        partners = [as_before, *_of_team(scenario, "inference", label, nodes, answering)]
        for one in _of_team(scenario, "evaluator", ALL, members, doing):
            for partner in partners:
                yield replace(one, partners=(partner,))


def raising(group: str) -> list[dict[str, Any]]:
    """Return what evaluators are declared to do for the answers of an inference group."""
    return [{"name": "collude", "favour": group}, {"name": "targeted", "group": group}]


def name_switches(
    tried: Iterable[Deviation], scenario: Scenario, profile: Profile
) -> list[Deviation]:
    """Return the deviations with what runs another model called by what the switch is.

    The behaviour ``downgrade`` runs any model instead of the one that is named and charged. It is a
    downgrade where that model takes less time on the node's hardware, which is what it really
    costs, or, where the node buys its answers, is bought for less by others (of what nobody buys
    no price is known, and the name says so), and has no higher mean truth; an upgrade where its
    mean truth is higher; else a switch. Higher is what lies beyond two standard errors of the
    paired difference over records; where the profile knows no truth, in the mean score of its
    evaluators.
    """
    worth = profile.truth if profile.knows_truth else profile.agreed
    population = build_population(scenario, profile)
    groups = [group for group in population.groups if group.role == "inference"]
    owners = [group for group in groups for _ in range(group.count)]
    place = {model: number for number, model in enumerate(profile.models)}

    def is_better(model: str, named: str) -> bool:
        pairs = worth[:, place[model]] - worth[:, place[named]]
        error = pairs.std(ddof=1) / math.sqrt(pairs.size) if pairs.size > 1 else 0.0
        return bool(pairs.mean() > _STANDARD_ERRORS * error)

    def costing(model: str, owner: NodeGroup) -> str:
        now, then = owner.usd_per_answer, population.least_price(model)
        if now is None:
            now, then = owner.latency_ms, latency_of(profile, model, owner.hardware).ms
        if then is None:
            return "bought by nobody"
        return "as dear" if then == now else "cheaper" if then < now else "dearer"

    def told(deviation: Deviation) -> str:
        model = str(deviation.behaviour["model"])
        team = [owners[node] for node in deviation.members]
        better = {is_better(model, owner.model) for owner in team}
        costs = {costing(model, owner) for owner in team}
        if better == {False} and costs == {"cheaper"}:
            return ""
        cost = "cheaper for some" if "cheaper" in costs else "no cheaper"
        if len(costs) == 1:
            (cost,) = costs
        if better == {True}:
            return f"upgrade(model={model}; better, {cost})"
        rank = "no better" if better == {False} else "better for some"
        return f"switch(model={model}; {rank}, {cost})"

    return [
        replace(one, told=told(one)) if one.behaviour["name"] == "downgrade" else one
        for one in tried
    ]


def _teams(scenario: Scenario, role: Role, share: float) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield who may deviate together: one of a group, a share of a group, a share of all."""
    labels, groups = _groups(scenario, role)
    populated = [label for label, group in zip(labels, groups, strict=True) if group.count]
    for label in populated:
        if alone := members_of(scenario, role, label, None):
            yield label, alone
    coalitions = [ALL, *populated] if len(populated) > 1 else [ALL]
    for label in coalitions:
        members = members_of(scenario, role, label, share)
        if len(members) > 1:
            yield label, members


def _of_team(
    scenario: Scenario,
    role: Role,
    group: str,
    members: tuple[int, ...],
    options: Iterable[dict[str, Any]],
) -> Iterator[Deviation]:
    owners = _owners(scenario, role)
    own = [owners[node].behaviour for node in members]
    instead = spell(own[0]) if all(spec == own[0] for spec in own) else "what they do"
    models = {owners[node].model for node in members}
    for spec in options:
        ring_of_one = spec["name"] == "collude" and len(members) == 1
        no_change = spec in own or (spec["name"] == "downgrade" and spec["model"] in models)
        if not ring_of_one and not no_change:
            yield Deviation(role, group, members, spec, instead)
    if any(spec["name"] != "honest" for spec in own):
        yield Deviation(role, group, members, {"name": "honest"}, instead)


def groups_of(scenario: Scenario, role: Role) -> list[str]:
    """Return the groups of a role that have nodes."""
    labels, groups = _groups(scenario, role)
    return [label for label, group in zip(labels, groups, strict=True) if group.count]


def ring_of(
    scenario: Scenario,
    role: Role,
    group: str,
    share: float | None,
    favour: str | None = None,
    answering: Spec | None = None,
) -> Deviation:
    """Return nodes that do as they did, for a search to say what they do instead.

    Without a share the first node of the group, else so many as :func:`members_of` says, and with
    them all nodes of the inference group they ``favour``, whose pay counts with theirs and who do
    as they did, or as ``answering`` has it.

    Raises
    ------
    InputError
        If nobody is left in it, the share is out of range, or there is no such group or behaviour.
    """
    if share is not None and not 0.0 < share <= 1.0:
        raise InputError(f"a ring's share must lie in (0, 1], got {share:g}")
    partners: tuple[Deviation, ...] = ()
    if favour is not None:
        known = groups_of(scenario, "inference")
        if favour not in known:
            raise InputError(f"no group {favour!r} of inference nodes; {nearest(favour, known)}")
        partner = ring_of(scenario, "inference", favour, 1.0)
        if answering is not None:
            known_here = rules(BEHAVIOURS["inference"])
            if answering["name"] not in known_here:
                name = str(answering["name"])
                raise InputError(
                    f"no behaviour {name!r} of inference nodes; {nearest(name, known_here)}"
                )
            partner = replace(partner, behaviour=dict(answering))
        partners = (partner,)
    members = members_of(scenario, role, group, share)
    if not members:
        whose = "" if share is None else f"a share of {share:g} of "
        raise InputError(f"{whose}{group} leaves no {role} node to deviate")
    doing = dict(_owners(scenario, role)[members[0]].behaviour)
    return Deviation(role, group, members, doing, spell(doing), partners=partners)


def searchers(scenario: Scenario, by: str, share: float | None = None) -> list[Deviation]:
    """Return who looks for a best response: the first node of each group of a role, or a ring.

    A ``ring`` is a share of all evaluators; none where the share leaves nobody.
    """
    if by == "ring":
        found = members_of(scenario, "evaluator", ALL, share)
        return [ring_of(scenario, "evaluator", ALL, share)] if found else []
    role: Role = "inference" if by == "inference" else "evaluator"
    able = [one for one in groups_of(scenario, role) if members_of(scenario, role, one, None)]
    return [ring_of(scenario, role, one, None) for one in able]


def deviating(scenario: Scenario, deviation: Deviation) -> Scenario:
    """Return the scenario in which the members deviate and all else, every draw too, is as it was.

    Nodes keep their places, machines and whether they are there: a group is cut into runs of nodes
    that are alike in these and in whether they deviate. Whoever does as before is left as it is.
    """
    for partner in deviation.partners:
        scenario = deviating(scenario, partner)
    owners = _owners(scenario, deviation.role)
    if all(owners[node].behaviour == deviation.behaviour for node in deviation.members):
        return scenario
    people = scenario.population
    labels, groups = _groups(scenario, deviation.role)
    members = set(deviation.members)
    pieces: list[InferenceGroup | EvaluatorGroup] = []
    first = 0
    for label, group in zip(labels, groups, strict=True):
        places = range(first, first + group.count)
        first += group.count
        whole = all(node in members for node in places)
        machines = [name for name, count in group.machines for _ in range(count)]
        alike = list(
            zip(map(members.__contains__, places), machines, _present([group]), strict=True)
        )
        for (deviates, machine, here), run in itertools.groupby(alike):
            count = len(list(run))
            changed: dict[str, Any] = {"count": count, "name": label, "hardware": machine}
            if group.active is not None:
                changed["active"] = count if here else 0
            if deviates:
                name = label if whole else f"{label} (deviating)"
                changed |= {"behaviour": deviation.behaviour, "name": name}
            pieces.append(group.model_copy(update=changed))
    field = "inference" if deviation.role == "inference" else "evaluators"
    population = people.model_copy(update={field: tuple(pieces)})
    return scenario.model_copy(update={"population": population})


def _groups(
    scenario: Scenario, role: Role
) -> tuple[tuple[str, ...], Sequence[InferenceGroup | EvaluatorGroup]]:
    people = scenario.population
    if role == "inference":
        return people.inference_labels, people.inference
    return people.evaluator_labels, people.evaluators


def _present(groups: Sequence[InferenceGroup | EvaluatorGroup]) -> list[bool]:
    """Return which nodes of some groups are there at first."""
    return [
        group.active is None or place < group.active
        for group in groups
        for place in range(group.count)
    ]


def _owners(scenario: Scenario, role: Role) -> list[InferenceGroup | EvaluatorGroup]:
    """Return the group of every node of a role."""
    return [group for group in _groups(scenario, role)[1] for _ in range(group.count)]
