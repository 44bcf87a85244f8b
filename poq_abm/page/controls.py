"""What the page lets one move: fields of a scenario, with the range of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from poq_abm.page.attacks import attacks_of, strength_of
from poq_abm.scenario.schema.settings import AGGREGATIONS, MAX_ROBUST_COMMITTEE, Trust

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = ["Control", "Value", "controls_of", "start_of"]

Value = float | int | str

COEFFICIENTS = {
    "alpha_F": ("mechanism.alpha_inference", "α_F, pays quality (inference)"),
    "beta_F": ("mechanism.beta_inference", "β_F, charges cost (inference)"),
    "alpha_M": ("mechanism.alpha_evaluator", "α_M, pays closeness (evaluators)"),
    "beta_M": ("mechanism.beta_evaluator", "β_M, charges cost (evaluators)"),
}
_UPDATES = ("none", "multiplicative", "relative", "hedge", "ema", "gold")
_REFERENCES = ("inclusive", "leave_one_out")


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
    most = max(mechanism.committee_size, min(evaluators, MAX_ROBUST_COMMITTEE))
    found = []
    for key, (path, label) in COEFFICIENTS.items():
        value = getattr(mechanism, path.partition(".")[2])
        found.append(Control(key, label, "number", path, 0.0, max(2.0, 2.0 * value), 0.01))
    found += [
        Control("K", "K, evaluators per committee", "count", "mechanism.committee_size", 1, most),
        Control("rule", "Aggregation rule", "choice", "mechanism.aggregation",
                choices=AGGREGATIONS),
        Control("reference", "Compared with a consensus", "choice", "mechanism.reference",
                choices=_REFERENCES),
        Control("trust", "Trust update", "choice", "mechanism.trust.update", choices=_UPDATES),
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
        "rule": mechanism.aggregation,
        "reference": mechanism.reference,
        "trust": trust.update,
        "lambda": trust.rate,
        "share": 0.0 if malicious is None else malicious.share,
        "attack": next(iter(attacks_of(scenario))),
    }
    values |= {key: strength.start for key, strength in strength_of(scenario).items()}
    return {key: values[key] for key in controls}
