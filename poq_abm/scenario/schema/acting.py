"""When a setting acts: a small algebra of conditions, which every section declares for its keys.

A section's ``acts`` maps a key to the :class:`When` under which it can reach the result; a key
without an entry always does. Conditions are joined by ``&`` and ``|``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from poq_abm.scenario.checks.problems import shown

__all__ = ["When", "above", "as_axis", "given", "holds", "lacking", "present", "within"]


class When(NamedTuple):
    """A condition on a scenario: why it does not hold, and the fields that decide it.

    >>> from types import SimpleNamespace as Namespace
    >>> when = given("mechanism.aggregation", "huber") & above("rounds", 5)
    >>> when.fault(Namespace(mechanism=Namespace(aggregation="mean"), rounds=9), None)
    "acts only with mechanism.aggregation: huber, not 'mean'"
    >>> when.because
    ('mechanism.aggregation', 'rounds')
    """

    fault: Callable[[Any, Any], str | None]  #: of the scenario and the section that has the key
    because: tuple[str, ...]
    own: bool = False  #: whether it is about the key's own value, as a share that is nobody
    swept: bool = False  #: whether it asks something of axes only: the key has to be written

    def __and__(self, other: When) -> When:
        def fault(settings: Any, section: Any) -> str | None:
            return self.fault(settings, section) or other.fault(settings, section)

        return When(fault, self.because + other.because)

    def __or__(self, other: When) -> When:
        def fault(settings: Any, section: Any) -> str | None:
            first, second = self.fault(settings, section), other.fault(settings, section)
            return None if first is None or second is None else f"{first}; or {second}"

        return When(fault, self.because + other.because)


def _value(settings: Any, path: str) -> Any:
    """Return the value at a dotted path, or nothing where a section on the way is not there."""
    for key in path.split("."):
        settings = getattr(settings, key, None)
    return settings


def given(path: str, *values: Any) -> When:
    """Return the condition that a field has one of these values."""
    wanted = " or ".join(str(value).lower() for value in values)

    def fault(settings: Any, _section: Any) -> str | None:
        value = _value(settings, path)
        return None if value in values else f"acts only with {path}: {wanted}, not {shown(value)}"

    return When(fault, (path,))


def above(path: str, bound: float = 0) -> When:
    """Return the condition that a number is larger than ``bound``."""

    def fault(settings: Any, _section: Any) -> str | None:
        value = _value(settings, path)
        if value is not None and value > bound:
            return None
        return f"acts only with {path} above {bound:g}, not {shown(value)}"

    return When(fault, (path,))


def present(path: str) -> When:
    """Return the condition that a field is there, and not empty."""

    def fault(settings: Any, _section: Any) -> str | None:
        return None if _value(settings, path) else f"acts only with {path}, which is not set"

    return When(fault, (path,))


def lacking(path: str, why: str) -> When:
    """Return the condition that a section is not there; ``why`` says what it would do otherwise."""

    def fault(settings: Any, _section: Any) -> str | None:
        return None if _value(settings, path) is None else f"does nothing here: {why}"

    return When(fault, (path,))


def holds(test: Callable[[Any], bool], said: str, *because: str) -> When:
    """Return the condition that a test of the scenario is passed; ``said`` is why if it is not."""

    def fault(settings: Any, _section: Any) -> str | None:
        return None if test(settings) else said

    return When(fault, because)


def as_axis(when: When) -> When:
    """Return the condition, asked of axes only, where the key cannot be left out."""
    return when._replace(swept=True)


def within(test: Callable[[Any, Any], str | None], *because: str) -> When:
    """Return a condition on the key's own value, from the scenario and the section that has it."""
    return When(test, because, own=True)
