"""The search for a mechanism in three stages: look, decide on fresh keys, certify on others."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.design.fronts import (
    FrontComparison,
    compared,
    hypervolume,
    non_dominated,
    probabilities,
    spread_out,
)
from poq_abm.analysis.design.playing import Figures
from poq_abm.analysis.design.problem import DesignBudget, DesignProblem, Settings
from poq_abm.analysis.design.proposing import Proposer
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.search import Step
from poq_abm.scenario import Scenario, ScenarioError

__all__ = [
    "CERTIFIED_SEED",
    "AuditOf",
    "Certified",
    "DesignOutcome",
    "DesignPlayer",
    "FoundDesigns",
    "Member",
    "search_designs",
]

Array = NDArray[np.float64]
Playing = Generator[Step, Sequence[Figures], Any]
AuditOf = Callable[[Scenario], float]  #: the highest simultaneous upper end of any gain

#: added to the scenario's seed for the certificate, whose keys nothing before has seen
CERTIFIED_SEED = 1
_MOST_AUDITED = 5  #: members, before it is said that none passes
_MOST_TRACED = 40  #: generations whose hypervolume is computed


@dataclass(frozen=True)
class DesignOutcome:
    """What came of a design: losses and excesses, by replication."""

    losses: Array  #: (replications, objectives)
    excesses: Array  #: (replications, constraints)

    @property
    def violations(self) -> Array:
        """By how much each constraint is violated by the mean; at most 0 where it holds."""
        found: Array = self.excesses.mean(axis=0)
        return found

    @property
    def feasible(self) -> bool:
        """Whether every constraint holds for the mean."""
        return bool((self.violations <= 0.0).all())

    def shown_feasible(self, level: float) -> bool:
        """Whether every constraint holds at the upper end of its interval."""
        ends = [mean_interval(one, level)[3] for one in self.excesses.T]
        return all(not end > 0.0 for end in ends)

    def joined(self, later: DesignOutcome) -> DesignOutcome:
        """Return these replications followed by later ones."""
        return DesignOutcome(
            np.concatenate([self.losses, later.losses]),
            np.concatenate([self.excesses, later.excesses]),
        )


@dataclass
class Member:
    """A design of the front, on fresh keys."""

    settings: Settings
    outcome: DesignOutcome
    state: str = "undecided"  #: ``in``, ``out``, or ``infeasible`` on fresh keys
    probability: float = float("nan")  #: of being dominated by no other member
    dominated_by: tuple[int, ...] = ()  #: numbers of the members shown to be better
    beats_published: bool = False  #: whether it is shown to dominate the scenario's own design


@dataclass(frozen=True)
class Certified:
    """The chosen design and the scenario's own one, on keys that nothing before has seen."""

    member: int
    outcome: DesignOutcome
    published: DesignOutcome | None
    audited: float | None = None  #: highest simultaneous upper end of the audit, tokens per job


@dataclass
class FoundDesigns:
    """What a search found, stage by stage."""

    problem: DesignProblem
    tried: int = 0  #: designs
    distinct: int = 0  #: of them
    impossible: int = 0  #: of the distinct ones
    why_impossible: str = ""  #: of the first
    first_losses: Array | None = None  #: mean losses of the front, on the keys of the search
    trace: list[tuple[int, float]] = field(default_factory=list)  #: designs, hypervolume
    least_violated: tuple[Settings, Array] | None = None  #: where no design is feasible
    members: list[Member] = field(default_factory=list)
    published: DesignOutcome | None = None  #: the scenario's own design, on the keys of the front
    fresh: int = 0  #: replications of the front
    tornado: list[tuple[str, Any, Array]] = field(default_factory=list)  #: differences of losses
    failed_audits: list[tuple[int, float]] = field(default_factory=list)  #: member, upper end
    certified: Certified | None = None
    constant: list[str] = field(default_factory=list)  #: objectives that never vary

    @property
    def chosen(self) -> Member | None:
        """The member that was certified."""
        return None if self.certified is None else self.members[self.certified.member]


def key_of(settings: Settings) -> str:
    """Return what tells designs apart."""
    return json.dumps(settings, sort_keys=True)


def search_designs(
    problem: DesignProblem, proposer: Proposer, audited: AuditOf | None = None
) -> Generator[Step, Sequence[Figures], FoundDesigns]:
    """Return the front of a search, and a certificate of the member that was chosen.

    A search for :func:`poq_abm.experiment.search.drive`, played by a
    :class:`~poq_abm.analysis.design.playing.FigurePlayer` or by a few lines of a test. Designs
    share keys, so that the surface has no noise, and a search climbs what luck it has: therefore
    whatever no other would dominate is played on more keys before the search goes on from it, the
    front again on keys that follow, until membership is decided or the looks are spent, and the
    chosen member once more, under another seed. All intervals are of matched
    differences, and hold together in each stage (Bonferroni).

    The chosen member is shown to meet the constraints and to dominate the scenario's own design, if
    any is, and is then closest to the best of every objective; with ``audited``, the first in this
    order whose audit passes.
    """
    found = FoundDesigns(problem)
    known = yield from _look(problem, proposer, found)
    front = _front(problem, known, found)
    if front:
        yield from _decide(problem, front, found)
        yield from _certify(problem, found, audited)
    return found


