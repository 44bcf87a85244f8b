"""What deviators choose from: the declared behaviours, and the numbers that one may vary."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from poq_abm.analysis.audit.deviations import Deviation, declared
from poq_abm.scenario import Scenario

__all__ = ["Dimension", "Family", "family_of", "in_words"]

Spec = dict[str, Any]

_MIDDLE = 5.0  #: of the scale of scores: where a line's level is told, so that slope tilts about it
_PARTS = (("h", "group"), ("p",), ("trust",))  #: of a line, what it may do without
_WITHOUT = {"h": 0.0, "group": None, "p": 1.0, "trust": 0.0}  #: a line without them
_DIGITS = 3  #: of a parameter: an attack that can be read


@dataclass(frozen=True)
class Dimension:
    """A number that is searched, in [low, high], or one of some choices."""

    name: str
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()

    def at(self, place: float) -> Any:
        """Return the value at a place in [0, 1].

        >>> Dimension("p", 0.0, 2.0).at(0.25), Dimension("group", choices=("a", "b")).at(0.7)
        (0.5, 'b')
        """
        if self.choices:
            return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]
        return self.low + place * (self.high - self.low)

    def place(self, value: Any) -> float:
        """Return a place in [0, 1] at which the value is, or that of the nearest there is.

        >>> Dimension("p", 0.0, 2.0).place(0.5), Dimension("group", choices=("a", "b")).place("b")
        (0.25, 0.75)
        """
        if self.choices:
            known = self.choices.index(value) if value in self.choices else 0
            return (known + 0.5) / len(self.choices)
        return min(max((float(value) - self.low) / (self.high - self.low), 0.0), 1.0)


@dataclass(frozen=True)
class Family:
    """The behaviours that are searched: some by name, and one with numbers to vary.

    For evaluators :class:`~poq_abm.rules.behaviour.evaluators.LinearReport`, told by its level at a
    score of 5, a + 5 b, since lines that differ in slope alone tilt about the middle; for inference
    nodes ``misreport_cost``.
    """

    named: tuple[Spec, ...]  #: tried as they are
    varied: str  #: name of the behaviour with numbers
    dimensions: tuple[Dimension, ...]

    def at(self, point: Sequence[float]) -> Spec:
        """Return the behaviour at a point of the unit cube."""
        values = {
            one.name: one.at(place) for one, place in zip(self.dimensions, point, strict=True)
        }
        rounded = {
            name: value if isinstance(value, str) else round(float(value), _DIGITS)
            for name, value in values.items()
        }
        if "level" in rounded:
            shift = float(rounded.pop("level")) - _MIDDLE * float(rounded["b"])
            rounded = {"a": round(shift, _DIGITS), **rounded}
        return {"name": self.varied, **rounded}

    def place(self, spec: Mapping[str, Any]) -> list[float] | None:
        """Return the point of the unit cube that a behaviour is at; none where it has no numbers.

        >>> line = Family((), "linear_report", (Dimension("level", 0.0, 10.0), Dimension("b")))
        >>> line.place(line.at([0.25, 0.5])), line.place({"name": "boost"})
        ([0.25, 0.5], None)
        """
        if spec["name"] != self.varied:
            return None
        values = {**_WITHOUT, **spec}
        if "b" in values:
            values["level"] = values["a"] + _MIDDLE * values["b"]
        return [one.place(values.get(one.name, one.low)) for one in self.dimensions]

    @staticmethod
    def simpler(spec: Spec) -> list[Spec]:
        """Return a behaviour without one or more of the parts that may do nothing, fewest first.

        >>> Family.simpler({"name": "linear_report", "a": 1.0, "b": 0.5, "p": 0.9, "trust": 1.0})
        [{'name': 'linear_report', 'a': 1.0, 'b': 0.5}, {'name': 'linear_report', 'a': 1.0, \
'b': 0.5, 'trust': 1.0}, {'name': 'linear_report', 'a': 1.0, 'b': 0.5, 'p': 0.9}]
        """
        parts = [part for part in _PARTS if part[0] in spec]
        dropped = [
            tuple(itertools.chain(*some))
            for size in range(len(parts), 0, -1)
            for some in itertools.combinations(parts, size)
        ]
        return [{key: spec[key] for key in spec if key not in names} for names in dropped]


def family_of(scenario: Scenario, deviation: Deviation) -> Family:
    """Return what the members of a deviation may do instead, of what can matter in a scenario.

    Declared behaviours as an audit tries them (``collude`` where there are two members or more).
    Then lines: slope in [-1, 2], a level in [0, 10]; points for one inference group where there is
    another, or where it is the partner of a ring; the chance of a round, where trust or an economy
    remembers; and the trust from which it acts, where trust is learnt. The pull g stays 0: towards
    a mean that does not move it is a slope, and with a slope of 1 it is ``copycat``.
    """
    found = tuple(
        spec
        for spec in declared(scenario, deviation.role).behaviours
        if len(deviation.members) > 1 or spec["name"] != "collude"
    )
    if deviation.role == "inference":
        return Family(found, "misreport_cost", (Dimension("factor"),))
    people, trust = scenario.population, scenario.mechanism.trust
    labels = people.inference_labels
    groups = tuple(
        label for label, group in zip(labels, people.inference, strict=True) if group.count
    )
    own = tuple(part.group for part in deviation.partners if part.role == "inference")
    dimensions = [Dimension("level", 0.0, 10.0), Dimension("b", -1.0, 2.0)]
    if own or len(groups) > 1:
        dimensions += [
            Dimension("h", -10.0, 10.0),
            Dimension("group", choices=own or groups),
        ]
    learns = trust.rule("update")[0].learns
    if learns or scenario.economy is not None:
        dimensions.append(Dimension("p"))
    if learns:
        highest = trust.maximum if math.isfinite(trust.maximum) else 2.0 * trust.start
        dimensions.append(Dimension("trust", 0.0, highest))
    return Family(found, "linear_report", tuple(dimensions))


def in_words(spec: Mapping[str, Any]) -> str:
    """Return what a line reports, as a sentence says it.

    >>> in_words({"a": 4.45, "b": 0.3, "h": 0.0, "group": "x", "p": 1.0})
    '4.45 + 0.3 s'
    >>> in_words({"a": -1.0, "b": 1.0, "h": 2.5, "group": "x", "p": 0.25, "trust": 1.5})
    '-1 + 1 s, 2.5 points more for answers of x, in 25% of its rounds, once its trust is 1.5'
    """
    said = [f"{spec['a']:g} {'+' if spec['b'] >= 0 else '-'} {abs(spec['b']):g} s"]
    if (points := spec.get("h", 0.0)) != 0.0:
        more = f"{abs(points):g} points {'more' if points > 0 else 'fewer'}"
        said.append(f"{more} for answers of {spec['group']}" if "group" in spec else more)
    if spec.get("p", 1.0) < 1.0:
        said.append(f"in {spec['p']:.0%} of its rounds")
    if spec.get("trust", 0.0) > 0.0:
        said.append(f"once its trust is {spec['trust']:g}")
    return ", ".join(said)
