"""The search for a mechanism in three stages: look, decide on fresh keys, certify on others."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from poq_abm.analysis.design.found import (
    Array,
    Audited,
    AuditOf,
    Certified,
    DesignOutcome,
    FoundDesigns,
    Looked,
    Member,
)
from poq_abm.analysis.design.fronts import (
    FrontComparison,
    compared,
    non_dominated,
    probabilities,
    spread_out,
)
from poq_abm.analysis.design.playing import Figures
from poq_abm.analysis.design.problem import DesignBudget, DesignProblem, Settings
from poq_abm.analysis.design.proposing import Proposer
from poq_abm.errors import InputError
from poq_abm.experiment.search import Step
from poq_abm.scenario import Scenario, ScenarioError

__all__ = [
    "CERTIFIED_SEED",
    "MOST_AUDITED",
    "DesignPlayer",
    "certified_scenario",
    "look",
    "play_certified",
    "search_designs",
]

Playing = Generator[Step, Sequence[Figures], Any]

#: added to the scenario's seed for the certificate, whose keys nothing before has seen
CERTIFIED_SEED = 1
MOST_AUDITED = 5  #: members, before it is said that none passes


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
    known = yield from look(problem, proposer, found)
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
        self,
        designs: Sequence[Settings],
        keys: tuple[int, int],
        seed: int = 0,
        cases: Sequence[Settings | None] = (),
    ) -> Generator[Step, Sequence[Figures], list[DesignOutcome | str]]:
        """Return what came of designs, each in its case if it has one, or why one cannot be."""
        problem, scenarios, sizes = self._problem, list[Scenario](), list[int | str]()
        for settings, case in zip(designs, cases or [None] * len(designs), strict=True):
            try:
                more = problem.scenarios(settings, seed, case)
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


def look(
    problem: DesignProblem, proposer: Proposer, found: FoundDesigns
) -> Generator[Step, Sequence[Figures], dict[str, tuple[Settings, DesignOutcome]]]:
    """Return every possible design that was tried, with what came of it."""
    budget, player = problem.search.budget, DesignPlayer(problem)
    known: dict[str, DesignOutcome | str] = {}
    designs: dict[str, Settings] = {}
    ends: list[tuple[int, int]] = []  # designs tried, different ones among them
    leading: list[str] = []  # that no other dominates
    found.tried = 0
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
    feasible = [key for key, one in possible.items() if one.feasible]
    losses = [possible[key].losses.mean(axis=0) for key in feasible]
    order = {key: number for number, key in enumerate(known)}
    placed = [order[key] for key in feasible]
    trace = [(tried, int(np.searchsorted(placed, size))) for tried, size in ends]
    table = np.array(losses).reshape(len(losses), len(problem.search.objectives))
    others = {key: one.violations for key, one in possible.items() if not one.feasible}
    broken = np.array(list(others.values())).reshape(len(others), len(problem.search.constraints))
    settings, refused = [designs[key] for key in feasible], [designs[key] for key in others]
    found.looks.append(Looked(settings, table, trace, refused, broken))
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
    number, own = _passing(problem, found, audited)
    if number is None:
        return
    found.chosen_member, member = number, found.members[number]
    yield from _tornado(problem, found, number)
    outcome, published = yield from play_certified(problem, member.settings)
    audits = {} if own is None else {"chosen": own}
    if audited is not None and published is not None:
        audits["published"] = audited(certified_scenario(problem, problem.published))
    found.certified = Certified(
        member.settings, outcome, published, audits, found.tried, member.probability
    )


def certified_scenario(problem: DesignProblem, settings: Settings) -> Scenario:
    """Return a design with all honest, on the keys of a certificate."""
    keys = {"seed": problem.scenario.seed + CERTIFIED_SEED}
    return problem.scenario.replace({**keys, **settings})


def play_certified(
    problem: DesignProblem, settings: Settings
) -> Generator[Step, Sequence[Figures], tuple[DesignOutcome, DesignOutcome | None]]:
    """Return what came of a design, and of the scenario's own one if it is another.

    On the keys of a certificate.
    """
    player, keys = DesignPlayer(problem), (0, problem.search.budget.certified)
    own = [] if problem.published == settings else [problem.published]
    chosen, *others = yield from player.play([settings, *own], keys, CERTIFIED_SEED)
    if isinstance(chosen, str):
        raise InputError(f"the design of the certificate cannot be played: {chosen}")
    published = [one for one in others if isinstance(one, DesignOutcome)]
    return chosen, published[0] if published else None


def _passing(
    problem: DesignProblem, found: FoundDesigns, audited: AuditOf | None
) -> tuple[int | None, Audited | None]:
    """Return the first member whose audit passes, and what deviators gain under it."""
    order, asked = _order(found), problem.search.audit
    if asked is None or audited is None:
        return (order[0] if order else None), None
    for number in order[:MOST_AUDITED]:
        gains = audited(certified_scenario(problem, found.members[number].settings))
        if asked.at_most is None or gains.upper <= asked.at_most:
            return number, gains
        found.failed_audits.append((number, gains))
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
