"""The manifest of a results folder: what was run, with what, and how far it came.

It decides which rows count, so a changed character in it is as bad as one in a table. It carries
the digests of its own values: one that disagrees is named by its key, and the others can be trusted
all the same. Before anybody believes it, it is checked against itself: the schema, the digests, and
the hash, which must be that of the configuration.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from poq_abm.errors import InputError
from poq_abm.experiment.plan import RESULTS_VERSION, Plan, configuration_hash
from poq_abm.experiment.schemas import SCHEMAS

__all__ = [
    "COMPLETE",
    "DIGESTS",
    "FAILED",
    "MANIFEST",
    "RUNNING",
    "Inspected",
    "differences",
    "inspect_manifest",
    "manifest_of",
    "read_manifest",
    "sealed",
]

MANIFEST = "manifest.json"
COMPLETE, FAILED, RUNNING = "complete", "failed", "running"
DIGESTS = "digests"  #: the key that holds the digests of all the others
_LENGTH = 16  # hexadecimal digits: accidents are found, forgeries are what replays are for
_DEPTH = 64  # far below what Python can recurse into
_LIBRARIES = ("mesa", "numpy", "numba", "pandas", "pyarrow", "scipy", "joblib", "pydantic")

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Table(_Strict):
    """A folder of Parquet files, its rows in all, and the files by name: blocks and checksums."""

    file: str
    rows: Count
    blocks: list[str]


class _Failure(_Strict):
    treatment: Count
    replication: Count
    seed: int
    error: str
    traceback: str


class _Treatment(_Strict):
    id: str
    settings: dict[str, Any]
    replications: Count | None = None
    status: Literal["complete", "failed"] | None = None


class _Configuration(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")
    results_version: int
    scenario: dict[str, Any]
    profiles: list[str]
    trace: bool


class _Precision(_Strict):
    treatment: str
    replications: Count
    used: Count
    mean: float | None
    low: float | None
    high: float | None
    half_width: float | None
    state: str


class _Manifest(_Strict):
    status: Literal["running", "complete", "failed"]
    hash: Digest
    name: str
    question: str
    written: str
    configuration: _Configuration
    profile: str
    treatments: Annotated[list[_Treatment], Field(min_length=1)]
    profiles: dict[str, str]
    seed: int
    engine: Literal["compiled", "agents"]
    extended: list[Count]
    versions: dict[str, str]
    digests: dict[str, str]


class _Finished(_Manifest):
    seconds: Seconds | None
    failures: list[_Failure]
    files: Annotated[dict[str, _Table], Field(min_length=1)]
    precision: list[_Precision] | None = None


class Inspected(NamedTuple):
    """A manifest as it lies there, and what is wrong with it."""

    data: dict[str, Any]
    faults: dict[str, str]  #: by key; one without a key is of the whole file

    @property
    def sound(self) -> dict[str, Any]:
        """What of it can be trusted."""
        if {"", DIGESTS} & set(self.faults):
            return {}
        return {key: value for key, value in self.data.items() if key not in self.faults}

    @property
    def hashes(self) -> set[str]:
        """The configurations that it says it is of: the hash it states, and that of what it holds.

        One of another version of the format is no less of its configuration.
        """
        stated, held = self.data.get("hash"), self.data.get("configuration")
        found = {stated} if isinstance(stated, str) else set()
        return found | ({configuration_hash(held)} if isinstance(held, dict) else set())

    @property
    def foreign_version(self) -> int | None:
        """The version of the results format that wrote it, where that is another than ours."""
        held = self.data.get("configuration")
        number = held.get("results_version") if isinstance(held, dict) else None
        changed = DIGESTS in self.data and "configuration" in _altered(self.data)
        other = isinstance(number, int) and number != RESULTS_VERSION and not changed
        return number if other else None


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    """Return plain data with the digests of its values.

    >>> sealed({"seed": 1})["digests"]["seed"]
    '6b86b273ff34fce1'
    """
    digests = {key: _digest(value) for key, value in data.items()}
    return {**data, DIGESTS: {**digests, DIGESTS: _digest(digests)}}


def _altered(data: dict[str, Any]) -> list[str]:
    """Return the keys that are missing, added, or not as they were sealed.

    Where the digests themselves are not as they were, nothing can be said of the other keys.

    >>> _altered({**sealed({"seed": 1, "rounds": 5}), "seed": 2})
    ['seed']
    """
    digests = data.get(DIGESTS)
    if not isinstance(digests, dict):
        return [DIGESTS]
    others = {key: digest for key, digest in digests.items() if key != DIGESTS}
    if digests.get(DIGESTS) != _digest(others):
        return [DIGESTS]
    missing = [key for key in others if key not in data]
    values = {key: value for key, value in data.items() if key != DIGESTS}
    return missing + [key for key, value in values.items() if digests.get(key) != _digest(value)]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _read_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such file.
    ValueError
        If it cannot be read, or holds something else; says what.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise ValueError("it is no regular file")
    try:
        data = json.loads(path.read_bytes().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ValueError(f"{error.strerror or error}") from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not _is_shallow(data):
        raise ValueError("it is nested too deeply")
    if not isinstance(data, dict):
        raise ValueError("it holds no object")  # noqa: TRY004  (of the file, not of an argument)
    return data


def _is_shallow(data: Any) -> bool:
    """Return whether nothing lies deeper than any of our files goes."""
    level = [data] if isinstance(data, dict | list) else []
    for _ in range(_DEPTH):
        pairs = [value.values() if isinstance(value, dict) else value for value in level]
        level = [v for values in pairs for v in values if isinstance(v, dict | list)]
        if not level:
            return True
    return False


def manifest_of(
    plan: Plan, status: str, engine: str, extended: Sequence[int] = ()
) -> dict[str, Any]:
    """Return a manifest without the entries that are known only at the end.

    ``extended`` holds the numbers of replications at which shorter runs of the same folder ended.
    """
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
        "extended": list(extended),
        "versions": dict(_versions()),
    }


@cache
def _versions() -> dict[str, str]:
    """Return what a run is played with; a version is read from a file of the library's."""
    return {
        "poq_abm": version("poq-abm"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{library: version(library) for library in _LIBRARIES},
    }


def inspect_manifest(folder: Path) -> Inspected:
    """Return the manifest of a results folder with its faults; believe :attr:`Inspected.sound`.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        data = _read_object(folder / MANIFEST)
    except FileNotFoundError:
        raise InputError(f"{folder} is not a results folder: it has no {MANIFEST}") from None
    except NotADirectoryError:
        raise InputError(f"{folder} is not a results folder: it is a file") from None
    except ValueError as error:
        return Inspected({}, {"": f"{MANIFEST} cannot be read: {error}"})
    return Inspected(data, _faults(data))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a results folder, whose every key is as it was written.

    Raises
    ------
    InputError
        If the folder has no manifest, or one that is damaged or of another version.
    """
    inspected = inspect_manifest(folder)
    if (other := inspected.foreign_version) is not None:
        raise InputError(
            f"{folder} holds results in version {other} of the format, and this is version "
            f"{RESULTS_VERSION}: play them again"
        )
    if "hash" not in inspected.data and "configuration" not in inspected.data and inspected.data:
        raise InputError(f"{folder / MANIFEST} is not the manifest of a run")
    if inspected.faults:
        said, *more = inspected.faults.values()
        rest = f" (and {len(more)} more)" if more else ""
        raise InputError(f"{folder}: {said}{rest}; the same `poq run` mends it")
    return inspected.data


def _faults(data: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with a manifest, by key."""
    faults = {
        key: f"{MANIFEST}: `{key}` is {'not what was written' if key in data else 'missing'}"
        for key in _altered(data)
    }
    kind = _Manifest if data.get("status") == "running" else _Finished
    try:
        kind.model_validate(data)
    except ValidationError as error:
        for found in error.errors():
            key = str(found["loc"][0])
            faults.setdefault(key, f"{MANIFEST}: {_first_fault(found)}")
        return faults
    for key, said in _disagreements(data):
        faults.setdefault(key, f"{MANIFEST}: `{key}` {said}")
    return faults


def _first_fault(found: Mapping[str, Any]) -> str:
    """Return what a validation found, on one line."""
    path = ".".join(map(str, found["loc"]))
    return f"`{path}`: {found['msg'][:1].lower()}{found['msg'][1:]}"


def _disagreements(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a well-formed manifest that contradict others."""
    configuration = data["configuration"]
    if configuration_hash(configuration) != data["hash"]:
        yield "hash", "is not that of the configuration"
    if configuration["scenario"].get("seed") != data["seed"]:
        yield "seed", "is not that of the configuration"
    known = len(data["treatments"])
    if any(failure["treatment"] >= known for failure in data.get("failures", [])):
        yield "failures", "names a treatment that there is not"
    for name, entry in data.get("files", {}).items():
        if name not in SCHEMAS or entry["file"] != f"{name}.parquet":
            yield "files", f"calls a table {name!r} and its file {entry['file']!r}"
    if data["status"] != "running" and any(
        t.get("replications") is None for t in data["treatments"]
    ):
        yield "treatments", "lacks replications"


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
