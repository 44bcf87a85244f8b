"""Who is in the network and what they do: one row per node, kept as columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.profile.latencies import latency_of
from poq_abm.random import Purpose, below
from poq_abm.rules.behaviour.attacks import Attack, recipe
from poq_abm.rules.behaviour.base import Behaviour, Role, resolve
from poq_abm.rules.payment.formulas import min_max_cost
from poq_abm.simulation.arrays import ActiveBehaviours, Conduct, EvaluatorColumn, InferenceColumn
from poq_abm.simulation.table_columns import Words, words

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Scenario

__all__ = [
    "NodeGroup",
    "NodePopulation",
    "Populations",
    "Spec",
    "build_population",
    "cost_factor_of",
    "cost_of_effort",
    "effort_of",
    "evaluator_row",
    "find_active",
    "inference_row",
    "malicious_nodes",
    "model_run_by",
    "plugins",
]

_MOST_SHARED = 16  #: populations that are kept: an axis may give every treatment its own

Spec = Mapping[str, Any]  # what a scenario says of a behaviour: its name and parameters

#: what tables say of a node in words, and the field of its group that has it
_WORDS = {
    "role": "role",
    "group": "label",
    "model": "model",
    "hardware": "hardware",
    "latency_source": "latency_source",
}
_HONEST_EVALUATOR = {
    EvaluatorColumn.ATTACK: float(Attack.HONEST),
    EvaluatorColumn.AMOUNT: 0.0,
    EvaluatorColumn.PROBABILITY: 1.0,
    EvaluatorColumn.WAKE_TRUST: -math.inf,
    EvaluatorColumn.WAKE_JOBS: 0.0,
    EvaluatorColumn.TARGET: -1.0,
    EvaluatorColumn.RESET_TRUST: -math.inf,
    EvaluatorColumn.MALICIOUS: 0.0,
    EvaluatorColumn.NOISE_SD: 0.0,
    EvaluatorColumn.BIAS_SD: 0.0,
    EvaluatorColumn.FAMILY: 0.0,
}
_HONEST_INFERENCE = {
    InferenceColumn.LIFT: 0.0,
    InferenceColumn.FIXED: math.nan,
    InferenceColumn.GROUP: 0.0,
    InferenceColumn.DEVIATES: 0.0,
    InferenceColumn.FAMILY: -1.0,
    InferenceColumn.LIFT_ELSEWHERE: 0.0,
    InferenceColumn.TRUTH_LIFT: 0.0,
}
_ADDED = [InferenceColumn.LIFT, InferenceColumn.LIFT_ELSEWHERE, InferenceColumn.TRUTH_LIFT]


@dataclass(frozen=True)
class NodeGroup:
    """Nodes that are alike: an entry of the scenario's population, or one machine of its mix."""

    role: Role
    label: str
    model: str
    hardware: str
    behaviour: Spec
    count: int
    weight: float
    latency_ms: float
    charged: float  #: what its cost is normalised from: its latency, or dollars an answer
    latency_source: str = "measured"  #: or ``estimated``, from what was measured elsewhere
    noise_sd: float = 0.0
    bias_sd: float = 0.0
    stake: float = 1.0
    family: str = ""  #: of evaluators, what they share with others that please alike
    entry: str = ""  #: label of the entry, which all machines of a mix share
    region: str | None = None
    active: int | None = None  #: nodes of the whole entry that are there at first; all if none
    usd_per_answer: float | None = None  #: what it buys an answer for, if it does


