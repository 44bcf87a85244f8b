"""What a search for a mechanism found, as tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from poq_abm.analysis.design.attainment import attained, traces
from poq_abm.analysis.design.feasibility import boxes
from poq_abm.analysis.design.found import (
    Array,
    Audited,
    BestDeviation,
    Certified,
    FoundCases,
    FoundDesigns,
)
from poq_abm.analysis.design.objectives import Constraint, Objective
from poq_abm.analysis.design.problem import DesignProblem, SearchSection, Settings, Variable
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.paired import paired

__all__ = ["certified_level", "design_tables", "in_words", "notes", "paragraph"]


_WHO = {"evaluator": "an evaluator", "inference": "an inference node", "ring": "a ring"}


def in_words(settings: Settings) -> str:
    """Return a design in words, without the sections that all paths share.

    >>> in_words({"mechanism.committee_size": 5, "mechanism.trust.rate": 0.25})
    'committee_size 5, trust.rate 0.25'
    """
    return ", ".join(f"{_short(path)} {_value(value)}" for path, value in settings.items())


def _short(path: str) -> str:
    return path.removeprefix("mechanism.").removeprefix("economy.")


def _value(value: Any) -> str:
    if isinstance(value, dict) and "name" in value:
        return str(value["name"])
    return f"{value:g}" if isinstance(value, float) else str(value)


def design_tables(found: FoundDesigns) -> dict[str, pd.DataFrame]:
    """Return the tables of a search.

    ``front`` has a row for each member: its fields, ``state`` (shown to be ``in`` or ``out``,
    ``undecided``, or ``infeasible`` on fresh keys), ``probability`` of being dominated by no other,
    and each objective with its interval (alone, at the budget's confidence). ``dominated`` says
    what is shown to dominate whom, and by how much. ``tornado`` says what one field at a time does
    to each objective. ``choices`` and ``ranges`` say where the search went: for each choice, or
    quarter of a range, the designs, those that are feasible, those that meet each constraint, and
    of the feasible ones the best of each objective. ``progress`` has the hypervolume, as a share of
    the box of all feasible outcomes, by designs, for each search. Where the search was repeated,
    ``attainment`` has the share of searches that attain each outcome of the front of all of them;
    where cases were drawn, ``cases`` has each, and ``boxes`` those in which a constraint breaks.
    ``audit`` has, for the chosen design and the scenario's own, the best deviation found by who
    deviates, what it gains with its interval (all of them together), and the most that any other
    may gain.
    """
    objectives = found.problem.search.objectives
    confidence = found.problem.search.budget.confidence
    front = [
        {
            "member": number,
            **_fields(found, one.settings),
            "state": one.state,
            "probability": one.probability,
            "beats_published": one.beats_published,
            **_figures(one.outcome.losses, objectives, confidence),
        }
        for number, one in enumerate(found.members)
    ]
    progress = [
        (number, tried, volume)
        for number, trace in enumerate(traces(found.looks), start=1)
        for tried, volume in trace
    ]
    tables = {
        "front": pd.DataFrame(front),
        "tornado": _tornado(found),
        "dominated": _dominated(found),
        "choices": _tried(found, ranged=False),
        "ranges": _tried(found, ranged=True),
        "progress": pd.DataFrame(progress, columns=["search", "designs", "hypervolume"]),
    }
    if len(found.looks) > 1:
        tables["attainment"] = _attainment(found)
    if found.certified is not None and any(one.best for one in found.certified.audits.values()):
        tables["audit"] = _audited(found.certified.audits)
    if found.cases is not None:
        tables["boxes"] = _boxes(found.cases)
        tables["cases"] = _cases(found, found.cases)
    return tables


def _fields(found: FoundDesigns, settings: Settings) -> dict[str, Any]:
    return {_short(path): settings.get(path) for path in found.problem.search.variables}


def _dominated(found: FoundDesigns) -> pd.DataFrame:
    """Return who is shown to be dominated by which member, and what it would gain there."""
    objectives = found.problem.search.objectives
    confidence = found.problem.search.budget.confidence
    pairs = [
        (str(number), one.outcome, better)
        for number, one in enumerate(found.members)
        for better in one.dominated_by
    ]
    if found.published is not None:
        beaten = [n for n, one in enumerate(found.members) if one.beats_published]
        pairs += [("published", found.published, better) for better in beaten]
    rows = [
        {
            "design": name,
            "dominated_by": better,
            **_figures(found.members[better].outcome.losses - worse.losses, objectives, confidence),
        }
        for name, worse, better in pairs
    ]
    ends = [one.label + end for one in objectives for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["design", "dominated_by", *ends])


def _audited(audits: Mapping[str, Audited]) -> pd.DataFrame:
    rows = [
        {
            "design": name,
            "by": one.by,
            "gain": one.gain,
            "gain_low": one.low,
            "gain_high": one.high,
            "upper": one.upper,
            "deviation": one.deviation,
        }
        for name, audited in audits.items()
        for one in audited.best
    ]
    return pd.DataFrame(rows)


def _tried(found: FoundDesigns, *, ranged: bool) -> pd.DataFrame:
    """Return how many of the designs of the first search have each value, and what came of them.

    On the keys of the search. A design in which a field does not act is in none of its rows.
    """
    search, look = found.problem.search, found.looks[0]
    designs, count = [*look.settings, *look.infeasible], len(look.settings)
    feasible = np.arange(len(designs)) < count
    met = np.ones((len(designs), len(search.constraints)), dtype=np.bool_)
    met[count:] = look.violations <= 0.0
    rows: list[dict[str, Any]] = []
    for path, variable in search.variables.items():
        if ranged == bool(variable.choices):
            continue
        parts = [_part(variable, one[path]) if path in one else -1 for one in designs]
        for number, name in enumerate(_parts(variable)):
            has = np.array(parts) == number
            row = {"field": _short(path), "value": name, "designs": int(has.sum())}
            row |= {"feasible": int((has & feasible).sum())}
            row |= {
                one.label: int((has & holds).sum())
                for one, holds in zip(search.constraints, met.T, strict=True)
            }
            losses = look.losses[has[:count]]
            best = losses.min(axis=0) if len(losses) else np.full(len(search.objectives), np.nan)
            row |= {
                f"best {one.label}": one.sign * float(loss)
                for one, loss in zip(search.objectives, best, strict=True)
            }
            rows.append(row)
    columns = ["field", "value", "designs", "feasible", *(one.label for one in search.constraints),
               *(f"best {one.label}" for one in search.objectives)]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _parts(variable: Variable) -> list[str]:
    """Return what the choices of a field are called, or the quarters of its range."""
    choices = [_value(one) for one in variable.choices]
    ends = [(f"{first:g}", f"{last:g}") for first, last in variable.quarters]
    return choices or [first if first == last else f"{first} to {last}" for first, last in ends]


def _part(variable: Variable, value: Any) -> int:
    """Return the number of the choice, or of the quarter, that a value is in."""
    if variable.choices:
        return variable.choices.index(value)
    firsts = [first for first, _ in variable.quarters]
    return int(np.searchsorted(firsts, value, side="right")) - 1


def _attainment(found: FoundDesigns) -> pd.DataFrame:
    search = found.problem.search
    tolerance = np.array([one.tolerance for one in search.objectives])
    rows = [
        {
            **_fields(found, one.settings),
            **{o.label: o.sign * v for o, v in zip(search.objectives, one.losses, strict=True)},
            "attained": one.share,
            "attained_low": one.low,
            "attained_high": one.high,
        }
        for one in attained(found.looks, tolerance, search.budget.front)
    ]
    return pd.DataFrame(rows)


def _cases(found: FoundDesigns, cases: FoundCases) -> pd.DataFrame:
    """Return each case with the excess of every constraint, at most 0 where it holds."""
    named = cases.cases.rename(columns=_short)
    labels = [one.label for one in found.problem.search.constraints]
    excess = pd.DataFrame(cases.excesses, columns=labels)
    return pd.concat([named, excess], axis=1).assign(fails=cases.fails)


def _boxes(cases: FoundCases) -> pd.DataFrame:
    """Return the boxes with coverage and density on cases that did not find them."""
    rows = []
    for number, one in enumerate(boxes(cases.cases.rename(columns=_short), cases.fails)):
        row: dict[str, Any] = {"box": number + 1, "where": one.box.in_words(), "cases": one.inside}
        for name, share in (("coverage", one.coverage), ("density", one.density)):
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), share, strict=True))
        rows.append(row)
    ends = [name + end for name in ("coverage", "density") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["box", "where", "cases", *ends])


def _figures(
    losses: Array, objectives: tuple[Objective, ...], confidence: float
) -> dict[str, float]:
    row: dict[str, float] = {}
    for number, objective in enumerate(objectives):
        values = objective.sign * losses[:, number]
        mean, _, low, high = mean_interval(values, confidence)
        row |= {
            objective.label: mean,
            f"{objective.label}_low": low,
            f"{objective.label}_high": high,
        }
    return row


def _tornado(found: FoundDesigns) -> pd.DataFrame:
    objectives = found.problem.search.objectives
    rows = []
    for path, value, differences in found.tornado:
        row: dict[str, Any] = {"field": _short(path), "value": _value(value)}
        confidence = found.problem.search.budget.confidence
        rows.append(row | _figures(differences, objectives, confidence))
    names = [objective.label for objective in objectives]
    columns = ["field", "value", *(n + end for n in names for end in ("", "_low", "_high"))]
    table = pd.DataFrame(rows, columns=columns)
    if not rows:
        return table
    size = table[names].abs() / table[names].abs().max().replace(0.0, 1.0)
    order = size.max(axis=1).groupby(table["field"]).transform("max")
    return table.loc[order.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)


def notes(found: FoundDesigns) -> list[str]:
    """Return what a reader has to know beside the tables."""
    said = [
        f"{found.tried:,} designs tried, {found.distinct:,} of them different"
        + (
            f"; {found.impossible:,} cannot be, the first because {found.why_impossible}"
            if found.impossible
            else ""
        )
        + "."
    ]
    said += [f"Begun with {in_words(one)}, of a certificate." for one in found.begun_with]
    said += [
        f"Objective {name} is the same for every design: it decides nothing."
        for name in found.constant
    ]
    said.append(
        "Choices, and ranges in the files and on the page: on the keys of the search, which went "
        "where it found better. These designs are no sample of all, so that a share of them has no "
        "interval."
    )
    if found.least_violated is not None:
        said.append(_nobody(found))
        return said
    for path in dict.fromkeys(path for path, _, _ in found.tornado):
        if all(not one.any() for name, _, one in found.tornado if name == path):
            said.append(f"{_short(path)} has no effect around the chosen design.")
    for path, value, differences in found.tornado:
        if (differences.mean(axis=0) < 0.0).all():
            said.append(
                f"{_short(path)} {_value(value)}, all else as chosen, has better means in every "
                "objective: it breaks a constraint, or a longer search would find better."
            )
    if (lost := _overfit(found)) is not None:
        said.append(lost)
    said += [
        f"Member {number} failed its audit: {_failed(gains)}."
        for number, gains in found.failed_audits
    ]
    if found.certified is None:
        said.append("No member of the front is left to be certified.")
    if found.chosen is not None and len(found.looks) > 1:
        said.append(_repeated(found))
    if found.members:
        said.append(_keys(found))
    return said


def _failed(gains: Audited) -> str:
    if not gains.best:
        return "of no deviation is it known what it gains, as nobody who could had a job"
    worst = gains.worst
    return (
        f"{worst.deviation}, or another deviation by {_WHO[worst.by]}, may gain up to "
        f"{gains.upper:.4g} tokens per {gains.unit}"
    )


def _keys(found: FoundDesigns) -> str:
    """Return which figures hold the luck of the search, and which are of keys it has not seen."""
    budget = found.problem.search.budget
    attained = " and attainment" * (len(found.looks) > 1)
    said = (
        f"Progress{attained}: on the keys of the search (replications 0 to {budget.searched - 1}), "
        f"whose luck it has climbed. Front, dominated and tornado: on {found.fresh} fresh "
        f"replications (the tornado on the first {budget.fresh} of them)."
    )
    if found.certified is None:
        return said
    parts = ["Certificate", *(["audit"] if found.certified.audits else [])]
    parts += ["cases"] if found.cases is not None else []
    return f"{said} {', '.join(parts)}: under another seed."


def _repeated(found: FoundDesigns) -> str:
    """Return whether the chosen design is what the search finds, or luck of its seed."""
    assert found.chosen is not None
    tolerance = np.array([one.tolerance for one in found.problem.search.objectives])
    first = found.looks[0]
    outcome = first.losses[first.settings.index(found.chosen.settings)]
    others = found.looks[1:]
    hits = [bool((one.losses <= outcome + tolerance).all(axis=1).any()) for one in others]
    ends = [trace[-1][1] for trace in traces(found.looks) if trace]
    return (
        f"Searched again from {len(hits)} other seed{'s' * (len(hits) > 1)}: {sum(hits)} of them "
        f"come to a design nowhere worse than the chosen one, on the keys of the search; "
        f"hypervolumes end between "
        f"{min(ends):.3f} and {max(ends):.3f}."
    )


def _broken(problem: DesignProblem, cases: FoundCases) -> str:
    """Return in how many cases the choice is no longer feasible, and where they lie."""
    count, fails = len(cases.cases), int(cases.fails.sum())
    names = ", ".join(_short(str(name)) for name in cases.cases)
    said = (
        f"Of {count:,} cases of {names} ({cases.replications} replications each), the chosen "
        f"design breaks a constraint in {fails:,}"
    )
    left = f"; {cases.impossible:,} more cannot be" if cases.impossible else ""
    if not 0 < fails < count:
        return f"{said}{left}."
    per = {
        one.label: int((cases.excesses[:, number] > 0.0).sum())
        for number, one in enumerate(problem.search.constraints)
    }
    which = ", ".join(f"{name} in {n:,}" for name, n in per.items() if n)
    table = _boxes(cases)
    where = "; ".join(
        f"{row['where']} (of cases that did not find this, it holds {row['coverage']:.0%} of those "
        f"that break; there {row['density']:.0%} [{row['density_low']:.0%}, "
        f"{row['density_high']:.0%}] do)"
        for row in table.to_dict("records")
    )
    told = f" Above all where {where}." if where else " No box tells them from the others."
    return f"{said} ({which}){left}.{told}"


def _nobody(found: FoundDesigns) -> str:
    assert found.least_violated is not None
    settings, violations = found.least_violated
    constraints = found.problem.search.constraints
    broken = "; ".join(
        f"{one.label} by {excess:.4g}"
        for one, excess in zip(constraints, violations, strict=True)
        if excess > 0.0
    )
    return (
        f"No design meets every constraint. The least violated is {in_words(settings)}: it misses "
        f"{broken}."
    )


def _overfit(found: FoundDesigns) -> str | None:
    """Return which members owed their place to the keys of the search."""
    out = [number for number, one in enumerate(found.members) if one.state in ("out", "infeasible")]
    if not out:
        return None
    return (
        f"{len(out)} of {len(found.members)} members of the front owed their place to the keys of "
        f"the search, and lost it on {found.fresh} fresh replications."
    )


def paragraph(problem: DesignProblem, certified: Certified) -> str:
    """Return the certificate in words: what was chosen, what it does, how surely."""
    search = problem.search
    budget, count = search.budget, len(certified.outcome.losses)
    together = certified_level(problem, certified)
    parts = []
    for number, objective in enumerate(search.objectives):
        values = objective.sign * certified.outcome.losses[:, number]
        mean, _, low, high = mean_interval(values, together)
        said = f"{objective.label} {mean:.4g} [{low:.4g}, {high:.4g}]"
        if certified.published is not None:
            before = objective.sign * certified.published.losses[:, number]
            pairs = paired(before, values, together)
            said += f", {pairs.difference:+.4g} [{pairs.low:+.4g}, {pairs.high:+.4g}]"
        parts.append(said)
    against = "" if certified.published is None else " (and against the scenario's own mechanism)"
    held = [
        _constraint(one, certified.outcome.excesses[:, number], together)
        for number, one in enumerate(search.constraints)
    ]
    sentences = [
        f"Of {certified.tried:,} designs, {in_words(certified.settings)}.",
        f"On {count} replications that no earlier stage has seen{against}: {'; '.join(parts)}.",
        *(f"{one[0].upper()}{one[1:]}." for one in ["; ".join(held)] if held),
        f"Its probability of being dominated by no other member of the front is "
        f"{certified.probability:.2f}. Intervals hold together at {budget.confidence:.0%}.",
        *([_audit_said(certified.audits, search)] if certified.audits else []),
        *([_broken(problem, certified.cases)] if certified.cases is not None else []),
    ]
    return " ".join(sentences)


def certified_level(problem: DesignProblem, certified: Certified) -> float:
    """Return the level of each interval of a certificate, so that all hold together."""
    search = problem.search
    sides = 1 if certified.published is None else 2
    intervals = sides * len(search.objectives) + len(search.constraints)
    return 1.0 - (1.0 - search.budget.confidence) / intervals


def _audit_said(audits: Mapping[str, Audited], search: SearchSection) -> str:
    """Return what the best deviations gain, under the chosen design and the scenario's own."""
    chosen, own = audits["chosen"], audits.get("published")
    if not chosen.best:
        return "The audit told of no deviation what it gains: nobody who could deviate had a job."
    before = {} if own is None else {one.by: one for one in own.best}
    said = []
    for one in chosen.best:
        gains = f"{_WHO[one.by]} gains {_gain(one)}"
        if (there := before.get(one.by)) is not None:
            gains += f", {_against(one, there)} {_gain(there)}"
        said.append(gains)
    looked = sum(one.tried for audited in audits.values() for one in audited.best)
    at_most = None if search.audit is None else search.audit.at_most
    if at_most is not None:
        said.append(
            f"the highest upper end, of the declared ones and of the best that each search came "
            f"to, is {chosen.upper:.4g}, of {at_most:g} that are allowed"
        )
    return (
        f"By the best of {looked:,} deviations that were declared or searched for, in tokens per "
        f"{chosen.unit}, {'; '.join(said)}. These intervals, too, hold together at "
        f"{search.budget.confidence:.0%}."
    )


def _gain(one: BestDeviation) -> str:
    return f"{one.gain:+.4g} [{one.low:.4g}, {one.high:.4g}] ({one.deviation})"


def _against(one: BestDeviation, own: BestDeviation) -> str:
    """Return how a gain is to that under the scenario's own mechanism, whose own follows.

    The best of either side lies between its lower end and the most that any of its kind may gain:
    another deviation than the one that looked best may be it.
    """
    if np.allclose(_ends(one), _ends(own), rtol=1e-9, atol=1e-12):
        return "as under the scenario's own mechanism,"
    if one.low > own.upper:
        return "more than under the scenario's own mechanism,"
    if one.upper < own.low:
        return "less than under the scenario's own mechanism,"
    return "not told apart from that under the scenario's own mechanism,"


def _ends(one: BestDeviation) -> tuple[float, float, float]:
    return one.low, one.high, one.upper


def _constraint(constraint: Constraint, excesses: Array, level: float) -> str:
    _, _, _, high = mean_interval(excesses, level)
    if math.isnan(high) or high <= 0.0:
        return f"{constraint.label} holds, by {-high:.4g} at least"
    return f"{constraint.label} is not shown: it may be missed by {high:.4g}"
