"""The manifest of a results folder: what was run, with what, and how far it came."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.plan import Plan

__all__ = ["MANIFEST", "differences", "manifest_of", "read_manifest"]

MANIFEST = "manifest.json"
_LIBRARIES = ("mesa", "numpy", "numba", "pandas", "pyarrow", "scipy", "joblib", "pydantic")


def manifest_of(plan: Plan, status: str, engine: str) -> dict[str, Any]:
    """Return a manifest without the entries that are known only at the end."""
    scenario = plan.scenario
    return {
        "status": status,
        "hash": plan.hash(),
        "name": scenario.name,
        "question": scenario.question,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "configuration": plan.configuration(),
        "profile": str(scenario.profile),
        "treatments": [{"id": t.id, "settings": t.settings} for t in plan.treatments],
        "profiles": {profile.name: profile.content_hash for profile in plan.profiles.values()},
        "seed": scenario.seed,
        "engine": engine,
        "versions": {
            "poq_abm": poq_abm.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{library: version(library) for library in _LIBRARIES},
        },
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a results folder.

    Raises
    ------
    InputError
        If the folder has no readable manifest.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is not a results folder: it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or "hash" not in manifest:
        raise InputError(f"{path} is not the manifest of a run")
    return manifest


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in which fields two configurations differ, a line for each.

    >>> differences({"scenario": {"seed": 1, "rounds": 5}}, {"scenario": {"seed": 2, "rounds": 5}})
    ['seed: 1 there, 2 now']
    """
    before, after = dict(_leaves(there)), dict(_leaves(now))
    absent = "absent"
    return [
        f"{path}: {before.get(path, absent)} there, {after.get(path, absent)} now"
        for path in dict.fromkeys([*before, *after])
        if before.get(path, absent) != after.get(path, absent)
    ]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field of plain data by its dotted path."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}.{index}")
    else:
        yield path.removeprefix("scenario."), json.dumps(value, ensure_ascii=False)
