"""Profiles written from their parts in one dictionary, for tests that spoil one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poq_abm.profile import ProfileDescription, write_profile


def write_parts(folder: Path, **parts: Any) -> Path:
    """Write a profile of its two tables and the fields of its description."""
    scores, costs = (parts.pop(f"{name}_table") for name in ("scores", "costs"))
    return write_profile(folder, ProfileDescription(**parts), scores, costs)
