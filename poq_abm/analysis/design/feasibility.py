"""Where a design stops being feasible: drawn cases, and boxes of those that break a constraint.

The patient rule induction method (PRIM) of Friedman and Fisher, Statistics and Computing 9 (1999),
as scenario discovery uses it (Bryant and Lempert, Technological Forecasting and Social Change 77,
2010). It is the project's own: the algorithm is a page, and the one library that has it brings
plotting stacks and a cluster along.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import scipy  # which imports scipy.special where it is first used
from numpy.typing import NDArray

from poq_abm.analysis.audit.best_response import plainly
from poq_abm.analysis.design.found import DesignOutcome, FoundCases
from poq_abm.analysis.design.playing import Figures
from poq_abm.analysis.design.problem import DesignProblem, Settings, Variable
from poq_abm.analysis.design.searching import CERTIFIED_SEED, DesignPlayer
from poq_abm.experiment.estimates import CONFIDENCE, share_interval
from poq_abm.experiment.search import Step
from poq_abm.scenario.sweep.designs import AxisRange, LatinHypercube

__all__ = ["Box", "FoundBox", "boxes", "play_cases", "prim"]

Mask = NDArray[np.bool_]

_PEELED = 0.05  #: of the cases in a box, that one peel or paste takes off or adds
_LEAST = 0.05  #: of all cases, that a box holds
_MOST_BOXES = 3
_BY_CHANCE = 0.05  #: a restriction that does no more than chance may is dropped


@dataclass(frozen=True)
class Box:
    """Limits by field: the lowest and highest value of a number, or which choices are inside.

    >>> Box({"share": (0.3, math.inf)}).in_words()
    'share >= 0.3'
    """

    limits: dict[str, Any] = field(default_factory=dict)

    def contains(self, cases: pd.DataFrame) -> Mask:
        """Return which cases are inside."""
        inside = np.ones(len(cases), dtype=np.bool_)
        for name, limit in self.limits.items():
            if isinstance(limit, frozenset):
                inside &= cases[name].isin(limit).to_numpy()
            else:
                values = cases[name].to_numpy()
                inside &= (values >= limit[0]) & (values <= limit[1])
        return inside

    def limited(self, name: str, limit: Any) -> Box:
        """Return the box with another limit of one field."""
        return Box({**self.limits, name: limit})

    def without(self, name: str) -> Box:
        """Return the box with one field free."""
        return Box({key: limit for key, limit in self.limits.items() if key != name})

    def in_words(self) -> str:
        """Return the limits as a sentence says them."""
        said = []
        for name, limit in sorted(self.limits.items()):
            if isinstance(limit, frozenset):
                said.append(f"{name} {' or '.join(sorted(map(str, limit)))}")
                continue
            low, high = limit
            if math.isfinite(low) and math.isfinite(high):
                said.append(f"{name} {low:.3g} to {high:.3g}")
            else:
                said.append(f"{name} {f'>= {low:.3g}' if math.isfinite(low) else f'<= {high:.3g}'}")
        return ", ".join(said) or "anywhere"


def prim(cases: pd.DataFrame, fails: Mask) -> Box:
    """Return the box of failing cases with the highest harmonic mean of coverage and density.

    Coverage is the share of failing cases that are inside, density that of cases inside that fail.
    From the whole space, the face (a twentieth of the cases inside, or one choice) whose removal
    raises the density most for each case that goes is peeled off, again and again (a choice takes
    many at once; Kwakkel and Jaxa-Rozen, Environmental Modelling & Software 79, 2016). The best box
    on the way is pasted: a face's neighbours are added, or a face is peeled, as long as that makes
    it better. Limits that chance would explain (a binomial test at 5% against the density without
    them) are dropped.

    >>> cases = pd.DataFrame({"share": np.linspace(0, 1, 200), "noise": np.tile([0.0, 1.0], 100)})
    >>> prim(cases, (cases["share"] > 0.7).to_numpy()).in_words()
    'share >= 0.698'
    """
    least = _LEAST * len(cases)
    box = best = Box()
    score = _score(box, cases, fails)
    while True:
        inside = box.contains(cases)
        density, count = float(fails[inside].mean()), int(inside.sum())
        options = []
        for one in _peeled(box, cases[inside]):
            left = one.contains(cases)
            if least <= left.sum() < count:
                gone = count - int(left.sum())
                options.append(((float(fails[left].mean()) - density) / gone, -gone, one))
        if not options:
            break
        *_, box = max(options, key=lambda option: option[:2])
        if (reached := _score(box, cases, fails)) > score:
            best, score = box, reached
    return _tested(_pasted(best, cases, fails), cases, fails)


def _score(box: Box, cases: pd.DataFrame, fails: Mask) -> float:
    """Return the harmonic mean of coverage and density."""
    inside = box.contains(cases)
    hit = int((inside & fails).sum())
    return 2.0 * hit / (int(inside.sum()) + int(fails.sum())) if hit else 0.0


def _peeled(box: Box, cases: pd.DataFrame) -> Iterator[Box]:
    """Yield the box without one of its faces."""
    for name in map(str, cases):
        values = cases[name]
        if not pd.api.types.is_numeric_dtype(values):
            known = frozenset(values)
            yield from (box.limited(name, known - {one}) for one in sorted(known, key=str))
            continue
        at = np.sort(values.to_numpy(np.float64))
        count = max(int(_PEELED * len(at)), 1)
        low, high = box.limits.get(name, (-math.inf, math.inf))
        if (above := at[at > at[count - 1]]).size:
            yield box.limited(name, ((at[count - 1] + above[0]) / 2.0, high))
        if (below := at[at < at[-count]]).size:
            yield box.limited(name, (low, (at[-count] + below[-1]) / 2.0))


def _pasted(box: Box, cases: pd.DataFrame, fails: Mask) -> Box:
    """Return the box with neighbours of its faces, or without faces, as long as it is better."""
    score = _score(box, cases, fails)
    while True:
        moved = [*_widened(box, cases), *_peeled(box, cases[box.contains(cases)])]
        options = [
            (_score(one, cases, fails), one)
            for one in moved
            if one.contains(cases).sum() >= _LEAST * len(cases)
        ]
        reached, wider = max(options, key=lambda option: option[0], default=(score, box))
        if not reached > score:
            return box
        box, score = wider, reached


def _widened(box: Box, cases: pd.DataFrame) -> Iterator[Box]:
    for name, limit in box.limits.items():
        beside = cases[box.without(name).contains(cases)][name]
        if isinstance(limit, frozenset):
            for one in sorted(frozenset(beside) - limit, key=str):
                yield box.limited(name, limit | {one})
            continue
        low, high = limit
        count = max(int(_PEELED * box.contains(cases).sum()), 1)
        below, above = np.sort(beside[beside < low]), np.sort(beside[beside > high])
        if below.size:
            yield box.limited(name, (below[-count] if count < below.size else -math.inf, high))
        if above.size:
            yield box.limited(name, (low, above[count - 1] if count < above.size else math.inf))


def _tested(box: Box, cases: pd.DataFrame, fails: Mask) -> Box:
    """Return the box without limits that chance explains."""
    inside = box.contains(cases)
    hits, count = int(fails[inside].sum()), int(inside.sum())
    for name in list(box.limits):
        density = float(fails[box.without(name).contains(cases)].mean())
        # the chance of so many hits, or more, were the limit of no use
        chance = float(scipy.special.bdtrc(hits - 1, count, density)) if hits else 1.0
        if chance > _BY_CHANCE:
            return _tested(box.without(name), cases, fails)
    return box


@dataclass(frozen=True)
class FoundBox:
    """A box that was found on one half of the cases, and what it is worth on the other."""

    box: Box
    inside: int  #: cases of the other half
    coverage: tuple[float, float, float]  #: share, and the ends of its interval
    density: tuple[float, float, float]


def boxes(cases: pd.DataFrame, fails: Mask, confidence: float = CONFIDENCE) -> list[FoundBox]:
    """Return up to three boxes that cover the failing cases, the most of them first.

    Every other case finds them; the rest says what they are worth, so that a box which fits luck is
    shown as what it is. Cases inside one box count for no later one. A box whose density is not
    shown to be above that of the cases that were left ends the list.
    """
    finds = np.arange(len(cases)) % 2 == 0
    failing, left = fails & ~finds, np.ones(len(cases), dtype=np.bool_)
    found: list[FoundBox] = []
    for _ in range(_MOST_BOXES):
        some = finds & left
        if fails[some].sum() <= _LEAST * fails[finds].sum() or fails[some].all():
            break
        box = prim(cases[some], fails[some])
        inside = box.contains(cases) & left
        if not box.limits or not (inside & ~finds).any():
            break
        density = _share(fails[inside & ~finds], confidence)
        if not density[1] > fails[left & ~finds].mean():
            break
        coverage = _share(inside[failing], confidence)
        found.append(FoundBox(box, int((inside & ~finds).sum()), coverage, density))
        left &= ~inside
    return found


def _share(hits: Mask, confidence: float) -> tuple[float, float, float]:
    return share_interval(hits.astype(float), np.ones(len(hits)), confidence, clustered=False)


def play_cases(
    problem: DesignProblem, settings: Settings
) -> Generator[Step, Sequence[Figures], FoundCases]:
    """Return what a design comes to in cases that are drawn from what is uncertain.

    On keys of their own, behind those of its certificate; evenly spread (a Latin hypercube), by the
    seed of the budget alone.
    """
    budget, drawn = problem.search.budget, _drawn(problem)
    keys = (budget.certified, budget.certified + budget.replications)
    player = DesignPlayer(problem)
    outcomes = yield from player.play([settings] * len(drawn), keys, CERTIFIED_SEED, drawn)
    possible = [isinstance(one, DesignOutcome) for one in outcomes]
    excesses = [one.violations for one in outcomes if isinstance(one, DesignOutcome)]
    cells = [{name: _cell(value) for name, value in case.items()} for case in drawn]
    cases = pd.DataFrame(cells)[possible].reset_index(drop=True)
    count = len(problem.search.constraints)
    table = np.array(excesses).reshape(len(excesses), count)
    return FoundCases(cases, table, budget.replications, possible.count(False))


def _drawn(problem: DesignProblem) -> list[Settings]:
    """Return the cases."""
    budget, uncertain = problem.search.budget, problem.search.uncertainties
    unit: Any = {name: [0.0, 1.0] for name in uncertain}
    points = LatinHypercube(samples=budget.cases, seed=budget.seed, ranges=unit).points()
    columns = [
        _values(variable, places)
        for variable, places in zip(uncertain.values(), points, strict=True)
    ]
    return [dict(zip(uncertain, values, strict=True)) for values in zip(*columns, strict=True)]


def _cell(value: Any) -> Any:
    """Return a value as a table has it: lists and mappings as words."""
    if isinstance(value, tuple | list):
        return " and ".join(map(str, value))
    return plainly(value) if isinstance(value, dict) else value


def _values(variable: Variable, places: list[float]) -> list[Any]:
    if variable.choices:
        count = len(variable.choices)
        return [variable.choices[min(int(place * count), count - 1)] for place in places]
    span = AxisRange.model_validate(
        {"low": variable.low, "high": variable.high, "scale": variable.scale}
    )
    return list(span.whole(places) if variable.is_whole else span.real(places))
