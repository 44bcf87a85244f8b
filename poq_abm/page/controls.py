"""What can be moved on the page, where it stands, and the link that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode

from poq_abm.errors import nearest
from poq_abm.rules.aggregation import AGGREGATION, Aggregation
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.payment import REFERENCE
from poq_abm.rules.registry import rules
from poq_abm.rules.rule import Parameter
from poq_abm.rules.trust import TRUST_UPDATE
from poq_abm.scenario.schema.settings import Trust

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = [
    "Control",
    "PageSettings",
    "PageState",
    "Strength",
    "Value",
    "attacks_of",
    "controls_of",
    "digest",
    "read_link",
    "scenario_of",
    "start",
    "start_of",
    "strength_of",
    "strengthened",
    "write_link",
]

Spec = dict[str, Any]


#: what a behaviour's size is called, wherever it has one
_SIZES = ("b", "sigma", "score")


_DEFAULT = "boost"


_SCALE = 10.0  # points; a size without an upper bound is offered up to the whole scale


@dataclass(frozen=True)
class Strength:
    """A size that can be moved: whose it is, its range, and what the scenario says."""

    label: str
    start: float
    low: float
    high: float
    step: float
    group: int | None  #: place among the evaluator groups; none for what ``malicious`` does


def attacks_of(scenario: Scenario) -> dict[str, Spec]:
    """Return what malicious evaluators can do, by name; first what the scenario has them do.

    >>> from poq_abm.scenario import load
    >>> attacks_of(load("cost_aware_poq"))["noise"]
    {'name': 'noise'}
    """
    malicious = scenario.malicious
    own: Spec = {"name": _DEFAULT} if malicious is None else dict(malicious.behaviour)
    found = {str(own["name"]): own}
    for name, kind in rules(BEHAVIOURS["evaluator"]).items():
        needs = any(parameter.required for parameter in kind.parameters.values())
        if name != "honest" and not needs:
            found.setdefault(name, {"name": name})
    return found


def strength_of(scenario: Scenario) -> dict[str, Strength]:
    """Return the sizes of attacks that can be moved, by the key of their control.

    ``strength`` is that of malicious evaluators, whatever their attack; ``strength_2`` is that of
    the third group of evaluators, whose behaviour the scenario says.

    >>> from poq_abm.scenario import load
    >>> strength_of(load("cost_aware_poq"))["strength"].start
    3.0
    """
    named = attacks_of(scenario)
    sizes = {name: _size(spec) for name, spec in named.items()}
    first = next(iter(sizes.values()))
    highest = max(size[1].high for size in sizes.values() if size is not None)
    start = 3.0 if first is None else _value(first)
    found = {
        "strength": Strength(
            "Strength of the attack (points)", start, 0.0, max(start, min(highest, _SCALE)), 0.1,
            None
        )
    }  # fmt: skip
    groups = scenario.population.evaluators
    for place, (label, group) in enumerate(
        zip(scenario.population.evaluator_labels, groups, strict=True)
    ):
        size = _size(group.behaviour)
        if size is not None and group.count:
            value, parameter = _value(size), size[1]
            high = max(value, min(parameter.high, _SCALE))
            text = f"{label}: strength of {group.behaviour['name']} (points)"
            found[f"strength_{place}"] = Strength(text, value, 0.0, high, 0.1, place)
    return found


def strengthened(spec: Mapping[str, Any], value: float) -> Spec:
    """Return a behaviour with another size; one that has none stays as it is.

    >>> strengthened({"name": "intermittent", "p": 0.5}, 2.0)
    {'name': 'intermittent', 'p': 0.5, 'inner': {'name': 'boost', 'b': 2.0}}
    >>> strengthened({"name": "copycat"}, 2.0)
    {'name': 'copycat'}
    """
    size = _size(spec)
    if size is None:
        return dict(spec)
    if size[0] != "inner":
        return {**spec, size[0]: value}
    return {**spec, "inner": strengthened(_inner(spec), value)}


def _size(spec: Mapping[str, Any]) -> tuple[str, Parameter, Mapping[str, Any]] | None:
    """Return the key, parameter and owner of a behaviour's size, or nothing."""
    kind = rules(BEHAVIOURS["evaluator"]).get(str(spec["name"]))
    if kind is None:
        return None
    for key in _SIZES:
        parameter = kind.parameters.get(key)
        if parameter is not None and parameter.kind == "number":
            return key, parameter, spec
    if "inner" in kind.parameters:
        inside = _size(_inner(spec))
        return None if inside is None else ("inner", inside[1], inside[2])
    return None


def _inner(spec: Mapping[str, Any]) -> Spec:
    inner = spec.get("inner", _DEFAULT)
    return {"name": inner} if isinstance(inner, str) else dict(inner)


def _value(size: tuple[str, Parameter, Mapping[str, Any]]) -> float:
    _, parameter, owner = size
    given = next((owner[key] for key in _SIZES if key in owner), parameter.default)
    return float(given)


