"""Every fault of a profile folder at once, where reading it stops at the first."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from poq_abm.errors import InputError
from poq_abm.profile.checks import cost_faults, header_faults, names_of, score_faults
from poq_abm.profile.layout import COSTS_FILE, HEADER_FILE, SCORES_FILE
from poq_abm.profile.store import content_hash

__all__ = ["profile_faults"]


def profile_faults(folder: str | Path) -> list[str]:
    """Return every fault of a profile folder, in words; an empty list says that it is valid.

    Looked at are ``profile.json``, the hashes, and all of :mod:`poq_abm.profile.checks`. A table is
    looked at even where its hash is wrong, but not where it cannot be read or where the names in
    ``profile.json`` are not valid. Raises :class:`~poq_abm.errors.InputError` when there is no
    such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no profile folder {str(folder)!r}")
    faults: list[str] = []
    header = _header(folder, faults)
    tables = {}
    for file in (SCORES_FILE, COSTS_FILE):
        files = header.get("files") if isinstance(header, dict) else None
        pinned = files.get(file) if isinstance(files, dict) else None
        tables[file] = _table(folder, file, pinned, faults, header is not None)
    if isinstance(header, dict):
        faults += _table_faults(header, tables)
    return faults


def _header(folder: Path, faults: list[str]) -> Any:
    """Return ``profile.json`` as far as it can be read, noting what is wrong with it."""
    blob = _bytes(folder, HEADER_FILE, faults)
    if blob is None:
        return None
    try:
        header = json.loads(blob)
    except (ValueError, RecursionError) as error:
        faults.append(f"{HEADER_FILE} is not readable JSON: {error}")
        return None
    found = list(header_faults(header))
    faults += found
    if isinstance(header, dict) and "content_hash" in header:
        try:
            if content_hash(header) != header["content_hash"]:
                faults.append(f"{HEADER_FILE} was altered: its content hash differs")
        except ValueError:
            faults.append(f"{HEADER_FILE} holds NaN or infinity")
    return header


def _table(
    folder: Path, file: str, pinned: object, faults: list[str], is_pinned: bool
) -> pd.DataFrame | None:
    blob = _bytes(folder, file, faults)
    if blob is None:
        return None
    if is_pinned and hashlib.sha256(blob).hexdigest() != pinned:
        faults.append(f"{file} was altered: its hash is not the one in {HEADER_FILE}")
    try:
        return pd.read_parquet(io.BytesIO(blob))
    except (pa.ArrowException, OSError) as error:
        faults.append(f"{file} is not readable Parquet: {error}")
        return None


def _table_faults(header: dict[str, Any], tables: dict[str, pd.DataFrame | None]) -> list[str]:
    try:
        tasks, models, evaluators, hardware = (
            names_of(header, field) for field in ("tasks", "models", "evaluators", "hardware")
        )
    except (InputError, KeyError):
        return []  # already told
    faults: list[str] = []
    scores, costs = tables[SCORES_FILE], tables[COSTS_FILE]
    if scores is not None:
        faults += score_faults(scores, tasks, models, evaluators)
    if costs is not None:
        faults += cost_faults(costs, models, evaluators, hardware)
    return faults


def _bytes(folder: Path, file: str, faults: list[str]) -> bytes | None:
    try:
        return (folder / file).read_bytes()
    except FileNotFoundError:
        faults.append(f"{file} is missing")
    except OSError as error:
        faults.append(f"cannot read {file}: {error}")
    return None
