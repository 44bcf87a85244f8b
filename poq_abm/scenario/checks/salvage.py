"""What is left of a scenario with mistakes, so that the rest of it can be checked as well.

A file whose ``rounds`` are wrong may name an unknown model too, which only the profile can tell.
Its author should hear of both at once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from poq_abm.scenario.checks.explaining import findings
from poq_abm.scenario.checks.problems import KeyPath, Problem
from poq_abm.scenario.schema.settings import Settings

__all__ = ["further", "salvaged"]

_ATTEMPTS = 3  # taking a value away can only uncover mistakes that hid behind it

#: a check that compares two places says nothing new once either of them is known to be wrong
_COMPARED = {"mechanism.committee_size": "population.evaluators"}


def salvaged(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return ``data`` without what the schema refuses, or nothing where too little is left.

    >>> group = {"inference": [{"model": "a"}], "evaluators": [{"model": "b"}]}
    >>> "rounds" in salvaged({"rounds": 0, "population": group})
    False
    >>> salvaged({"rounds": 0}) is None
    True
    """
    kept = {key: copy.deepcopy(value) for key, value in data.items() if key != "sweep"}
    for _ in range(_ATTEMPTS):
        try:
            Settings.model_validate(kept)
        except ValidationError as error:
            for path, _ in findings(error):
                _take_away(kept, path)
        else:
            return kept
    return None


def further(found: Iterable[Problem], known: Sequence[Problem]) -> list[Problem]:
    """Return the problems found in what was salvaged that the known ones do not explain."""
    wrong = {problem.path for problem in known}
    return [
        problem
        for problem in found
        if not any(_touches(path, problem.path) for path in wrong)
        and not any(_touches(path, _COMPARED.get(problem.path)) for path in wrong)
    ]


def _touches(path: str, other: str | None) -> bool:
    """Return whether one dotted path is the other or lies inside it."""
    if other is None or not path:
        return False
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def _take_away(data: Any, path: KeyPath) -> None:
    """Remove the value at ``path``, as deep as the path leads."""
    for part in path[:-1]:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return
    if path and isinstance(data, dict):
        data.pop(path[-1], None)