Value = float | int | str


COEFFICIENTS = {
    "alpha_F": ("mechanism.alpha_inference", "α_F, pays quality (inference)"),
    "beta_F": ("mechanism.beta_inference", "β_F, charges cost (inference)"),
    "alpha_M": ("mechanism.alpha_evaluator", "α_M, pays closeness (evaluators)"),
    "beta_M": ("mechanism.beta_evaluator", "β_M, charges cost (evaluators)"),
}


@dataclass(frozen=True)
class Control:
    """One thing that moves: its name in a link, its label, and what it may be.

    ``path`` is the field of the scenario it sets; those of an attack have none of their own.
    """

    key: str
    label: str
    kind: Literal["number", "count", "choice"]
    path: str = ""
    low: float = 0.0
    high: float = 0.0
    step: float = 1.0
    choices: tuple[str, ...] = ()

    def fault(self, value: Value) -> str | None:
        """Return what is wrong with a value, or nothing.

        >>> Control("K", "committee", "count", low=1, high=3).fault(4)
        'must lie in [1, 3], got 4'
        """
        if self.kind == "choice":
            known = ", ".join(self.choices)
            return None if value in self.choices else f"must be one of {known}, got {value!r}"
        if isinstance(value, str) or not self.low <= value <= self.high:
            return f"must lie in [{self.low:g}, {self.high:g}], got {value}"
        return None


def controls_of(scenario: Scenario) -> dict[str, Control]:
    """Return the controls of a scenario by key, in the order of the page.

    >>> from poq_abm.scenario import load
    >>> controls_of(load("cost_aware_poq"))["K"].high
    3
    """
    mechanism = scenario.mechanism
    evaluators = scenario.population.evaluator_nodes
    largest = min(evaluators, Aggregation.largest_committee or evaluators)
    most = max(mechanism.committee_size, largest)
    found = []
    for key, (path, label) in COEFFICIENTS.items():
        value = getattr(mechanism, path.partition(".")[2])
        found.append(Control(key, label, "number", path, 0.0, max(2.0, 2.0 * value), 0.01))
    found += [
        Control("K", "K, evaluators per committee", "count", "mechanism.committee_size", 1, most),
        Control("rule", "Aggregation rule", "choice", "mechanism.aggregation",
                choices=tuple(rules(AGGREGATION))),
        Control("reference", "Compared with a consensus", "choice", "mechanism.reference",
                choices=tuple(rules(REFERENCE))),
        Control("trust", "Trust update", "choice", "mechanism.trust.update",
                choices=tuple(rules(TRUST_UPDATE))),
        Control("lambda", "λ, rate of the trust update", "number", "mechanism.trust.rate",
                0.01, 1.0, 0.01),
        Control("share", "Malicious share of evaluators", "number", "", 0.0, 1.0, 0.01),
        Control("attack", "Attack", "choice", choices=tuple(attacks_of(scenario))),
    ]  # fmt: skip
    found += [
        Control(key, strength.label, "number", "", strength.low, strength.high, strength.step)
        for key, strength in strength_of(scenario).items()
    ]
    return {control.key: control for control in found}


def start_of(scenario: Scenario, controls: Mapping[str, Control]) -> dict[str, Value]:
    """Return what the controls say for the scenario as it is written.

    >>> from poq_abm.scenario import load
    >>> scenario = load("cost_aware_poq")
    >>> start_of(scenario, controls_of(scenario))["beta_F"]
    0.3
    """
    mechanism, malicious = scenario.mechanism, scenario.malicious
    trust: Trust = mechanism.trust
    values: dict[str, Value] = {
        key: getattr(mechanism, path.partition(".")[2]) for key, (path, _) in COEFFICIENTS.items()
    }
    values |= {
        "K": mechanism.committee_size,
        "rule": mechanism.rule("aggregation")[0].name,
        "reference": mechanism.rule("reference")[0].name,
        "trust": trust.rule("update")[0].name,
        "lambda": trust.rate,
        "share": 0.0 if malicious is None else malicious.share,
        "attack": next(iter(attacks_of(scenario))),
    }
    values |= {key: strength.start for key, strength in strength_of(scenario).items()}
    return {key: values[key] for key in controls}


_MOST_CHARACTERS = 4000  # of a link; more is nobody's state


@dataclass(frozen=True)
class PageSettings:
    """A scenario without a sweep and what can be moved in it."""

    scenario: Scenario
    controls: Mapping[str, Control]
    start: Mapping[str, Value]
    rounds: int  #: rounds that are played for the page, at most the scenario's

    @classmethod
    def of(cls, scenario: Scenario, rounds: int) -> PageSettings:
        """Return the settings of a scenario."""
        controls = controls_of(scenario)
        return cls(scenario, controls, start_of(scenario, controls), rounds)


