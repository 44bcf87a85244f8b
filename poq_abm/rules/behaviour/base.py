"""What a behaviour is, and how what a scenario says of one becomes the columns of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from poq_abm.errors import InputError, nearest
from poq_abm.rules.registry import RuleError, called, complete, find
from poq_abm.rules.rule import Kind, Parameter, Rule

__all__ = [
    "BEHAVIOURS",
    "COLUMNS",
    "Behaviour",
    "Columns",
    "Role",
    "Traits",
    "is_lazy",
    "resolve",
    "spell",
]

Role = Literal["inference", "evaluator"]

#: values for a node's entries in ``poq_abm.simulation.game.Conduct``, by column
Columns = dict[str, Any]
_MAX_DEPTH: Final = 4

#: the columns that a behaviour can set, by role, with what each takes
COLUMNS: dict[Role, dict[str, Parameter]] = {
    "inference": {
        "model": Parameter("the model that really answers", kind="text"),
        "lift": Parameter(
            "points added to the scores of the family's evaluators, of all where none is named",
            low=-10.0,
            high=10.0,
        ),
        "family": Parameter("the evaluators, by family, that `lift` is about", kind="text"),
        "lift_elsewhere": Parameter(
            "points added to the scores of all other evaluators", low=-10.0, high=10.0
        ),
        "truth_lift": Parameter("points added to the truth", low=-10.0, high=10.0),
        "fixed": Parameter("the score of a constant answer, whose truth is 0", low=0.0, high=10.0),
        "cost_factor": Parameter("reported over true cost", low=0.0),
        "effort": Parameter("time an answer takes over what its model takes", low=0.0),
    },
    "evaluator": {
        "attack": Parameter(
            "kind of misreport, of poq_abm.rules.behaviour.attacks", low=0.0, high=7.0
        ),
        "amount": Parameter("its size"),
        "own": Parameter("weight of its own score in what it reports"),
        "seen": Parameter("weight of the mean consensus it has seen"),
        "shift": Parameter("points added"),
        "favour": Parameter("points added for the target, and taken from others"),
        "probability": Parameter("chance that it is on in a round", low=0.0, high=1.0),
        "wake_trust": Parameter("weight below which the node is honest"),
        "wake_jobs": Parameter("rounds it sits in before it deviates"),
        "target": Parameter("label of the inference group it looks at", kind="text"),
        "reset_trust": Parameter("weight below which it returns as somebody new"),
    },
}


#: the kinds of behaviour, by the role of who shows it
BEHAVIOURS: Final[dict[Role, Kind[Behaviour]]] = {
    "evaluator": Kind(
        "behaviour of evaluator nodes", "population.evaluators.behaviour", "poq_abm.rules.behaviour"
    ),
    "inference": Kind(
        "behaviour of inference nodes", "population.inference.behaviour", "poq_abm.rules.behaviour"
    ),
}


@dataclass(frozen=True)
class Traits:
    """What a behaviour needs and does; declared, listed by ``poq behaviours``, tested."""

    stochastic: bool = False  #: draws of its own
    coordinates: bool = False  #: members act together
    stateful: bool = False  #: depends on what happened before
    private_information: bool = False  #: uses what an ordinary node of its role would not know
    lazy: bool = False  #: while it acts it runs no model, and saves the compute


class Behaviour(Rule):
    """Base class of all behaviours; a subclass declares and says what it does to a node's columns.

    The behaviours that ship return columns, of those in :data:`COLUMNS`, which both engines
    understand. One's own evaluator behaviour can override :meth:`report` instead: as a method in
    plain Python, which is played agent by agent, or as a compiled function of four numbers, which
    both engines play.
    """

    role: ClassVar[Role]
    traits: ClassVar[Traits] = Traits()

    #: plain Python: ``report(self, measured, node, answer) -> score``; compiled (a static method):
    #: ``report(measured, amount, uniform, normal) -> score``, with ``amount`` from :meth:`columns`
    report: ClassVar[Callable[..., float] | None] = None

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        """Return what the behaviour sets in the node's columns, for complete parameter values."""
        if cls.report is None:
            raise NotImplementedError(f"{cls.__name__} defines neither columns nor report")
        return {}

    @classmethod
    def runs_no_model(cls, spec: Mapping[str, Any]) -> bool:
        """Return whether it runs no model while it acts."""
        return cls.traits.lazy

    @classmethod
    def remarks(cls) -> list[str]:
        """Return its other names, and its traits in words."""
        traits = [name.replace("_", " ") for name, has in vars(cls.traits).items() if has]
        return [*super().remarks(), *traits]

    @classmethod
    def check(cls) -> None:
        """Refuse an inference behaviour that reports: only evaluators do."""
        super().check()
        if cls.role == "inference" and cls.report is not None:
            raise InputError(
                f"{cls.name}: an inference node reports no score; its behaviour sets columns: "
                + ", ".join(COLUMNS["inference"])
            )

    @classmethod
    def code(cls) -> tuple[Any, ...]:
        """Return what it computes its columns and reports with."""
        return (cls.columns, cls.report)

    @classmethod
    def is_compiled(cls) -> bool:
        """Return whether the compiled engine can play this behaviour."""
        return cls.report is None or hasattr(cls.report, "py_func")


