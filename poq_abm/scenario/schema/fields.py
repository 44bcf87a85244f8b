"""Types that several sections of the schema share."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

from poq_abm.scenario.checks.problems import shown
from poq_abm.scenario.schema.strict import complaint

__all__ = [
    "LARGEST",
    "SHARE_TOLERANCE",
    "Behaviour",
    "Coefficient",
    "Label",
    "Share",
    "Shares",
    "Source",
    "as_tuple",
    "countable",
    "named",
    "share_of",
    "sum_to_one",
]

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
    """Return a behaviour as a mapping with its name; a bare name has no parameters."""
    return {"name": value} if isinstance(value, str) else value


def _has_name(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value.get("name"), str):
        raise complaint("a behaviour needs a name, as in {name: boost, b: 3.0}")
    return value


Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Source = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_printable)]
Share = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=0), AfterValidator(countable)]
Behaviour = Annotated[dict[str, Any], BeforeValidator(named), AfterValidator(_has_name)]
Shares = Annotated[dict[Label, Share], AfterValidator(sum_to_one)]
