"""What every part of the schema shares: strictness, and complaints in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from poq_abm.scenario.schema.acting import When

__all__ = ["Strict", "complaint"]


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