class DesignPlayer:
    """Plays designs under all their populations on some keys."""

    def __init__(self, problem: DesignProblem) -> None:
        self._problem = problem

    def play(
        self, designs: Sequence[Settings], keys: tuple[int, int], seed: int = 0
    ) -> Generator[Step, Sequence[Figures], list[DesignOutcome | str]]:
        """Return what came of designs, or why one cannot be."""
        problem, scenarios, sizes = self._problem, list[Scenario](), list[int | str]()
        for settings in designs:
            try:
                more = problem.scenarios(settings, seed)
            except ScenarioError as error:
                sizes.append(str(error.problems[0].message))
                continue
            scenarios += more
            sizes.append(len(more))
        played = list((yield Step(scenarios, *keys))) if scenarios else []
        outcomes: list[DesignOutcome | str] = []
        for size in sizes:
            if isinstance(size, str):
                outcomes.append(size)
                continue
            some = dict(zip(problem.populations, played[:size], strict=True))
            played = played[size:]
            outcomes.append(self._outcome(some))
        return outcomes

    def certain(
        self, designs: Sequence[Settings], keys: tuple[int, int], seed: int = 0
    ) -> Generator[Step, Sequence[Figures], list[DesignOutcome]]:
        """Return what came of designs that are known to be possible."""
        outcomes = yield from self.play(designs, keys, seed)
        for outcome in outcomes:
            if isinstance(outcome, str):
                raise InputError(f"a design that could be played cannot on other keys: {outcome}")
        return outcomes  # type: ignore[return-value]

    def _outcome(self, played: Mapping[str, Figures]) -> DesignOutcome | str:
        outcome = DesignOutcome(self._problem.losses(played), self._problem.excesses(played))
        search = self._problem.search
        for names, values in (
            ([one.label for one in search.objectives], outcome.losses),
            ([one.label for one in search.constraints], outcome.excesses),
        ):
            for number, name in enumerate(names):
                if not np.isfinite(values[:, number]).all():
                    return f"{name} is not defined in every replication"
        return outcome


def _look(
    problem: DesignProblem, proposer: Proposer, found: FoundDesigns
) -> Generator[Step, Sequence[Figures], dict[str, tuple[Settings, DesignOutcome]]]:
    """Return every possible design that was tried, with what came of it."""
    budget, player = problem.search.budget, DesignPlayer(problem)
    known: dict[str, DesignOutcome | str] = {}
    designs: dict[str, Settings] = {}
    ends: list[tuple[int, int]] = []  # designs tried, possible ones known
    leading: list[str] = []  # that no other dominates
    while found.tried < budget.designs:
        asked = proposer.ask(min(budget.generation, budget.designs - found.tried))
        keys = [key_of(settings) for settings in asked]
        fresh = {key: one for key, one in zip(keys, asked, strict=True) if key not in known}
        outcomes = yield from player.play(list(fresh.values()), (0, budget.replications))
        known.update(zip(fresh, outcomes, strict=True))
        designs.update(fresh)
        leading = yield from _confirmed(player, designs, known, [*leading, *fresh], budget)
        told = [known[key] for key in keys]
        proposer.tell([None if isinstance(one, str) else _means(one) for one in told])
        found.tried += len(asked)
        ends.append((found.tried, len(known)))
    possible = {key: one for key, one in known.items() if not isinstance(one, str)}
    faults = [one for one in known.values() if isinstance(one, str)]
    found.distinct, found.impossible = len(known), len(faults)
    found.why_impossible = faults[0] if faults else ""
    if not possible:
        raise InputError(f"no design of {len(known)} can be played: {faults[0]}")
    _trace(list(known.values()), ends, found)
    return {key: (designs[key], one) for key, one in possible.items()}


def _confirmed(
    player: DesignPlayer,
    designs: Mapping[str, Settings],
    known: dict[str, DesignOutcome | str],
    candidates: Sequence[str],
    budget: DesignBudget,
) -> Generator[Step, Sequence[Figures], list[str]]:
    """Return which candidates no other dominates once all of these were played on more keys.

    A challenger that only looked better on few keys falls back among the others. Who is dominated
    by what has been confirmed stays so, and need not be a candidate again.
    """
    while True:
        leading = _leading(known, candidates)
        doubtful = [k for k in leading if _times(known[k]) < budget.searched]
        if not doubtful:
            return leading
        keys = (budget.replications, budget.searched)
        outcomes = yield from player.play([designs[key] for key in doubtful], keys)
        for key, more in zip(doubtful, outcomes, strict=True):
            known[key] = _both(known[key], more)


