"""Rounds of the mechanism on the page: what can be moved in them, and what is shown of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from poq_abm.page.charts import charts
from poq_abm.page.controls import Control, PageState, ScenarioPage, Shown, Value
from poq_abm.page.played_rounds import MOST_ROUNDS, PlayedRounds, play, replications_of
from poq_abm.page.samples import Quantity
from poq_abm.page.views import (
    agreement,
    agreement_line,
    reward_table,
    rewards,
    role_rewards,
    round_table,
    rows,
    sample_line,
)
from poq_abm.rules.aggregation import AGGREGATION, Aggregation
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.payment import REFERENCE
from poq_abm.rules.registry import rules
from poq_abm.rules.rule import Parameter
from poq_abm.rules.trust import TRUST_UPDATE
from poq_abm.scenario.schema.settings import Trust
from poq_abm.simulation.game import build_game

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = [
    "COEFFICIENTS",
    "RoundsPage",
    "Strength",
    "attacks_of",
    "controls_of",
    "start_of",
    "strength_of",
    "strengthened",
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


COEFFICIENTS = {
    "alpha_F": ("mechanism.alpha_inference", "α_F, pays quality (inference)"),
    "beta_F": ("mechanism.beta_inference", "β_F, charges cost (inference)"),
    "alpha_M": ("mechanism.alpha_evaluator", "α_M, pays closeness (evaluators)"),
    "beta_M": ("mechanism.beta_evaluator", "β_M, charges cost (evaluators)"),
}


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


class RoundsPage(ScenarioPage):
    """A scenario of rounds: rewards and trust by class of nodes, and consensus against truth."""

    kind = "rounds of the mechanism"
    unit, units = "round", "rounds"

    def __init__(self, scenario: Scenario, most: int = MOST_ROUNDS) -> None:
        controls = controls_of(scenario)
        super().__init__(scenario, controls, start_of(scenario, controls))
        self.length = min(scenario.rounds, most)

    def fields(self, state: PageState, moved: set[str]) -> dict[str, Any]:
        """Return what the controls of attacks set."""
        changed: dict[str, Any] = {}
        for key, strength in strength_of(self.scenario).items():
            if key in moved and strength.group is not None:
                group = self.scenario.population.evaluators[strength.group]
                path = f"population.evaluators.{strength.group}.behaviour"
                changed[path] = strengthened(group.behaviour, float(state[key]))
        if moved & {"share", "attack", "strength"}:
            spec = attacks_of(self.scenario)[str(state["attack"])]
            sized = strengthened(spec, float(state["strength"]))
            changed["malicious"] = {"share": state["share"], "behaviour": sized}
            if self.scenario.malicious is None and not state["share"]:
                del changed["malicious"]
        return changed

    def affordable(self, scenario: Scenario) -> int:
        """Return the replications that a slider can wait for."""
        agents = build_game(scenario, self.profile).needs_agents
        return replications_of(scenario, self.length, agents=agents)

    def play_some(
        self, scenario: Scenario, profile: Profile, first: int, last: int
    ) -> PlayedRounds:
        """Play the rounds that are shown."""
        return play(scenario, profile, self.length, first, last)

    def charts(self, shown: Shown) -> dict[str, str]:
        """Return rewards, trust, and consensus against truth."""
        return charts(shown)

    def said(self, shown: Shown) -> str:
        """Return how consensus agrees with truth, who earned what, and the latest round."""
        played, length = shown.played, shown.length
        agreed = escape(agreement_line(agreement(played, length)))
        sample = escape(sample_line(played, length))
        earned = rows(played, shown.written if shown.moved else None, length)
        return (
            f'<p class="poq-said">{agreed}</p><p class="poq-quiet">{sample}</p>'
            f"{reward_table(earned)}{round_table(played, length)}"
        )

    def figures(self, played: PlayedRounds, length: int) -> list[Quantity]:
        """Return how consensus agrees with truth, and what roles and classes earned a job."""
        return [
            *agreement(played, length),
            *role_rewards(played, length),
            *rewards(played, length),
        ]
