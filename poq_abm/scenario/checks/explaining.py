"""What the schema found, in words: every pydantic error as one message for the author of a file."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import MAX_PROBLEMS, Finding, KeyPath, shown
from poq_abm.scenario.paths import keys_at
from poq_abm.scenario.yaml_text import MAX_DIGITS, resolve

__all__ = ["findings"]

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
