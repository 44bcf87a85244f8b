"""Short lists: every combination of some choices, and the best of them by selection."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from poq_abm.analysis.design.playing import Figures
from poq_abm.analysis.design.problem import DesignProblem, Settings
from poq_abm.analysis.design.searching import DesignPlayer, key_of
from poq_abm.analysis.design.selection import kim_nelson
from poq_abm.analysis.design.tables import in_words
from poq_abm.errors import InputError
from poq_abm.experiment.search import Step

__all__ = ["select_design", "short_list"]

_MOST = 500  #: candidates of a short list
_MOST_REPLICATIONS = 2_000
_STEP = 5


def short_list(problem: DesignProblem) -> list[Settings]:
    """Return every combination of the choices, without fields that do not act in it."""
    variables = problem.search.variables
    for path, variable in variables.items():
        if not variable.choices:
            raise InputError(f"{path} has a range: a selection tries choices")
    found: dict[str, Settings] = {}
    for values in itertools.product(*(one.choices for one in variables.values())):
        settings: Settings = {}
        for (path, variable), value in zip(variables.items(), values, strict=True):
            if variable.acts_in(settings, problem.data):
                settings[path] = value
        found.setdefault(key_of(settings), settings)
        if len(found) > _MOST:
            raise InputError(f"more than {_MOST} combinations: search them with `poq design`")
    return list(found.values())


def select_design(
    problem: DesignProblem, indifference: float
) -> Generator[Step, Sequence[Figures], tuple[pd.DataFrame, str]]:
    """Return all candidates with their means and replications, and who was selected, in words.

    By :func:`~poq_abm.analysis.design.selection.kim_nelson` on the first objective. Constraints
    and the other objectives are not looked at: what is compared is one figure.
    """
    if not indifference > 0.0:
        raise InputError(f"a difference that does not matter is above 0, got {indifference!r}")
    listed, player = short_list(problem), DesignPlayer(problem)
    budget, objective = problem.search.budget, problem.search.objectives[0]
    selecting = kim_nelson(
        len(listed),
        indifference,
        budget.confidence,
        max(budget.replications, 4),
        _MOST_REPLICATIONS,
        _STEP,
    )
    draw = next(selecting)
    while True:
        some = [listed[number] for number in draw.candidates]
        outcomes = yield from player.certain(some, (draw.first, draw.last))
        try:
            draw = selecting.send(np.stack([one.losses[:, 0] for one in outcomes]))
        except StopIteration as end:
            chosen = end.value
            break
    rows: list[dict[str, Any]] = [
        {
            "candidate": in_words(settings),
            objective.label: objective.sign * float(mean),
            "replications": int(count),
            "selected": number == chosen.best,
        }
        for number, (settings, mean, count) in enumerate(
            zip(listed, chosen.means, chosen.replications, strict=True)
        )
    ]
    how = (
        f"it is the best with a probability of {budget.confidence:.0%} at least wherever it is "
        f"better by {indifference:g} (Kim and Nelson 2001)"
        if chosen.decided
        else f"after {_MOST_REPLICATIONS} replications it has the best mean, which decides nothing"
    )
    said = f"Selected by {objective.label}: {in_words(listed[chosen.best])}; {how}."
    table = pd.DataFrame(rows).sort_values(objective.label, ascending=objective.sign > 0.0)
    return table.reset_index(drop=True), said