@dataclass(frozen=True)
class PageState:
    """Where the controls stand and how many rounds are shown; equal states show the same."""

    values: tuple[tuple[str, Value], ...]
    round: int

    def __getitem__(self, key: str) -> Value:
        return dict(self.values)[key]

    def moved(self, key: str, value: Value) -> PageState:
        """Return the state with one control moved.

        >>> PageState((("K", 3),), 10).moved("K", 2)
        PageState(values=(('K', 2),), round=10)
        """
        return replace(self, values=tuple((k, value if k == key else v) for k, v in self.values))

    def at(self, round_: int) -> PageState:
        """Return the state with another number of rounds shown."""
        return replace(self, round=round_)


def start(settings: PageSettings) -> PageState:
    """Return the state in which the page opens: the scenario as written, all rounds shown."""
    return PageState(tuple(settings.start.items()), settings.rounds)


def digest(settings: PageSettings) -> str:
    """Return eight characters that tell this scenario, as played here, from any other."""
    said = f"{settings.rounds}\n{settings.scenario.to_yaml()}"
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def write_link(settings: PageSettings, state: PageState) -> str:
    """Return the query string that says a state: what was moved, the round, the scenario.

    >>> from poq_abm.scenario import load
    >>> settings = PageSettings.of(load("cost_aware_poq"), 5000)
    >>> write_link(settings, start(settings).moved("K", 2)).split("&")[0]
    'K=2'
    """
    said = {key: _spelt(value) for key, value in state.values if value != settings.start[key]}
    said["round"] = str(state.round)
    said["of"] = f"{settings.scenario.name}.{digest(settings)}"
    return urlencode(said)


def read_link(settings: PageSettings, query: str) -> tuple[PageState, list[str]]:
    """Return the state that a query string says, and what of it could not be used.

    What is left out, unknown or out of range stays as the scenario has it.

    >>> from poq_abm.scenario import load
    >>> settings = PageSettings.of(load("cost_aware_poq"), 5000)
    >>> state, problems = read_link(settings, "K=2&rul=median")
    >>> state["K"], problems
    (2, ["rul: no such control; did you mean 'rule'?"])
    """
    state, problems = start(settings), []
    if len(query) > _MOST_CHARACTERS:
        return state, [f"the link has more than {_MOST_CHARACTERS:,} characters and is not read"]
    for key, text in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
        if key == "of":
            if text != f"{settings.scenario.name}.{digest(settings)}":
                problems.append(_another(settings, text))
        elif key == "round":
            whole = _number(text)
            if isinstance(whole, int) and 0 <= whole <= settings.rounds:
                state = state.at(whole)
            else:
                problems.append(f"round: must lie in [0, {settings.rounds}], got {text[:40]}")
        elif key not in settings.controls:
            known = nearest(key[:40], (*settings.controls, "round"))
            problems.append(f"{key[:40]}: no such control; {known}")
        else:
            control = settings.controls[key]
            value = text[:80] if control.kind == "choice" else _number(text)
            fault = control.fault(value)
            if fault is None and control.kind == "count" and not isinstance(value, int):
                fault = f"must be a whole number, got {text[:40]}"
            if fault is None:
                state = state.moved(key, value)
            else:
                problems.append(f"{key}: {fault}")
    return state, problems


def scenario_of(settings: PageSettings, state: PageState) -> Scenario:
    """Return the scenario that a state stands for; the one it started from where nothing moved.

    Raises
    ------
    ScenarioError
        If the fields do not fit one another.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> settings = PageSettings.of(load("cost_aware_poq"), 5000)
    >>> scenario_of(settings, start(settings).moved("share", 0.4)).malicious.behaviour
    {'name': 'boost', 'b': 3.0}
    """
    changed: dict[str, Any] = {}
    moved = {key for key, value in state.values if value != settings.start[key]}
    for key in moved:
        if settings.controls[key].path:
            changed[settings.controls[key].path] = state[key]
    for key, strength in strength_of(settings.scenario).items():
        if key in moved and strength.group is not None:
            group = settings.scenario.population.evaluators[strength.group]
            path = f"population.evaluators.{strength.group}.behaviour"
            changed[path] = strengthened(group.behaviour, float(state[key]))
    if moved & {"share", "attack", "strength"}:
        spec = attacks_of(settings.scenario)[str(state["attack"])]
        sized = strengthened(spec, float(state["strength"]))
        changed["malicious"] = {"share": state["share"], "behaviour": sized}
        if settings.scenario.malicious is None and not state["share"]:
            del changed["malicious"]
    return settings.scenario.replace(changed) if changed else settings.scenario


def _spelt(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)


def _number(text: str) -> Value:
    """Return the number a text spells, or the text."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text[:40]


def _another(settings: PageSettings, text: str) -> str:
    return (
        f"the link was made of another scenario ({text[:100]}) than what is open here "
        f"({settings.scenario.name}.{digest(settings)}): what is seen may differ"
    )