@dataclass(frozen=True)
class NodePopulation:
    """All nodes of a treatment; node ids run over inference nodes first, then evaluators."""

    groups: tuple[NodeGroup, ...]
    group: NDArray[np.int64]  #: (F + M,) index into ``groups``
    cost: NDArray[np.float64]  #: (F + M,) normalised cost in [0, 1]
    latency_ms: NDArray[np.float64]  #: (F + M,) mean latency
    weight: NDArray[np.float64]  #: (F + M,) schedule weight
    behaviours: tuple[tuple[Role, Spec], ...]  #: every behaviour in play, with its role
    behaviour: NDArray[np.int64]  #: (F + M,) index into ``behaviours``

    @property
    def size(self) -> int:
        """Number of nodes of both roles."""
        return int(self.group.size)

    @cached_property
    def inference_count(self) -> int:
        """Number of inference nodes; also the id of the first evaluator node."""
        return sum(group.count for group in self.groups if group.role == "inference")

    @cached_property
    def words(self) -> dict[str, Words]:
        """What is said of every node in words, by name."""
        said = {
            name: words([str(getattr(group, field)) for group in self.groups], self.group)
            for name, field in _WORDS.items()
        }
        names = [str(spec["name"]) for _, spec in self.behaviours]
        return {**said, "behaviour": words(names, self.behaviour)}

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The families of evaluators, in the order of their groups."""
        named = (group.family for group in self.groups if group.role == "evaluator")
        return tuple(dict.fromkeys(named))

    @cached_property
    def conduct(self) -> Conduct:
        """What every node does, from the behaviours."""
        entries = [group.entry for group in self.groups if group.role == "inference"]
        labels = list(dict.fromkeys(entries))
        evaluator_rows = [
            evaluator_row(spec, labels) if role == "evaluator" else None
            for role, spec in self.behaviours
        ]
        inference_rows = [
            inference_row(spec, self.families) if role == "inference" else None
            for role, spec in self.behaviours
        ]
        first = self.inference_count
        evaluators = np.array([evaluator_rows[b] for b in self.behaviour[first:]])
        inference = np.array([inference_rows[b] for b in self.behaviour[:first]])
        inference[:, InferenceColumn.GROUP] = [labels.index(entries[g]) for g in self.group[:first]]
        groups = [self.groups[g] for g in self.group[first:]]
        evaluators[:, EvaluatorColumn.NOISE_SD] = [group.noise_sd for group in groups]
        evaluators[:, EvaluatorColumn.BIAS_SD] = [group.bias_sd for group in groups]
        families = [self.families.index(group.family) for group in groups]
        evaluators[:, EvaluatorColumn.FAMILY] = families
        return Conduct(evaluators, inference)

    @cached_property
    def is_plain(self) -> bool:
        """Whether every node is honest and deterministic."""
        evaluators, inference = self.conduct
        return bool(
            (evaluators[:, EvaluatorColumn.ATTACK] == Attack.HONEST).all()
            and (evaluators[:, [EvaluatorColumn.NOISE_SD, EvaluatorColumn.BIAS_SD]] == 0.0).all()
            and (inference[:, _ADDED] == 0.0).all()
            and np.isnan(inference[:, InferenceColumn.FIXED]).all()
        )

    @cached_property
    def has_plugins(self) -> bool:
        """Whether an evaluator's behaviour reports by a function of the user's own."""
        attacks = self.conduct.evaluators[:, EvaluatorColumn.ATTACK]
        return bool((attacks == Attack.PLUGIN).any())

    @cached_property
    def reported_cost(self) -> NDArray[np.float64]:
        """Cost that enters every inference node's reward, shape (F,).

        Who takes longer than its model does is charged for that, on the scale of all costs.
        """
        first = self.inference_count
        does = self.behaviour[:first]
        factor, effort = (
            np.array([of(spec) if role == "inference" else 1.0 for role, spec in self.behaviours])
            for of in (cost_factor_of, effort_of)
        )
        charged = np.array([group.charged for group in self.groups])[self.group[:first]]
        more = cost_of_effort(effort[does], charged, charged)
        costs: NDArray[np.float64] = (self.cost[:first] + more) * factor[does]
        return costs

    @cached_property
    def answering(self) -> tuple[str, ...]:
        """Name of the model that every inference node answers with, honest or not."""
        run = [
            model_run_by(spec) if role == "inference" else None for role, spec in self.behaviours
        ]
        first = self.inference_count
        named = (self.groups[group].model for group in self.group[:first])
        return tuple(run[b] or name for b, name in zip(self.behaviour[:first], named, strict=True))

    def least_price(self, model: str) -> float | None:
        """Return the least that anybody buys an answer of a model for, in USD, if anybody does."""
        groups = (group for group in self.groups if group.model == model)
        known = [group.usd_per_answer for group in groups if group.usd_per_answer is not None]
        return min(known, default=None)

    def node_values(self, per_group: Sequence[int]) -> NDArray[np.int64]:
        """Return a per-group value for every node, shape (F + M,)."""
        return np.asarray(per_group, dtype=np.int64)[self.group]

    def role_is(self, role: str) -> NDArray[np.bool_]:
        """Return which nodes have ``role``, shape (F + M,)."""
        return np.array([group.role == role for group in self.groups])[self.group]


@dataclass
class Populations:
    """The populations that treatments of a plan share: of these no axis touches who is there."""

    #: by the identity of what they are made of, which is kept so that no other can take it
    _built: dict[tuple[object, ...], tuple[tuple[object, ...], NodePopulation]] = field(
        default_factory=dict
    )

    def __getstate__(self) -> dict[str, Any]:
        return {"_built": {}}  # a worker builds its own sooner than it reads ours

    def of(self, scenario: Scenario, profile: Profile) -> NodePopulation:
        """Return the population of a scenario, built unless it was lately."""
        parts = (scenario.population, scenario.malicious, profile)
        bases = tuple(map(scenario.mechanism.cost_basis, ("inference", "evaluator")))
        key = (*map(id, parts), scenario.seed, *bases)
        known = self._built.get(key)
        if known is None:
            if len(self._built) >= _MOST_SHARED:
                self._built.clear()
            known = self._built[key] = (parts, build_population(scenario, profile))
        return known[1]


def build_population(scenario: Scenario, profile: Profile) -> NodePopulation:
    """Return the population of ``scenario``, with latencies from ``profile``.

    A latency that was not measured is estimated by
    :func:`~poq_abm.profile.latencies.latency_of`, and its group says so.

    Costs are min-max normalised inside each node class of the population in play, so a node's cost
    depends on who else is there: latencies, or prices where ``mechanism.cost_inference`` or
    ``cost_evaluator`` says so.
    """
    groups = tuple(_groups(scenario, profile))
    index = np.repeat(np.arange(len(groups)), [group.count for group in groups])
    latency = np.array([group.latency_ms for group in groups])[index]
    charged = np.array([group.charged for group in groups])[index]
    cost = np.empty_like(latency)
    for role in ("inference", "evaluator"):
        nodes = np.array([group.role == role for group in groups])[index]
        cost[nodes] = min_max_cost(charged[nodes])
    weight = np.array([group.weight for group in groups])[index]
    behaviours = [(group.role, group.behaviour) for group in groups]
    behaviour = index.copy()
    if scenario.malicious is not None:
        evaluators = np.flatnonzero(
            np.array([role == "evaluator" for role, _ in behaviours])[index]
        )
        chosen = malicious_nodes(evaluators.size, scenario.malicious.share, scenario.seed)
        behaviour[evaluators[chosen]] = len(behaviours)
        behaviours.append(("evaluator", scenario.malicious.behaviour))
    return NodePopulation(groups, index, cost, latency, weight, tuple(behaviours), behaviour)


def malicious_nodes(evaluators: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return which of M evaluators are malicious: floor(share M) of them, keyed by the seed alone.

    A prefix of one shuffle, so that a larger share adds nodes to those of a smaller one and every
    treatment and replication has the same.

    >>> malicious_nodes(10, 0.3, 1).size
    3
    """
    count = math.floor(share * evaluators + 1e-9)  # 0.29 x 100 is 28.999999999999996
    order = np.arange(evaluators)
    for place in range(count):
        step = below(seed, 0, int(Purpose.MALICIOUS), 0, place, evaluators - place)
        order[[place, place + step]] = order[[place + step, place]]
    return order[:count]


