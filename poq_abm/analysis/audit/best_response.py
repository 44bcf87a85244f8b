"""The best response that a search finds: what some nodes would do if they looked for it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from poq_abm.analysis.audit.deviations import Deviation, deviating, raising
from poq_abm.analysis.audit.families import Family, family_of, in_words
from poq_abm.analysis.audit.gains import RELATIVE_EPSILON, earned_by, places
from poq_abm.analysis.audit.variants import PlayedVariant, VariantRunner
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.experiment.paired import Pairs, paired
from poq_abm.experiment.search import BudgetSpentError, Step, Tables
from poq_abm.rules.behaviour.base import spell
from poq_abm.scenario import Scenario
from poq_abm.scenario.sweep.designs import Sobol
from poq_abm.simulation.population import build_population

__all__ = [
    "FoundAttack",
    "SearchSettings",
    "best_response",
    "climb",
    "does",
    "favouring_most",
    "plainly",
]

Spec = dict[str, Any]

_BATCH = 64  #: candidates that are played together; of one number to vary, a quarter
_BATCHES = 8  #: of one climb
_SEARCHED = 2  #: replications on which candidates are compared
_LONG = 20_000  #: rounds of a replication that tells candidates apart by itself
_NEAR = 0.3  #: width of the box around what a climb starts from
_NARROWING = 0.6  #: of the box around the best, from batch to batch
_ALIKE = 0.98  #: of the best gain that a simpler behaviour has to keep
_MOST_CLIMBS = 4  #: after the first, each looks for what gains more than all found before
_MOST_LOOKS = (
    4  #: at a test, on twice as many replications each time, where the first do not decide
)


class SearchSettings(NamedTuple):
    """How a best response is looked for and tested."""

    searched: int | None = None  #: replications on which candidates are compared; default: two
    tested: int = 20  #: fresh replications on which one is tested, and then certified
    confidence: float = CONFIDENCE  #: of all tests of the search together
    epsilon: float | None = None  #: tokens per job that are too few to matter; default: relative
    seed: int = 0  #: of where candidates lie
    first: int = 0  #: replication with whose keys it begins

    @property
    def most_keys(self) -> int:
        """Replications that a search may come to use."""
        tests = self.tested << (_MOST_LOOKS - 1)  # doubled at every look
        return _MOST_CLIMBS * ((self.searched or _SEARCHED) + tests) + self.tested

    @property
    def level(self) -> float:
        """Confidence of each look at a test, and of the certificate (Bonferroni)."""
        return 1.0 - (1.0 - self.confidence) / (_MOST_CLIMBS * _MOST_LOOKS + 1)


@dataclass
class FoundAttack:
    """What the search found for some nodes, and how surely it gains.

    Gains are tokens per job of all that are in it together (in an economy, profit per epoch),
    against the same nodes in the scenario as it is, on the same keys; intervals on keys that the
    search never saw.
    """

    deviation: Deviation  #: with the best behaviour found
    settings: SearchSettings
    scenario: Scenario  #: in which all else is as it is
    #: behaviours in the order in which they were found, each with its gain over the one before
    found: list[tuple[Spec, Pairs]] = field(default_factory=list)
    gain: Pairs | None = None  #: of the best found over what the nodes do in the scenario
    #: what the last climb found, and its gain over the best before it: the least that is left
    last: tuple[Spec, Pairs] | None = None
    #: the best of the climb so far, and its gain over the best before it, on the search's own keys
    untested: tuple[Spec, float] | None = None
    epsilon: float = math.nan  #: gain too small to matter
    tried: int = 0  #: behaviours played
    ended: str = "climbing"  #: or ``settled``, ``undecided``, ``spent``, ``interrupted``
    per: str = "job"

    @property
    def gains(self) -> bool:
        """Whether an attack was found that is shown to gain, on keys of its own."""
        return bool(self.found) and self.gain is not None and self.gain.low > 0.0

    @property
    def sentence(self) -> str:
        """What it is, what it gains, and what more was looked for."""
        count = self.deviation.size
        alone = "s" * (count == 1)  # of a verb
        number = "one" if count == 1 else f"{count}"
        nodes = f"{self.deviation.roles} node{'s' * (count > 1)}"
        who = f"{number} {nodes} of {self.deviation.groups}"
        if self.last is None:
            best = ""
            if self.untested is not None:
                spec, gain = self.untested
                best = f"; the best of {self.tried} so far is to {does(spec)} ({gain:+.4f}?)"
            return f"{who}: nothing was tested, {_ENDS[self.ended]}{best}."
        each, tested = (
            f"tokens per {self.per}",
            f"{100.0 * self.settings.confidence:.4g}% family-wise",
        )
        most = f"{self.tried} behaviours tried, {tested}"
        spec, further = self.last
        if self.found and self.gain is not None:
            share = abs(self.gain.difference / self.gain.mean_a) if self.gain.mean_a else math.inf
            rest = _ENDS[self.ended]
            if self.ended == "settled":
                rest = f"nothing found gains {self.epsilon:.2g} more"
            return (
                f"{who}: who {does(self.deviation.behaviour, alone)}{self._aside} get{alone} "
                f"{_shown(self.gain)} {each} more than now ({share:.1%}); {rest} ({most})."
            )
        if further.low == further.high == 0.0:
            return f"{who}: nothing found gains anything, the best is paid as now ({most})."
        best = f"the best found is to {does(spec)}{self._aside}: {_shown(further)}"
        if self.ended == "settled":
            return f"{who}: nothing found gains {self.epsilon:.2g} {each}; {best} ({most})."
        return f"{who}: {_ENDS[self.ended]}; {best} {each} ({most})."

    @property
    def _aside(self) -> str:
        """What partners do that they did not do before, in words."""
        changed = [one for one in self.deviation.partners if spell(one.behaviour) != one.instead_of]
        return "".join(f", as {one.group} plays {spell(one.behaviour)}," for one in changed)

    def as_scenario(self) -> str:
        """Return a scenario file in which the members do what was found, all else as it is.

        It is data, can be played, compared and extended like any other, and says in comments what
        was found and how another scenario takes the behaviour over.
        """
        attacked = deviating(self.scenario, self.deviation)
        said = textwrap.wrap(self.sentence, 96)
        said += [f"{part.role}: {plainly(part.behaviour)}" for part in self.deviation.parts]
        if self.deviation.role == "evaluator":
            block = {"share": 0.3, "behaviour": dict(self.deviation.behaviour)}
            said.append("Any scenario can use it, so many of its evaluators at a time:")
            said.append(f"  --set 'malicious={plainly(block)}'")
        else:
            said.append("Any scenario can use it, by a group of its inference nodes:")
            said.append(
                f"  --set 'population.inference.0.behaviour={plainly(self.deviation.behaviour)}'"
            )
        name = f"{self.scenario.name}_attacked"
        text = attacked.model_copy(update={"name": name}).to_yaml()
        return "".join(f"# {line}\n" for line in said) + "\n" + text


_ENDS = {
    "settled": "the search settled",
    "undecided": "at so many replications it is undecided whether anything gains more",
    "climbing": f"each of {_MOST_CLIMBS} climbs found something better, so look on",
    "spent": "the budget was spent",
    "interrupted": "the search was interrupted",
}


def does(spec: Spec, alone: str = "") -> str:
    """Return what nodes do, as a sentence says it; ``alone`` is the ending of one that does.

    >>> does({"name": "linear_report", "a": 4.45, "b": 0.3}), does({"name": "boost"}, "s")
    ('report 4.45 + 0.3 s', 'plays boost')
    """
    if spec["name"] == "linear_report":
        return f"report{alone} {in_words(spec)}"
    return f"play{alone} {spell(spec)}"


def _shown(pairs: Pairs) -> str:
    return f"{pairs.difference:+.4f} [{pairs.low:+.4f}, {pairs.high:+.4f}]"


def plainly(value: Mapping[str, Any]) -> str:
    """Return a mapping as YAML on one line.

    >>> plainly({"name": "boost", "b": 3.0})
    '{name: boost, b: 3.0}'
    """
    text = yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, width=10_000)
    return str(text).strip()


def climb(
    family: Family, seed: int, start: Spec | None = None
) -> Generator[list[Spec], Sequence[float], tuple[Spec, float]]:
    """Return the behaviour of a family with the highest gain, and that gain.

    A generator: it yields behaviours and is sent their gains. First what is declared by name and
    points spread over the whole family (scrambled Sobol' points, by the seed alone), then points of
    a box around the best, which narrows from batch to batch; last the best without parts that add
    next to nothing. With a behaviour to start from half of the points lie around that one: so that
    what is near is seen to as well as what is elsewhere. On the same keys the surface has no noise,
    so that nothing is smoothed.
    """
    ranges: Any = {one.name: [0.0, 1.0] for one in family.dimensions}
    size = _BATCH if len(ranges) > 1 else _BATCH // 4
    boxes = [_Box(np.full(len(ranges), 0.5), 1.0)]
    if start is not None and (place := family.place(start)) is not None:
        boxes.append(_Box(np.array(place), _NEAR))
    gain = -math.inf
    spec: Spec = {}
    for batch in range(_BATCHES):
        design = Sobol(samples=size, seed=seed * _BATCHES + batch, ranges=ranges)
        spread = np.array(design.points()).T
        each = size // len(boxes)
        points = [box.around(spread[n * each : (n + 1) * each]) for n, box in enumerate(boxes)]
        specs = [family.at(point) for some in points for point in some]
        specs += [dict(named) for named in family.named] if batch == 0 else []
        gains = np.asarray((yield specs))
        gains = np.where(np.isfinite(gains), gains, -math.inf)
        first = int(np.argmax(gains))
        if gains[first] > gain:
            gain, spec = float(gains[first]), specs[first]
        for number, (box, some) in enumerate(zip(boxes, points, strict=True)):
            box.narrow(some, gains[number * each : (number + 1) * each])
    if not spec:
        raise InputError("nobody who could deviate had a job: there is nothing to compare")
    if spec["name"] == family.varied and (simpler := family.simpler(spec)):
        for one, kept in zip(simpler, (yield simpler), strict=True):
            if kept >= _ALIKE * gain and kept > 0.0:
                return one, kept
    return spec, gain


@dataclass
class _Box:
    """Where points are tried, in the unit cube: around the best of them, and ever closer."""

    centre: NDArray[np.float64]
    width: float
    highest: float = -math.inf  #: gain of a point

    def around(self, spread: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points of the box for points of the whole cube, shape (points, numbers)."""
        first = np.clip(self.centre - self.width / 2.0, 0.0, 1.0 - self.width)
        return np.asarray(first + self.width * spread)

    def narrow(self, points: NDArray[np.float64], gains: NDArray[np.float64]) -> None:
        """Move to the best of some points, where it is better than those before."""
        best = int(np.argmax(gains))
        if gains[best] > self.highest:
            self.highest, self.centre = float(gains[best]), points[best]
        self.width *= _NARROWING


def best_response(
    runner: VariantRunner, deviation: Deviation, settings: SearchSettings
) -> Generator[Step, Sequence[Tables], FoundAttack]:
    """Return the best that the members of a deviation can do, all else as it is in a scenario.

    A search for :func:`poq_abm.experiment.search.drive`, played by the runner's ``player``. One
    climb finds a candidate on some keys; on fresh ones it is tested against the best before it. One
    that is shown to gain becomes the best, and the next climb looks for what gains more than it,
    elsewhere and on other keys; it ends once the upper end of what the last candidate gains is
    below epsilon. What was found is certified on a last set of keys. Every test has its own keys;
    all hold together (Bonferroni).

    A budget that is spent, or an interrupt, ends it with what was found so far.

    Raises
    ------
    InputError
        If there are fewer than two replications to test on, or epsilon is not above 0.
    """
    if settings.tested < 2:
        raise InputError("a test on one replication has no interval: two or more are needed")
    if settings.epsilon is not None and not 0.0 < settings.epsilon < math.inf:
        raise InputError(f"epsilon must be above 0 and finite, got {settings.epsilon!r}")
    oracle = _Oracle(runner, deviation, settings)
    found = FoundAttack(deviation, settings, runner.scenario)
    try:
        yield from _look(oracle, found)
    except BudgetSpentError:
        found.ended = "spent"
    except KeyboardInterrupt:
        found.ended = "interrupted"
    return found


def favouring_most(
    runner: VariantRunner, favouring: Sequence[Deviation], settings: SearchSettings
) -> Generator[Step, Sequence[Tables], Deviation]:
    """Return the ring that gains most of some that differ in whom they favour.

    Each as its evaluators raise its answers in either declared way (:func:`.deviations.raising`),
    on the keys of the first climb, so that no test has seen them.

    Raises
    ------
    InputError
        If nobody in any of them had a job.
    """
    scenario, first = runner.scenario, settings.first
    population = build_population(scenario, runner.plan.profile(0))
    tried = [
        replace(ring, behaviour=behaviour)
        for ring in favouring
        for behaviour in raising(ring.partners[0].group)
    ]
    scenarios = [scenario, *(deviating(scenario, one) for one in tried)]
    step = Step(scenarios, first, first + (settings.searched or _SEARCHED))
    before, *played = runner.read(step, (yield step))
    gains = []
    for one, after in zip(tried, played, strict=True):
        nodes = places(population, one)
        gains.append(_more(earned_by(before, nodes), earned_by(after, nodes)))
    if not np.isfinite(gains).any():
        raise InputError("nobody who could deviate had a job: there is nothing to compare")
    best = int(np.nanargmax(gains))
    return favouring[best * len(favouring) // len(tried)]


def _more(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return the mean gain; NaN where nobody had a job."""
    gain = (after - before)[np.isfinite(after - before)]
    return float(gain.mean()) if gain.size else math.nan


def _look(oracle: _Oracle, found: FoundAttack) -> Generator[Step, Sequence[Tables], None]:
    """Climb and test until nothing gains more; leave what is found in ``found``."""
    family = family_of(oracle.scenario, found.deviation)
    for number in range(_MOST_CLIMBS):
        best = found.found[-1][0] if found.found else None
        spec = yield from oracle.candidate(family, number, best, found)
        test = yield from oracle.test(spec, best, found)
        found.last = (spec, test)
        if test.high < found.epsilon or not test.low > 0.0:
            found.ended = "settled" if test.high < found.epsilon else "undecided"
            break
        found.found.append((spec, test))
        found.gain = test
        found.deviation = replace(found.deviation, behaviour=spec, told="")
    if found.found:
        found.gain = yield from oracle.certify(found.found[-1][0])


class _Oracle:
    """Plays behaviours of some nodes, each time on keys that follow those used before."""

    def __init__(
        self, runner: VariantRunner, deviation: Deviation, settings: SearchSettings
    ) -> None:
        self._runner, self._deviation, self._settings = runner, deviation, settings
        self.scenario = runner.scenario
        population = build_population(self.scenario, runner.plan.profile(0))
        self._nodes = places(population, deviation)
        self._next = settings.first  # replication

    def candidate(
        self, family: Family, number: int, best: Spec | None, found: FoundAttack
    ) -> Generator[Step, Sequence[Tables], Spec]:
        """Return the best of a climb."""
        found.untested = None
        alone = self.scenario.rounds >= _LONG
        first, last = self._keys(self._settings.searched or (1 if alone else _SEARCHED))
        (before,) = yield from self._play([best], first, last)
        start = best or found.deviation.behaviour
        climbing = climb(family, self._settings.seed + number, start)
        specs = next(climbing)
        while True:
            played = yield from self._play(specs, first, last)
            found.tried += len(specs)
            gains = [_more(self._earned(before), self._earned(one)) for one in played]
            for spec, gain in zip(specs, gains, strict=True):
                if gain > (found.untested[1] if found.untested else -math.inf):  # NaN never is
                    found.untested = (spec, gain)
            try:
                specs = climbing.send(gains)
            except StopIteration as end:
                best_of_climb: Spec = end.value[0]
                return best_of_climb

    def test(
        self, spec: Spec, best: Spec | None, found: FoundAttack
    ) -> Generator[Step, Sequence[Tables], Pairs]:
        """Return what a behaviour gains over another on fresh keys, on more where undecided."""
        count, before, after = self._settings.tested, None, None
        for _ in range(_MOST_LOOKS):
            first, last = self._keys(count)
            pair = yield from self._play([best, spec], first, last)
            before = pair[0] if before is None else before.joined(pair[0])
            after = pair[1] if after is None else after.joined(pair[1])
            gain = paired(self._earned(before), self._earned(after), self._settings.level)
            if math.isnan(found.epsilon):
                given, honest = self._settings.epsilon, abs(gain.mean_a)
                found.epsilon = RELATIVE_EPSILON * honest if given is None else given
                found.per = before.per
            if gain.low > 0.0 or gain.high < found.epsilon:
                break
            count = len(before.rewards)  # twice as many in all
        return gain

    def certify(self, spec: Spec) -> Generator[Step, Sequence[Tables], Pairs]:
        """Return what a behaviour gains over what the nodes do in the scenario, on fresh keys."""
        first, last = self._keys(self._settings.tested)
        before, after = yield from self._play([None, spec], first, last)
        return paired(self._earned(before), self._earned(after), self._settings.level)

    def _keys(self, count: int) -> tuple[int, int]:
        first = self._next
        self._next += count
        return first, self._next

    def _play(
        self, specs: Sequence[Mapping[str, Any] | None], first: int, last: int
    ) -> Generator[Step, Sequence[Tables], list[PlayedVariant]]:
        """Return what came of behaviours; none is what the nodes do in the scenario."""
        scenarios = [
            self.scenario
            if spec is None
            else deviating(self.scenario, replace(self._deviation, behaviour=dict(spec)))
            for spec in specs
        ]
        step = Step(scenarios, first, last)
        return self._runner.read(step, (yield step))

    def _earned(self, played: PlayedVariant) -> Any:
        return earned_by(played, self._nodes)
