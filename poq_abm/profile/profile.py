"""The profile in memory: read-only arrays for the engines, a table of costs, and its provenance.

On disk a profile is written once and whole, read only if not a byte has changed, and found by name.
``profile.json`` holds the SHA-256 of both tables and, as ``content_hash``, the SHA-256 of its own
canonical JSON without that field. A profile is written into a hidden folder beside its
destination, flushed, and renamed, so a folder with a ``profile.json`` is always a finished one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.profile import latencies
from poq_abm.profile.validity import (
    COST_COLUMNS,
    COSTS_FILE,
    HEADER_FILE,
    MONEY_COLUMNS,
    SCHEMA_VERSION,
    SCORE_COLUMNS,
    SCORES_FILE,
    check_costs,
    check_header,
    check_scores,
    content_hash,
    names_of,
)

__all__ = [
    "Profile",
    "ProfileDescription",
    "folder_of",
    "load_profile",
    "profile_names",
    "read_profile",
    "write_profile",
]

_ARRAYS = ("task_of_record", "scores", "truth", "judge")


@dataclass(frozen=True, eq=False)
class Profile:
    """A measured joint table of scores, truth and judge, with the costs of the nodes.

    Records are sorted so that the records of one task are contiguous, in the order of ``tasks``.
    All arrays are C-contiguous and read-only. Two profiles are the same when their
    ``content_hash`` is the same.

    Attributes
    ----------
    name
        Name in ``profile.json``.
    content_hash
        SHA-256 (hex) of everything in ``profile.json``, the hashes of both tables included.
    tasks, records, models, evaluators
        Names, in the order of the axes of the arrays.
    task_of_record
        Index into ``tasks`` per record; shape (records,), non-decreasing.
    scores
        Normalised scores in [0, 10]; shape (records, models, evaluators).
    truth
        Ground-truth proxy in [0, 10], all NaN where nobody knows it; shape (records, models);
        analysis only.
    judge
        Judge score in [0, 10], NaN where there is none; shape (records, models).
    costs
        One row per role, node key and hardware, with ``latency_ms`` > 0 and further columns that
        are NaN where not known.
    provenance
        What is published, inferred and assumed, as written by the author of the profile.

    Examples
    --------
    >>> from poq_abm.profile import load_profile
    >>> profile = load_profile("published")
    >>> profile.scores.shape
    (400, 5, 3)
    """

    name: str
    content_hash: str
    tasks: tuple[str, ...]
    records: tuple[str, ...]
    task_of_record: NDArray[np.int64]
    models: tuple[str, ...]
    evaluators: tuple[str, ...]
    scores: NDArray[np.float64]
    truth: NDArray[np.float64]
    judge: NDArray[np.float64]
    costs: pd.DataFrame
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        self._freeze()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._freeze()  # NumPy does not pickle the read-only flag

    def __repr__(self) -> str:
        shape = " x ".join(str(size) for size in self.scores.shape)
        return f"<Profile {self.name!r} {self.content_hash[:12]}: {shape} scores>"

    def hardware_of(self, node: str) -> tuple[str, ...]:
        """Return the hardware on which node key ``node`` has a measured cost, sorted.

        Raises :class:`~poq_abm.errors.InputError` when the key has no cost at all.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").hardware_of("sts_stsb")
        ('rtx_4090',)
        """
        measured = tuple(sorted(machine for key, machine in self._latencies if key == node))
        if not measured:
            known = {key for key, _ in self._latencies}
            raise InputError(
                f"profile {self.name!r} has no costs of node {node!r}; {nearest(node, known)}"
            )
        return measured

    def hardware_fault(self, node: str, hardware: str) -> str | None:
        """Return why node key ``node`` has no latency on ``hardware``, or ``None`` if it has one.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").hardware_fault("sts_stsb", "rtx_3090") is None
        True
        """
        return latencies.hardware_fault(self, node, hardware)

    def latency_ms(self, node: str, hardware: str) -> float:
        """Return the mean latency of one job of node key ``node`` on ``hardware``, in milliseconds.

        Raises :class:`~poq_abm.errors.InputError` when that pair was not measured, naming those
        that were.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").latency_ms("gemma_2_2b_it", "rtx_4090")
        1108.0
        """
        latency = self._latencies.get((node, hardware))
        if latency is None:
            known = ", ".join(repr(machine) for machine in self.hardware_of(node))
            raise InputError(
                f"profile {self.name!r} has no latency of {node!r} on {hardware!r}; "
                f"measured on: {known}"
            )
        return latency

    def price_fault(self, node: str, hardware: str | None) -> str | None:
        """Return why the answers of a node key have no price on ``hardware``, or ``None``.

        ``None`` for hardware is the first on which the key was measured.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").price_fault("sts_stsb", None)
        "profile 'published' has no prices (usd_per_answer), as servers with a price list have"
        """
        machine = hardware or self.hardware_of(node)[0]
        if not self._prices:
            said = "has no prices (usd_per_answer), as servers with a price list have"
        elif (node, machine) not in self._prices:
            known = ", ".join(sorted({f"{key} on {where}" for key, where in self._prices}))
            said = f"has no price of {node!r} on {machine!r}, but of {known}"
        else:
            return None
        return f"profile {self.name!r} {said}"

    def usd_per_answer(self, node: str, hardware: str) -> float:
        """Return the mean price of one answer, or score, of node key ``node``, in dollars.

        Raises :class:`~poq_abm.errors.InputError` where that is not known.
        """
        if fault := self.price_fault(node, hardware):
            raise InputError(fault)
        return self._prices[node, hardware]

    @cached_property
    def knows_truth(self) -> bool:
        """Whether there is a truth; where there is none, what needs it is missing or refused.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").knows_truth
        True
        """
        return not bool(np.isnan(self.truth).any())

    @cached_property
    def agreed(self) -> NDArray[np.float64]:
        """Mean score of all evaluator models for each answer; shape (records, models)."""
        mean: NDArray[np.float64] = self.scores.mean(axis=2)
        return mean

    @cached_property
    def _latencies(self) -> dict[tuple[str, str], float]:
        return self._known_costs("latency_ms")

    @cached_property
    def _prices(self) -> dict[tuple[str, str], float]:
        (column,) = MONEY_COLUMNS
        return self._known_costs(column) if column in self.costs else {}

    def _known_costs(self, column: str) -> dict[tuple[str, str], float]:
        """Return a column of the cost table by node key and hardware, where it is known."""
        rows = zip(*(self.costs[c].tolist() for c in ("node", "hardware", column)), strict=True)
        return {(node, where): float(cost) for node, where, cost in rows if pd.notna(cost)}

    def _freeze(self) -> None:
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            if array.flags.writeable:
                array = array.copy() if array is getattr(self, name) else array
                array.flags.writeable = False
            object.__setattr__(self, name, array)


Named = Sequence[str] | Mapping[str, Mapping[str, Any]]
_TABLES = (SCORES_FILE, COSTS_FILE)
MAX_BYTES = 4_000_000_000  #: of one file of a profile


@dataclass(frozen=True)
class ProfileDescription:
    """What a profile says of itself in ``profile.json``.

    ``tasks``, ``models``, ``evaluators`` and ``hardware`` are names, or names with a description
    each (``{"sts_stsb": {"checkpoint": ...}}``); their order is kept. The rest is plain JSON.
    """

    name: str
    tasks: Named
    models: Named
    evaluators: Named
    normalisation: Mapping[str, Any]
    hardware: Named
    provenance: Mapping[str, Any]


def read_profile(folder: str | Path) -> Profile:
    """Return the profile in ``folder`` after checking its hashes and its tables.

    Raises :class:`~poq_abm.errors.InputError` for a missing folder or file, an unreadable or
    altered file, another schema version, and every fault of :mod:`poq_abm.profile.validity`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no profile folder {str(folder)!r}")
    header = _read_header(folder)
    scores, costs = (_read_table(folder, file, header["files"].get(file)) for file in _TABLES)
    _check_tables(header, scores, costs)
    return _assemble(header, scores, costs)


