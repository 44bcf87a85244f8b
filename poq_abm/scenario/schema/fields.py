"""What sections of the schema are made of: strict data, shared types, and when a setting acts.

A section's ``acts`` maps a key to the :class:`When` under which it can reach the result; a key
without an entry always does. Conditions are joined by ``&`` and ``|``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.registry import called
from poq_abm.scenario.checks.problems import shown

__all__ = [
    "LARGEST",
    "SHARE_TOLERANCE",
    "Amount",
    "Behaviour",
    "Coefficient",
    "Label",
    "Positive",
    "Share",
    "Shares",
    "Source",
    "Strict",
    "When",
    "above",
    "as_axis",
    "as_tuple",
    "complaint",
    "countable",
    "given",
    "holds",
    "lacking",
    "name_or_mapping",
    "named",
    "present",
    "share_of",
    "sum_to_one",
    "within",
]


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


class Strict(BaseModel):
    """Data that does not change, takes no unknown key, converts no type and knows no infinity."""

    #: the keys that do not always reach the result, with the condition under which they do
    acts: ClassVar[Mapping[str, When]] = {}

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    @classmethod
    def known(cls) -> dict[str, FieldInfo]:
        """Return the fields that it has, those that come of rules of one's own among them."""
        return cls.model_fields


def complaint(message: str) -> PydanticCustomError:
    """Return an error for a validator to raise, whose text reaches the author as it is.

    >>> str(complaint("the shares sum to 0.9, not to 1"))
    'the shares sum to 0.9, not to 1'
    """
    return PydanticCustomError("complaint", "{message}", {"message": message})


SHARE_TOLERANCE: Final = 1e-6
#: of coefficients and amounts: fourth powers of sums over 2**48 rounds are finite, in doubles
LARGEST: Final = 1e30


def _printable(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise complaint(f"must be printable, without blanks around it, got {shown(value)}")
    return value


def as_tuple(value: Any) -> Any:
    """Return a list as a tuple, which does not change, and anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def countable(value: float) -> float:
    """Return an amount of which sums and their squares are finite, or complain.

    >>> countable(1e18)
    1e+18
    """
    if abs(value) > LARGEST:
        said = f"must be at most {LARGEST:g}, so that squares of sums are finite, got {value:g}"
        raise complaint(said)
    return value


def sum_to_one(shares: dict[str, float]) -> dict[str, float]:
    """Return shares that sum to 1, or complain with what they sum to."""
    total = math.fsum(shares.values())
    if abs(total - 1.0) > SHARE_TOLERANCE:
        raise complaint(f"the shares sum to {total:.9g}, not to 1")
    return shares


def share_of(share: float, nodes: int) -> int:
    """Return how many of so many nodes a share is: floor(share x nodes), rounding errors apart.

    >>> share_of(0.29, 100), share_of(0.02, 10)
    (29, 0)
    """
    return math.floor(share * nodes + 1e-9)


def named(value: Any) -> Any:
    """Return a behaviour as a mapping with its name; a bare name has no parameters.

    What a paper calls otherwise goes by the name that tables have.

    >>> named("random_noise")
    {'name': 'noise'}
    """
    spec = {"name": value} if isinstance(value, str) else value
    name = spec.get("name") if isinstance(spec, Mapping) else None
    if isinstance(name, str):
        found = (called(kind, name) for kind in BEHAVIOURS.values())
        return {**spec, "name": next((rule.name for rule in found if rule is not None), name)}
    return spec


def name_or_mapping(names: Iterable[str] = ()) -> dict[str, Any]:
    """Return the JSON Schema of a name, of those known or of any, or of a mapping that has one.

    >>> name_or_mapping(["mean"])["anyOf"][0]
    {'enum': ['mean']}
    """
    bare: dict[str, Any] = {"enum": list(names)} if names else {"type": "string"}
    return {"anyOf": [bare, {"type": "object", "required": ["name"]}]}


def _has_name(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value.get("name"), str):
        raise complaint("a behaviour needs a name, as in {name: boost, b: 3.0}")
    return value


Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Source = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_printable)]
Share = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=0), AfterValidator(countable)]
Behaviour = Annotated[
    dict[str, Any],
    BeforeValidator(named),
    AfterValidator(_has_name),
    WithJsonSchema(name_or_mapping()),
]
Shares = Annotated[dict[Label, Share], AfterValidator(sum_to_one)]


Amount = Annotated[float, Field(ge=0), AfterValidator(countable)]


def _divides(value: float) -> float:
    if value < 1.0 / LARGEST:
        raise complaint(f"must be at least {1.0 / LARGEST:g}, for others are divided by it")
    return value


Positive = Annotated[float, Field(gt=0), AfterValidator(countable), AfterValidator(_divides)]