def _leading(known: Mapping[str, DesignOutcome | str], candidates: Sequence[str]) -> list[str]:
    """Return the candidates that are feasible and that no other such candidate dominates."""
    feasible, losses = list[str](), list[Array]()
    for key in candidates:
        outcome = known[key]
        if isinstance(outcome, DesignOutcome) and outcome.feasible:
            feasible.append(key)
            losses.append(outcome.losses.mean(axis=0))
    kept = non_dominated(losses) if feasible else ()
    return [key for key, stays in zip(feasible, kept, strict=True) if stays]


def _times(outcome: DesignOutcome | str) -> int:
    return 0 if isinstance(outcome, str) else len(outcome.losses)


def _means(outcome: DesignOutcome) -> tuple[list[float], list[float]]:
    return outcome.losses.mean(axis=0).tolist(), outcome.violations.tolist()


def _trace(
    played: list[DesignOutcome | str], ends: list[tuple[int, int]], found: FoundDesigns
) -> None:
    """Note which share of the box of all feasible outcomes each generation's front covers."""
    at = [
        (number, one.losses.mean(axis=0))
        for number, one in enumerate(played)
        if not isinstance(one, str) and one.feasible
    ]
    if not at:
        return
    points = np.array([losses for _, losses in at])
    numbers = np.array([number for number, _ in at])
    width = np.ptp(points, axis=0)
    # an objective that does not vary counts as reached, and adds no volume of its own
    scaled = np.where(width > 0.0, (points - points.min(axis=0)) / np.where(width > 0, width, 1), 0)
    front, last = np.empty(0, np.int64), 0
    for tried, size in ends[:: max(len(ends) // _MOST_TRACED, 1)] + ends[-1:]:
        if found.trace and found.trace[-1][0] == tried:
            continue
        new = np.flatnonzero((numbers >= last) & (numbers < size))
        front, last = np.concatenate([front, new]), size
        front = front[non_dominated(scaled[front])]
        found.trace.append((tried, hypervolume(scaled[front], np.ones(points.shape[1]))))


def _front(
    problem: DesignProblem, known: Mapping[str, tuple[Settings, DesignOutcome]], found: FoundDesigns
) -> list[Settings]:
    """Return the feasible designs that no other dominates, or note the least violated."""
    every = np.array([one.losses.mean(axis=0) for _, one in known.values()])
    for number, objective in enumerate(problem.search.objectives):
        if len(every) > 1 and np.ptp(every[:, number]) == 0.0:
            found.constant.append(objective.label)
    feasible = [(settings, one) for settings, one in known.values() if one.feasible]
    if not feasible:
        settings, one = min(known.values(), key=lambda item: item[1].violations.max())
        found.least_violated = (settings, one.violations)
        return []
    losses = np.array([one.losses.mean(axis=0) for _, one in feasible])
    kept = np.flatnonzero(non_dominated(losses))
    _, once = np.unique(losses[kept], axis=0, return_index=True)
    kept = kept[np.sort(once)]  # of designs with the same losses, the first
    chosen = [int(kept[one]) for one in spread_out(losses[kept], problem.search.budget.front)]
    found.first_losses = losses[chosen]
    return [feasible[one][0] for one in chosen]


def _level(problem: DesignProblem, comparisons: int) -> float:
    """Return the level of one interval of so many that hold together."""
    return 1.0 - (1.0 - problem.search.budget.confidence) / max(comparisons, 1)


def _decide(
    problem: DesignProblem, front: list[Settings], found: FoundDesigns
) -> Generator[Step, Sequence[Figures], None]:
    """Play the front, and the scenario's own design, on fresh keys until membership is decided."""
    budget, player = problem.search.budget, DesignPlayer(problem)
    tolerance = np.array([one.tolerance for one in problem.search.objectives])
    designs = [*front, problem.published]
    count, objectives = len(designs), len(tolerance)
    level = _level(problem, count * (count - 1) // 2 * objectives * budget.looks)
    outcomes: list[DesignOutcome | str] = []
    first, last = budget.searched, budget.searched + budget.fresh
    for _ in range(budget.looks):
        more = yield from player.play(designs, (first, last))
        outcomes = [_both(a, b) for a, b in zip(outcomes, more, strict=True)] if outcomes else more
        members = [one for one in outcomes[:-1] if isinstance(one, DesignOutcome)]
        comparison = compared(np.stack([one.losses for one in members], axis=1), level, tolerance)
        if "undecided" not in comparison.states:
            break
        first, last = last, last + (last - budget.searched)
    own = outcomes[-1]
    found.published = own if isinstance(own, DesignOutcome) else None
    found.fresh = len(members[0].losses)
    found.members = [
        Member(settings, one)
        for settings, one in zip(front, outcomes[:-1], strict=True)
        if isinstance(one, DesignOutcome)
    ]
    _judge(found, comparison, level, tolerance)


def _both(a: DesignOutcome | str, b: DesignOutcome | str) -> DesignOutcome | str:
    if isinstance(a, str) or isinstance(b, str):
        return a if isinstance(a, str) else b
    return a.joined(b)


def _judge(
    found: FoundDesigns, comparison: FrontComparison, level: float, tolerance: Array
) -> None:
    """Note of every member its state, its probability, and who dominates it."""
    members = found.members
    played = np.stack([one.outcome.losses for one in members], axis=1)
    shares = probabilities(played, seed=found.problem.search.budget.seed)
    for number, (member, state) in enumerate(zip(members, comparison.states, strict=True)):
        member.state = state if member.outcome.feasible else "infeasible"
        member.probability = float(shares[number])
        member.dominated_by = tuple(map(int, np.flatnonzero(comparison.dominated[number])))
        if found.published is not None:
            pair = np.stack([found.published.losses, member.outcome.losses], axis=1)
            member.beats_published = bool(compared(pair, level, tolerance).dominated[0, 1])


def _order(found: FoundDesigns) -> list[int]:
    """Return the members that may be chosen, the best first."""
    open_ = [n for n, one in enumerate(found.members) if one.state in ("in", "undecided")]
    if not open_:
        return []
    means = np.array([found.members[n].outcome.losses.mean(axis=0) for n in open_])
    level = _level(found.problem, len(open_) * len(found.problem.search.constraints))
    width = np.ptp(means, axis=0)
    scaled = (means - means.min(axis=0)) / np.where(width > 0.0, width, 1.0)
    away = np.sqrt((scaled**2).sum(axis=1))
    ranked = sorted(
        zip(open_, away, strict=True),
        key=lambda item: (
            not found.members[item[0]].outcome.shown_feasible(level),
            not found.members[item[0]].beats_published,
            item[1],
        ),
    )
    return [number for number, _ in ranked]


def _certify(
    problem: DesignProblem, found: FoundDesigns, audited: AuditOf | None
) -> Generator[Step, Sequence[Figures], None]:
    """Choose a member, vary its fields one at a time, and play it on keys of its own."""
    player, budget = DesignPlayer(problem), problem.search.budget
    number, upper = _passing(problem, found, audited)
    if number is None:
        return
    chosen = found.members[number].settings
    yield from _tornado(problem, found, number)
    designs = [chosen] if found.published is None else [chosen, problem.published]
    outcomes = yield from player.certain(designs, (0, budget.certified), CERTIFIED_SEED)
    published = outcomes[1] if len(outcomes) > 1 else None
    found.certified = Certified(number, outcomes[0], published, upper)


def _passing(
    problem: DesignProblem, found: FoundDesigns, audited: AuditOf | None
) -> tuple[int | None, float | None]:
    """Return the first member whose audit passes, and the upper end of what deviations gain."""
    order, asked = _order(found), problem.search.audit
    if asked is None or audited is None:
        return (order[0] if order else None), None
    for number in order[:_MOST_AUDITED]:
        keys = {"seed": problem.scenario.seed + CERTIFIED_SEED}
        upper = audited(problem.scenario.replace({**keys, **found.members[number].settings}))
        if upper <= asked.at_most:
            return number, upper
        found.failed_audits.append((number, upper))
    return None, None


def _tornado(
    problem: DesignProblem, found: FoundDesigns, number: int
) -> Generator[Step, Sequence[Figures], None]:
    """Note what each field at each of its ends does to the losses, all others as chosen."""
    member, budget = found.members[number], problem.search.budget
    cells = [
        (path, value, {**member.settings, path: value})
        for path, variable in problem.search.variables.items()
        if path in member.settings
        for value in variable.ends
        if value != member.settings[path]
    ]
    cells = [(path, value, _acting(problem, settings)) for path, value, settings in cells]
    keys = (budget.searched, budget.searched + budget.fresh)
    outcomes = yield from DesignPlayer(problem).play([one for _, _, one in cells], keys)
    base = member.outcome.losses[: budget.fresh]
    for (path, value, _), outcome in zip(cells, outcomes, strict=True):
        if isinstance(outcome, DesignOutcome):
            found.tornado.append((path, value, outcome.losses - base))


def _acting(problem: DesignProblem, settings: Settings) -> Settings:
    """Return settings without those that do not act beside the others."""
    found: Settings = {}
    for path, variable in problem.search.variables.items():
        if path in settings and variable.acts_in({**problem.published, **found}, problem.data):
            found[path] = settings[path]
    return found