def write_profile(
    folder: str | Path,
    description: ProfileDescription,
    scores: pd.DataFrame,
    costs: pd.DataFrame,
) -> Path:
    """Write a profile folder and return its path.

    ``scores`` has one row per record and model with the columns record, task, model, truth, judge
    and one per evaluator; ``costs`` one row per node key and hardware.

    Raises :class:`~poq_abm.errors.InputError` when ``folder`` exists, when a table is not valid,
    when something is not plain JSON, and when the disk refuses.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{str(folder)!r} exists; a profile is never overwritten")
    header: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": description.name,
        "provenance": dict(description.provenance),
        "tasks": _entries(description.tasks),
        "models": _entries(description.models),
        "evaluators": _entries(description.evaluators),
        "normalisation": dict(description.normalisation),
        "hardware": _entries(description.hardware),
        "files": {},
        "content_hash": "",
    }
    check_header(header)
    _check_tables(header, scores, costs)
    columns = (*SCORE_COLUMNS, *names_of(header, "evaluators"))
    priced = [name for name in MONEY_COLUMNS if name in costs and costs[name].notna().any()]
    blobs = {
        SCORES_FILE: _parquet(scores[list(columns)]),
        COSTS_FILE: _parquet(costs[[*COST_COLUMNS, *priced]]),
    }
    header["files"] = {file: hashlib.sha256(blob).hexdigest() for file, blob in blobs.items()}
    try:
        header["content_hash"] = content_hash(header)
    except (TypeError, ValueError) as error:
        raise InputError(f"the description of the profile is not plain JSON: {error}") from error
    text = json.dumps(header, indent=2, ensure_ascii=False) + "\n"
    _publish(folder, {**blobs, HEADER_FILE: text.encode()})
    return folder


def _entries(named: Named) -> list[dict[str, Any]]:
    if isinstance(named, Mapping):
        return [{"name": name, **description} for name, description in named.items()]
    return [{"name": name} for name in named]


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def _publish(folder: Path, blobs: Mapping[str, bytes]) -> None:
    """Write ``blobs`` into a hidden sibling of ``folder``, then give it its name."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as room:
            draft = Path(room) / folder.name
            draft.mkdir()
            for file, blob in blobs.items():
                with (draft / file).open("wb") as stream:
                    stream.write(blob)
                    stream.flush()
                    os.fsync(stream.fileno())
            if folder.exists():
                raise InputError(f"{str(folder)!r} exists; a profile is never overwritten")
            draft.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write the profile {str(folder)!r}: {error}") from error


