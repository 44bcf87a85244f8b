"""What the schema found, in words, and what of a scenario is left to be checked beside it.

Every pydantic error becomes one message for the author of a file. A file whose ``rounds`` are wrong
may name an unknown model too, which only the profile can tell: its author should hear of both at
once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import MAX_PROBLEMS, Finding, KeyPath, Problem, shown
from poq_abm.scenario.paths import keys_at
from poq_abm.scenario.schema.settings import Settings
from poq_abm.scenario.yaml_text import MAX_DIGITS, resolve

__all__ = ["findings", "further", "salvaged"]

_INTERNAL = (
    "[key]",
    "[number]",
    "[precision]",
    "[word]",
    "[name]",
    "[mix]",
)  # parts of a place that no file has
_TEMPLATES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "finite_number": "must be finite",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must start with a letter or digit, continue with letters, digits, "
    "'_', '.' or '-', and have at most 80 characters",
}


def findings(error: ValidationError, under: KeyPath = ()) -> list[Finding]:
    """Return where and what for the first ``MAX_PROBLEMS`` mistakes pydantic found.

    ``under`` is where the validated data stands in the scenario.

    >>> from pydantic import ValidationError
    >>> from poq_abm.scenario.schema.settings import Mechanism
    >>> try:
    ...     Mechanism.model_validate({"comittee_size": 2, "alpha_inference": "x"})
    ... except ValidationError as error:
    ...     findings(error)[0]
    (('alpha_inference',), "must be a number, got 'x'")
    """
    details = error.errors(include_url=False)
    if len(details) <= MAX_PROBLEMS:
        return [_finding(detail, under) for detail in details]
    found = [_finding(detail, under) for detail in details[: MAX_PROBLEMS - 1]]
    found.append((under, f"and {len(details) - len(found)} more problems"))
    return found


def _finding(detail: ErrorDetails, under: KeyPath) -> Finding:
    path: KeyPath = (*under, *(part for part in detail["loc"] if part not in _INTERNAL))
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return path, "this key is needed and has no default"
    if kind == "extra_forbidden":
        known = keys_at(path[:-1]) or ()
        return path, f"unknown key; {nearest(str(path[-1])[:80], known)}"
    if kind == "complaint":
        return path, str(context["message"])
    template = _TEMPLATES.get(kind)
    if template is None:
        return path, f"{detail['msg']}, got {shown(value)}"
    bounds = {key: _whole(bound) for key, bound in context.items()}
    return path, f"{template.format(**bounds)}, got {shown(value)}{_hint(kind, value, context)}"


def _whole(bound: Any) -> Any:
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _hint(kind: str, value: Any, context: dict[str, Any]) -> str:
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}" if abs(value) < 2**63 else ""
    if kind == "literal_error" and isinstance(value, str):
        expected = str(context["expected"]).replace(" or ", ", ").split(", ")
        hint = nearest(value[:80], [word.strip("'") for word in expected])
        return f"; {hint}" if hint.startswith("did") else ""
    if kind in ("int_type", "float_type") and isinstance(value, str) and _is_number(value):
        return "; a number stands without quotes"
    return ""


def _is_number(text: str) -> bool:
    return len(text) <= MAX_DIGITS and isinstance(resolve(text), int | float)


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
