"""Profiles written from their parts in one dictionary, for tests that spoil one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calibration.profile.importing import ImportSettings, import_table
from poq_abm.profile import ProfileDescription, write_profile


def write_parts(folder: Path, **parts: Any) -> Path:
    """Write a profile of its two tables and the fields of its description."""
    scores, costs = (parts.pop(f"{name}_table") for name in ("scores", "costs"))
    return write_profile(folder, ProfileDescription(**parts), scores, costs)


def import_parts(
    path: Path | Sequence[Path],
    *,
    out: Path,
    name: str | None = None,
    report: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> Path:
    """Import a table of scores under the fields of its settings."""
    return import_table(path, out, ImportSettings(**settings), name=name, report=report)
