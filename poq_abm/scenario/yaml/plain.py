"""Values of Python and NumPy as the plain data that a scenario file holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return a value as plain data: NumPy's scalars and arrays, ranges, tuples, paths, sections.

    Anything else is left as it is, for the schema to refuse.

    >>> plain({"mechanism.committee_size": range(1, 4), "profile": ("a", "b")})
    {'mechanism.committee_size': [1, 2, 3], 'profile': ['a', 'b']}
    """
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # without importing NumPy
        value = value.tolist()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