def _groups(scenario: Scenario, profile: Profile) -> Iterator[NodeGroup]:
    """Yield the groups that have nodes, inference first; hardware defaults to what was measured."""
    people = scenario.population
    classes: tuple[tuple[Role, tuple[str, ...], Sequence[InferenceGroup | EvaluatorGroup]], ...] = (
        ("inference", people.inference_labels, people.inference),
        ("evaluator", people.evaluator_labels, people.evaluators),
    )
    for role, labels, entries in classes:
        for label, entry in zip(labels, entries, strict=True):
            for machine, count in entry.machines:
                if count:
                    group = _group(role, label, entry, machine, count, profile)
                    if scenario.mechanism.cost_basis(role) == "price":
                        usd = group.usd_per_answer
                        if usd is None:
                            usd = profile.usd_per_answer(group.model, group.hardware)
                        group = replace(group, charged=usd)
                    yield group


def _group(
    role: Role,
    label: str,
    entry: InferenceGroup | EvaluatorGroup,
    machine: str | None,
    count: int,
    profile: Profile,
) -> NodeGroup:
    hardware = machine or profile.hardware_of(entry.model)[0]
    latency = latency_of(profile, entry.model, hardware)
    return NodeGroup(
        role=role,
        label=f"{label} on {hardware}" if isinstance(entry.hardware, dict) else label,
        entry=label,
        model=entry.model,
        hardware=hardware,
        behaviour=entry.behaviour,
        count=count,
        weight=float(getattr(entry, "weight", 1.0)),
        latency_ms=latency.ms,
        charged=latency.ms,
        latency_source=latency.source,
        noise_sd=float(getattr(entry, "noise_sd", 0.0)),
        bias_sd=float(getattr(entry, "bias_sd", 0.0)),
        stake=float(entry.stake),
        family=str(getattr(entry, "family", None) or entry.model),
        region=entry.region,
        active=entry.active,
        usd_per_answer=getattr(entry, "usd_per_answer", None),
    )