def resolve(role: Role, spec: Mapping[str, Any], depth: int = 0) -> Columns:
    """Return the columns that a behaviour sets.

    Raises
    ------
    RuleError
        If its name, role or one of its parameters cannot be used.

    Examples
    --------
    >>> resolve("evaluator", {"name": "boost", "b": 2.0})["amount"]
    2.0
    """
    kind = _named(role, spec)
    values = complete(kind, {key: value for key, value in spec.items() if key != "name"})
    for key, parameter in kind.parameters.items():
        if parameter.kind == "behaviour" and values[key] is not None:
            values[key] = _inner(role, kind, key, values[key], depth)
    columns = _columns(role, kind, values)
    return columns if kind.report is None else {**columns, "plugin": kind(values)}


def is_lazy(role: Role, spec: Mapping[str, Any]) -> bool:
    """Return whether a node runs no model in the rounds in which it does as its behaviour has it.

    A behaviour that turns another one on and off is as lazy as that one.

    >>> is_lazy("evaluator", {"name": "boost"}), is_lazy("evaluator", {"name": "copycat"})
    (False, True)
    >>> is_lazy("evaluator", {"name": "sleeper", "inner": "constant"})
    True
    """
    kind = _named(role, spec)
    inner = [
        spec.get(key, parameter.default)
        for key, parameter in kind.parameters.items()
        if parameter.kind == "behaviour"
    ]
    specs = [{"name": each} if isinstance(each, str) else each for each in inner]
    return kind.runs_no_model(spec) or any(is_lazy(role, each) for each in specs)


def spell(spec: Mapping[str, Any]) -> str:
    """Return a behaviour as a table shows it.

    >>> spell({"name": "boost"}), spell({"name": "boost", "b": 2.0})
    ('boost', 'boost(b=2.0)')
    """
    parameters = [
        f"{key}={spell(value) if isinstance(value, Mapping) else value}"
        for key, value in spec.items()
        if key != "name"
    ]
    return f"{spec['name']}({', '.join(parameters)})" if parameters else str(spec["name"])


def _named(role: Role, spec: Mapping[str, Any]) -> type[Behaviour]:
    name = spec.get("name")
    if not isinstance(name, str):
        raise RuleError("a behaviour needs a name, as in {name: boost, b: 3.0}")
    other: Role = "inference" if role == "evaluator" else "evaluator"
    if called(BEHAVIOURS[other], name) and not called(BEHAVIOURS[role], name):
        raise RuleError(f"{name!r} is a behaviour of {other} nodes, not of {role} nodes")
    return find(BEHAVIOURS[role], name)


def _inner(role: Role, kind: type[Behaviour], key: str, value: Any, depth: int) -> Columns:
    """Return the columns of the behaviour that another one holds."""
    if depth >= _MAX_DEPTH:
        raise RuleError(f"behaviours nested more than {_MAX_DEPTH} deep", key)
    inner = {"name": value} if isinstance(value, str) else value
    if not isinstance(inner, Mapping):
        raise RuleError(f"{kind.name}: {key} must be a behaviour, got {value!r}", key)
    try:
        columns = resolve(role, inner, depth + 1)
    except RuleError as fault:
        raise RuleError(fault.message, key, *fault.path) from None
    if "plugin" in columns and kind.report is None:
        # Such a report is called in every round, so that the gate would do nothing.
        name = inner["name"]
        raise RuleError(f"{kind.name} cannot turn on and off {name!r}, which reports", key)
    return columns


def _columns(role: Role, kind: type[Behaviour], values: Mapping[str, Any]) -> Columns:
    """Return the columns, or say which of them a user's own behaviour sets wrongly."""
    try:
        columns = dict(kind.columns(values))
    except InputError as error:
        raise RuleError(str(error), "inner") from None
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise RuleError(f"the columns of {kind.name} cannot be had: {reason}") from error
    known = COLUMNS[role]
    for name, value in columns.items():
        if name == "plugin" or (value is None and name == "target"):
            continue
        if name not in known:
            hint = nearest(name, known)
            raise RuleError(f"{kind.name} sets no column of {role} nodes: {name!r}; {hint}")
        fault = known[name].fault(value)
        if fault is not None:
            raise RuleError(f"{kind.name}: column {name} {fault}")
    return columns