def _read_bytes(folder: Path, file: str) -> bytes:
    """Return what a regular file holds: a device or a pipe might never end."""
    path = folder / file
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot read {str(path)!r}: it is no regular file")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(
                f"{str(path)!r} has {size:,} bytes; at most {MAX_BYTES:,} are read, since all of "
                "it is held in memory"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{str(folder)!r} is not a profile: {file} is missing") from error
    except OSError as error:
        raise InputError(f"cannot read {str(folder / file)!r}: {error}") from error


def _read_header(folder: Path) -> dict[str, Any]:
    try:
        header = json.loads(_read_bytes(folder, HEADER_FILE))
    except ValueError as error:
        raise InputError(f"{str(folder / HEADER_FILE)!r} is not readable JSON: {error}") from error
    check_header(header)
    try:
        unchanged = content_hash(header) == header["content_hash"]
    except ValueError as error:
        raise InputError(f"{str(folder / HEADER_FILE)!r} holds NaN or infinity") from error
    if not unchanged:
        raise InputError(f"{str(folder / HEADER_FILE)!r} was altered: its content hash differs")
    return dict(header)


def _read_table(folder: Path, file: str, pinned: object) -> pd.DataFrame:
    blob = _read_bytes(folder, file)
    if hashlib.sha256(blob).hexdigest() != pinned:
        raise InputError(
            f"{str(folder / file)!r} was altered: its hash is not the one in {HEADER_FILE}"
        )
    try:
        return pd.read_parquet(io.BytesIO(blob))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{str(folder / file)!r} is not readable Parquet: {error}") from error


def _check_tables(header: dict[str, Any], scores: pd.DataFrame, costs: pd.DataFrame) -> None:
    tasks, models, evaluators, hardware = (
        names_of(header, field) for field in ("tasks", "models", "evaluators", "hardware")
    )
    check_scores(scores, tasks, models, evaluators)
    check_costs(costs, models, evaluators, hardware)


def _assemble(header: dict[str, Any], scores: pd.DataFrame, costs: pd.DataFrame) -> Profile:
    """Return the profile made of checked parts: rows sorted by task, record and model."""
    tasks, models, evaluators = (
        names_of(header, field) for field in ("tasks", "models", "evaluators")
    )
    scores = scores.reset_index(drop=True)
    keys = pd.DataFrame(
        {
            "task": scores["task"].map({task: i for i, task in enumerate(tasks)}),
            "record": scores["record"].astype(str),
            "model": scores["model"].map({model: i for i, model in enumerate(models)}),
        }
    )
    keys = keys.sort_values(["task", "record", "model"])
    rows = scores.loc[keys.index]
    first = keys.iloc[:: len(models)]
    shape = (len(first), len(models))

    def grid(column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return rows[column].to_numpy(dtype=np.float64, na_value=np.nan).reshape(shape)

    return Profile(
        name=header["name"],
        content_hash=header["content_hash"],
        tasks=tasks,
        records=tuple(first["record"].tolist()),
        task_of_record=first["task"].to_numpy(dtype=np.int64),
        models=models,
        evaluators=evaluators,
        scores=np.stack([grid(evaluator) for evaluator in evaluators], axis=-1),
        truth=grid("truth"),
        judge=grid("judge"),
        costs=costs,
        provenance=header["provenance"],
    )


_SHELF = Path(__file__).parent / "data"


def profile_names() -> list[str]:
    """Return the names of the profiles that ship, sorted.

    >>> "published" in profile_names()
    True
    """
    return sorted(header.parent.name for header in _SHELF.glob(f"*/{HEADER_FILE}"))


def folder_of(name_or_path: str | Path) -> Path:
    """Return the folder of a profile that ships, by name, or the folder that a path names.

    The name of a shipped profile wins over a folder of that name in the working directory; write
    ``./published`` for the folder. A :class:`~pathlib.Path` is always a folder.

    Raises :class:`~poq_abm.errors.InputError` when it is neither, with the nearest name.

    >>> folder_of("published").name
    'published'
    """
    if isinstance(name_or_path, str) and name_or_path in profile_names():
        return _SHELF / name_or_path
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"{str(name_or_path)!r} is neither a profile that ships nor a folder; "
            f"{nearest(folder.name, profile_names())}"
        )
    return folder


def load_profile(name_or_path: str | Path) -> Profile:
    """Return a profile that ships, by name, or any other, by the path of its folder.

    Raises :class:`~poq_abm.errors.InputError` when :func:`folder_of` or
    :func:`~poq_abm.profile.profile.read_profile` does.

    >>> load_profile("published").models[0]
    'llama_3_2_3b'
    """
    return read_profile(folder_of(name_or_path))