def plugins(population: NodePopulation) -> tuple[Behaviour | None, ...]:
    """Return the users' own behaviours in play, in the places of ``population.behaviours``."""
    if not population.has_plugins:
        return (None,) * len(population.behaviours)
    return tuple(
        resolve(role, spec).get("plugin") if role == "evaluator" else None
        for role, spec in population.behaviours
    )


@compiled_loop
def find_active(conduct: Conduct) -> ActiveBehaviours:
    """Return what any evaluator at all does."""
    deviates = waits = pauses = scatters = strays = False
    for member in range(conduct.evaluators.shape[0]):
        row = conduct.evaluators[member]
        deviates = deviates or int(row[EvaluatorColumn.ATTACK]) != Attack.HONEST
        waits = (
            waits
            or row[EvaluatorColumn.WAKE_TRUST] > -math.inf
            or row[EvaluatorColumn.WAKE_JOBS] > 0.0
        )
        waits = waits or row[EvaluatorColumn.TARGET] >= 0.0
        pauses = pauses or row[EvaluatorColumn.PROBABILITY] < 1.0
        scatters = scatters or row[EvaluatorColumn.SPREAD] > 0.0
        strays = strays or row[EvaluatorColumn.NOISE_SD] > 0.0
    return ActiveBehaviours(deviates, waits, pauses, scatters, strays)


def cost_factor_of(spec: Spec) -> float:
    """Return reported over true cost under a behaviour of inference nodes."""
    return float(resolve("inference", spec).get("cost_factor", 1.0))


def effort_of(spec: Spec) -> float:
    """Return the time an answer takes over what its model takes, under a behaviour."""
    return float(resolve("inference", spec).get("effort", 1.0))


def cost_of_effort(
    effort: NDArray[np.float64], charged: NDArray[np.float64], present: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what more effort than its model's adds to a node's normalised cost.

    (effort - 1) x / (max - min), with x what a node is charged for and the range that of all nodes
    that are there, which stays as it is; 0 where that is empty.

    >>> import numpy as np
    >>> cost_of_effort(np.array([1.0, 1.5]), np.array([20.0, 30.0]), np.array([20.0, 30.0]))
    array([0. , 1.5])
    """
    span = float(np.ptp(present)) if present.size else 0.0
    added: NDArray[np.float64] = (effort - 1.0) * charged / (span if span > 0.0 else np.inf)
    return added


def model_run_by(spec: Spec) -> str | None:
    """Return the model that really answers under a behaviour, where it is not the one named."""
    model: str | None = resolve("inference", spec).get("model")
    return model


def evaluator_row(spec: Spec, labels: Sequence[str]) -> list[float]:
    """Return the row of :class:`Conduct` of an evaluator; ``labels`` are those of its targets."""
    columns = resolve("evaluator", spec)
    attack, amount = (columns.get(name, 0.0) for name in ("attack", "amount"))
    made = recipe(int(attack), amount)._asdict()
    row: dict[EvaluatorColumn, float] = {
        **_HONEST_EVALUATOR,
        **{EvaluatorColumn[name.upper()]: value for name, value in made.items()},
    }
    if "plugin" in columns:
        row[EvaluatorColumn.ATTACK] = float(Attack.PLUGIN)
    for name, value in columns.items():
        if name == "plugin":
            continue
        if name == "target":
            value = -1.0 if value is None else float(labels.index(value))  # noqa: PLW2901
        row[EvaluatorColumn[name.upper()]] = float(value)
    row[EvaluatorColumn.MALICIOUS] = float(row[EvaluatorColumn.ATTACK] != Attack.HONEST)
    return [row[trait] for trait in EvaluatorColumn]


def inference_row(spec: Spec, families: Sequence[str]) -> list[float]:
    """Return the row of :class:`Conduct` of an inference node, its group left at 0.

    ``families`` are those of the evaluators that it can please.
    """
    columns = resolve("inference", spec)
    row = dict(_HONEST_INFERENCE)
    for name, value in columns.items():
        if name == "family":
            value = families.index(value)  # noqa: PLW2901
        if name.upper() in InferenceColumn.__members__:
            row[InferenceColumn[name.upper()]] = float(value)
    row[InferenceColumn.DEVIATES] = float(bool(columns))
    return [row[ploy] for ploy in InferenceColumn]
