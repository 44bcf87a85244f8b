"""What a search for a mechanism found, as tables and sentences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.design.problem import (
    Constraint,
    DesignProblem,
    Objective,
    SearchedAudit,
    Settings,
)
from poq_abm.analysis.design.searching import Audited, Certified, DesignOutcome, FoundDesigns
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.paired import paired

__all__ = ["certified_level", "design_tables", "in_words", "notes", "paragraph"]

Array = NDArray[np.float64]


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
    and each objective with its interval (alone, at the budget's confidence). ``dominated`` says who
    is shown to dominate whom. ``tornado`` says what one field at a time does to each objective.
    ``progress`` has the hypervolume, as a share of the box of all feasible outcomes, by designs.
    """
    objectives = found.problem.search.objectives
    front = [
        {
            "member": number,
            **{_short(path): one.settings.get(path) for path in found.problem.search.variables},
            "state": one.state,
            "probability": one.probability,
            "beats_published": one.beats_published,
            **_figures(one.outcome, objectives, found.problem.search.budget.confidence),
        }
        for number, one in enumerate(found.members)
    ]
    dominated = [
        {"member": number, "dominated_by": ", ".join(map(str, one.dominated_by))}
        for number, one in enumerate(found.members)
        if one.dominated_by
    ]
    return {
        "front": pd.DataFrame(front),
        "tornado": _tornado(found),
        "dominated": pd.DataFrame(dominated, columns=["member", "dominated_by"]),
        "progress": pd.DataFrame(found.trace, columns=["designs", "hypervolume"]),
    }


def _figures(
    outcome: DesignOutcome, objectives: tuple[Objective, ...], confidence: float
) -> dict[str, float]:
    row: dict[str, float] = {}
    for number, objective in enumerate(objectives):
        values = objective.sign * outcome.losses[:, number]
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
        for number, objective in enumerate(objectives):
            mean, _, low, high = mean_interval(objective.sign * differences[:, number])
            row |= {
                objective.label: mean,
                f"{objective.label}_low": low,
                f"{objective.label}_high": high,
            }
        rows.append(row)
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
    said += [
        f"Objective {name} is the same for every design: it decides nothing."
        for name in found.constant
    ]
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
    for number, bounds in found.failed_audits:
        searched = bounds.searched is not None and bounds.searched > bounds.declared
        who = (
            f"a search for a best response: {bounds.told}" if searched else "a declared deviation."
        )
        said.append(
            f"Member {number} failed its audit, up to {bounds.upper:.4g} tokens per {bounds.per} "
            f"may be gained by {who}"
        )
    if found.certified is None:
        said.append("No member of the front is left to be certified.")
    return said


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
    if certified.audited is not None and search.audit is not None:
        held.append(_bounds(certified.audited, search.audit))
    return (
        f"Of {certified.tried:,} designs, {in_words(certified.settings)}. On {count} replications "
        f"that no earlier stage has seen{against}: {'; '.join(parts)}. "
        + (f"{'; '.join(held)[0].upper()}{'; '.join(held)[1:]}. " if held else "")
        + f"Its probability of being dominated by no other member of the front is "
        f"{certified.probability:.2f}. Intervals hold together at {budget.confidence:.0%}"
        + (", and so do the bounds of its audit." if certified.audited is not None else ".")
    )


def certified_level(problem: DesignProblem, certified: Certified) -> float:
    """Return the level of each interval of a certificate, so that all hold together."""
    search = problem.search
    sides = 1 if certified.published is None else 2
    intervals = sides * len(search.objectives) + len(search.constraints)
    return 1.0 - (1.0 - search.budget.confidence) / intervals


def _bounds(audited: Audited, asked: SearchedAudit) -> str:
    unit = f"tokens per {audited.per}"
    said = f"no declared deviation gains more than {audited.declared:.4g} {unit}"
    if audited.searched is not None:
        said += (
            f", and none that a search of {audited.tried:,} behaviours found more than "
            f"{audited.searched:.4g}"
        )
    return f"{said}, of {asked.at_most:g} that are allowed"


def _constraint(constraint: Constraint, excesses: Array, level: float) -> str:
    _, _, _, high = mean_interval(excesses, level)
    if math.isnan(high) or high <= 0.0:
        return f"{constraint.label} holds, by {-high:.4g} at least"
    return f"{constraint.label} is not shown: it may be missed by {high:.4g}"
