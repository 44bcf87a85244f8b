"""Where a deviation stops paying: root finding on paired runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from poq_abm.analysis.audit.deviations import Deviation, deviating
from poq_abm.analysis.audit.gains import earned_by, places
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.experiment.paired import paired
from poq_abm.rules.behaviour.base import Role
from poq_abm.scenario import Scenario
from poq_abm.scenario.paths import fault, split, value_at
from poq_abm.simulation.population import build_population

__all__ = ["FIELDS", "BreakEven", "FieldRange", "break_even", "usual_ranges"]

_TOLERANCE = 1e-4  # of the range: far below what replications tell apart
_TOLERANCE_OF_STEPS = 1e-3  # where gains have steps, no root is quicker than by halving
_ROUNDING = 1e-9  # relative; means that differ by less differ by the order of a sum
MOST_BOND = 1000.0  #: tokens; where an economy has no bond to take ten times of


class FieldRange(NamedTuple):
    """A field and the values between which its break-even is looked for."""

    field: str
    low: float
    high: float


def _bond(scenario: Scenario, role: Role) -> FieldRange | None:
    """Return a range of bonds, where somebody can lose one or they cost capital."""
    economy = scenario.economy
    if economy is None:
        return None
    fined = role == "inference" and economy.audits.rate > 0.0 and economy.audits.slash > 0.0
    if not (fined or _slashes(scenario, role) or economy.stake.capital_rate > 0.0):
        return None
    return FieldRange("economy.stake.bond", 0.0, 10.0 * economy.stake.bond or MOST_BOND)


def _beta(scenario: Scenario, role: Role) -> FieldRange | None:
    """Return a range of the weight of cost, but where Yuma pays, which charges nobody for it."""
    economy = scenario.economy
    if economy is not None and economy.payment.scheme == "yuma":
        return None
    return FieldRange(f"mechanism.beta_{role}", 0.0, 2.0)


def _slash_rate(scenario: Scenario, role: Role) -> FieldRange | None:
    """Return a range of rates, where there is a bond and a limit; tiers have their own."""
    economy = scenario.economy
    if economy is None or economy.stake.bond == 0.0 or not _slashes(scenario, role):
        return None
    tiered = economy.stake.slashing.form == "tiered"
    return None if tiered else FieldRange("economy.stake.slashing.rate", 0.0, 1.0)


def _slashes(scenario: Scenario, role: Role) -> bool:
    assert scenario.economy is not None
    rule = scenario.economy.stake.slashing
    limits = [rule.downtime] if role == "inference" else [rule.deviation, rule.gold]
    return any(limit is not None for limit in limits)


def _audit_rate(scenario: Scenario, role: Role) -> FieldRange | None:
    """Return a range of chances, for inference nodes, where an audit takes bond or reward."""
    economy = scenario.economy
    if economy is None or role == "evaluator":
        return None
    fines = economy.audits.slash > 0.0 and economy.stake.bond > 0.0
    return FieldRange("economy.audits.rate", 0.0, 1.0) if fines or economy.audits.forfeit else None


#: what can be asked to break even without naming a path, and where that applies; another rule of
#: payment adds its own, and any number of a scenario can be named by its path
FIELDS: dict[str, Callable[[Scenario, Role], FieldRange | None]] = {
    "beta": _beta,
    "trust rate": lambda scenario, _: (
        None
        if scenario.mechanism.trust.update == "none"
        else FieldRange("mechanism.trust.rate", 0.001, 1.0)
    ),
    "bond": _bond,
    "slash": _slash_rate,
    "audits": _audit_rate,
}


class BreakEven(NamedTuple):
    """Where the gain of a deviation changes sign, if it does.

    ``low`` and ``high`` bound the values at which the gain's interval contains zero; an end is NaN
    where it lies outside the range looked at.
    """

    deviation: str
    field: str
    value: float
    low: float
    high: float
    said: str


def usual_ranges(scenario: Scenario, role: Role) -> list[FieldRange]:
    """Return the ranges of :data:`FIELDS` that apply to a scenario.

    >>> from poq_abm.scenario import load
    >>> usual_ranges(load("cost_aware_poq"), "evaluator")
    [FieldRange(field='mechanism.beta_evaluator', low=0.0, high=2.0)]
    """
    ranges = (applies(scenario, role) for applies in FIELDS.values())
    return [found for found in ranges if found is not None]


def break_even(
    runner: VariantRunner,
    deviation: Deviation,
    field: str,
    low: float,
    high: float,
    *,
    replications: int | None = None,
    points: int = 5,
    confidence: float = CONFIDENCE,
) -> BreakEven:
    """Return the value of a field at which a deviation neither gains nor loses.

    Gains are per job, or in an economy in profit per epoch. Each value is played with and without
    the deviation on the same keys, so the mean gain is a function of the value without noise of its
    own, and Brent's method finds its root between the first two of ``points`` evenly spaced values
    at which its sign differs. Where chances are compared with draws, as of audits, that function
    has steps, and the root is the step at which the sign changes. The interval is that of inverted
    tests: the values at which the Student interval of the gain contains zero.

    Parameters
    ----------
    runner, deviation
        What is played.
    field
        Dotted path of a number of the scenario that is not whole, such as
        ``mechanism.beta_evaluator`` or ``mechanism.trust.rate``.
    low, high
        Where to look.
    replications, points, confidence
        How precisely; replications default to the scenario's.

    Raises
    ------
    InputError
        If the field is no such number, decides what is drawn from, or the range is empty.
    """
    _check(runner.scenario, field, low, high)
    count = runner.replications if replications is None else replications
    gains = _Gains(runner, deviation, field, count, confidence)
    grid = [float(value) for value in np.linspace(low, high, points)]
    tried = [gains(value) for value in grid]
    signs = [int(np.sign(gain.mean)) for gain in tried]
    change = _change(signs)

    def found(value: float, ends: tuple[float, float], said: str) -> BreakEven:
        return BreakEven(deviation.name, field, value, *ends, said + gains.spent(field))

    unknown = (math.nan, math.nan)
    if all(sign == 0 for sign in signs):
        said = f"{deviation.name} changes no pay, whatever {field}"
        return found(math.nan, unknown, said)
    if _same([gain.mean for gain in tried]):
        said = (
            f"{field} changes nothing from {low:g} to {high:g}: {deviation.name} "
            f"{_word(tried)} the same, {tried[0].mean:+.4g}, at every value tried"
        )
        return found(math.nan, unknown, said)
    if change is None:
        idle = [f"{value:g}" for value, sign in zip(grid, signs, strict=True) if sign == 0]
        but = f" but {', '.join(idle)}, where it changes no pay" if idle else ""
        acting = [gain for gain in tried if gain.mean != 0.0]
        span = f"tried from {low:g} to {high:g}{but}"
        said = f"{deviation.name} {_word(acting)} for every {field} {span}"
        return found(math.nan, unknown, said)
    first, last = change
    if last - first > 1:  # it is exactly zero in between
        value = grid[first + 1]
    else:
        value = gains.root(lambda gain: gain.mean, grid[first], grid[last])
    ends = gains.ends(value, grid)
    return found(value, ends, _said(deviation.name, field, value, ends))


def _change(signs: list[int]) -> tuple[int, int] | None:
    """Return the places between which signs first differ; zeros are no sign.

    >>> _change([0, 1, 1]), _change([1, 0, -1]), _change([0, 1, -1])
    (None, (0, 2), (1, 2))
    """
    known = [place for place, sign in enumerate(signs) if sign != 0]
    return next(
        ((a, b) for a, b in itertools.pairwise(known) if signs[a] != signs[b]),
        None,
    )


def _same(gains: list[float]) -> bool:
    """Return whether gains are the same but for the rounding of sums."""
    return max(gains) - min(gains) <= _ROUNDING * max(abs(gain) for gain in gains)


def _word(gains: list[_Gain]) -> str:
    """Return what a deviation does at all values tried, where its mean gain has one sign."""
    word = "gains" if gains[0].mean > 0.0 else "loses"
    shown = all(gain.low > 0.0 or gain.high < 0.0 for gain in gains)
    return word if shown else f"{word} on average, though not shown,"


def _said(name: str, field: str, value: float, ends: tuple[float, float]) -> str:
    low, high = ("the range's end" if math.isnan(end) else f"{end:.4g}" for end in ends)
    return f"{name} breaks even at {field} = {value:.4g} [{low}, {high}]"


class _Gain(NamedTuple):
    mean: float
    low: float
    high: float

    def lower(self) -> float:
        return self.low

    def upper(self) -> float:
        return self.high


class _Gains:
    """The gain of a deviation as a function of a field, each value played once."""

    def __init__(
        self, runner: VariantRunner, deviation: Deviation, field: str, count: int, confidence: float
    ) -> None:
        self._runner, self._deviation, self._field = runner, deviation, field
        self._count, self._confidence = count, confidence
        population = build_population(runner.scenario, runner.plan.profile(0))
        self._nodes = places(population, deviation)
        self._known: dict[float, _Gain] = {}
        self._ran_out: dict[float, int] = {}  #: replications in which a bond did

    def __call__(self, value: float) -> _Gain:
        if value not in self._known:
            base = self._runner.scenario.replace({self._field: value})
            variants = {"base": base, "deviating": deviating(base, self._deviation)}
            played = self._runner.play(variants, 0, self._count)
            before, after = (earned_by(played[name], self._nodes) for name in variants)
            pairs = paired(before, after, self._confidence)
            self._ran_out[value] = played["deviating"].ran_out(self._nodes)
            self._known[value] = _Gain(pairs.difference, pairs.low, pairs.high)
        return self._known[value]

    def spent(self, field: str) -> str:
        """Return at what values a bond ran out, as the end of a sentence; empty where none did."""
        values = [value for value, count in self._ran_out.items() if count > 0]
        if not values:
            return ""
        most = max(self._ran_out.values())
        return (
            f"; the bond ran out in up to {most} of {self._count} replications at {field} from "
            f"{min(values):.4g} to {max(values):.4g}, and deterred nobody from then on "
            "(economy.stake.top_up: true restores bonds)"
        )

    def root(self, part: Callable[[_Gain], float], a: float, b: float) -> float:
        """Return where a part of the gain is zero, between two values where its signs differ."""
        steps = self._runner.scenario.economy is not None
        tolerance = abs(b - a) * (_TOLERANCE_OF_STEPS if steps else _TOLERANCE)
        return float(brentq(lambda value: part(self(value)), a, b, xtol=tolerance, rtol=1e-9))

    def ends(self, value: float, grid: list[float]) -> tuple[float, float]:
        """Return the nearest values on both sides at which the gain's interval leaves zero out."""
        below = [v for v in reversed(grid) if v < value]
        above = [v for v in grid if v > value]
        return self._end(value, below), self._end(value, above)

    def _end(self, value: float, outwards: list[float]) -> float:
        inner = value
        for outer in outwards:
            gain = self(outer)
            if gain.low > 0.0 or gain.high < 0.0:
                part = _Gain.lower if gain.low > 0.0 else _Gain.upper
                inside = part(self(inner))
                if inside == 0.0 or (inside > 0.0) == (part(gain) > 0.0):
                    return inner  # the gain does not vary: no width
                return self.root(part, inner, outer)
            inner = outer
        return math.nan


def _check(scenario: Scenario, field: str, low: float, high: float) -> None:
    if not low < high:
        raise InputError(f"{field}: the range {low:g} to {high:g} is empty")
    if field.split(".", maxsplit=1)[0] not in ("mechanism", "malicious", "population", "economy"):
        raise InputError(f"{field} decides what is drawn; a break-even needs the same draws")
    path, data = split(field), scenario.resolved()
    if (said := fault(path, data)) is not None:
        raise InputError(f"{field}: {said}")
    value = value_at(path, data)
    if isinstance(value, bool) or not isinstance(value, float):
        raise InputError(f"{field} is {value!r}, no continuous number; sweep it instead")
