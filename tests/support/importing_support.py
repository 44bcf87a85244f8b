"""Imports of score tables under the fields of their settings, for tests that change one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calibration.profile.importing import ImportSettings, import_table


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
