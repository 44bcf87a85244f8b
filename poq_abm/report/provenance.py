"""Where a run comes from, and how to get it again."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError
from poq_abm.experiment.manifest import differences
from poq_abm.experiment.plan import Plan
from poq_abm.report.tables import MOST_ROWS
from poq_abm.scenario.library import scenario_names

__all__ = ["Reproduction", "provenance", "reproduction"]

_MOST_SETTINGS = 8  #: on a command line; with more, the file is the better way


class Reproduction(NamedTuple):
    """The command that plays a run again, and whether it needs the scenario file first."""

    command: str
    needs_file: bool
    note: str


def provenance(run: StoredRun) -> list[tuple[str, str]]:
    """Return what pins a run: hashes, seed, engine, versions, and the checksums of its files."""
    manifest = run.manifest
    lines = [
        ("scenario", run.name),
        ("configuration", f"SHA-256 {manifest['hash']}"),
        *((f"profile {name}", f"SHA-256 {digest}")
          for name, digest in manifest.get("profiles", {}).items()),
        ("seed", str(manifest.get("seed"))),
        ("engine", str(manifest.get("engine"))),
        ("status", str(manifest.get("status"))),
        ("written", str(manifest.get("written"))),
    ]  # fmt: skip
    lines += [(name, str(version)) for name, version in manifest.get("versions", {}).items()]
    for entry in manifest.get("files", {}).values():
        table, files = str(entry["file"]), entry["blocks"]
        listed = f"; the first {MOST_ROWS} follow" if len(files) > MOST_ROWS else ""
        lines.append((table, f"{entry['rows']:,} rows, files: {len(files):,}{listed}"))
        for file in files[:MOST_ROWS]:
            _, digest, _ = file.rsplit(".", 2)
            lines.append((f"{table}/{file}", f"SHA-256 begins with {digest}"))
    for what, digest in manifest["configuration"].get("plugins", {}).items():
        lines.append((f"code of {what}", str(digest)))
    return lines


def reproduction(run: StoredRun) -> Reproduction:
    """Return a command whose results carry the same hash, tried out on the hash itself.

    A scenario of the library that differs in a few fields becomes ``--set`` options; anything else
    is played from the scenario file that the report holds.
    """
    trace = " --trace" if run.manifest["configuration"].get("trace") else ""
    for settings in _from_library(run):
        command = " ".join(["poq run", run.name, *(f"--set {shlex.quote(s)}" for s in settings)])
        if _hash(run, settings) == run.manifest["hash"]:
            return Reproduction(
                command + trace, False, "The hash of this configuration is the same."
            )
    file = f"{run.name}.yaml"
    note = "Save the scenario above under this name first."
    if _hash_of_file(run) != run.manifest["hash"]:
        note += (
            " This installation gives it another hash than the run has: a profile, code of the "
            "user's own or this package has changed since."
        )
    return Reproduction(f"poq run {file}{trace}", True, note)


def _from_library(run: StoredRun) -> list[list[str]]:
    if run.name not in scenario_names():
        return []
    plain = Plan.load(run.name).scenario.resolved()
    own = run.scenario.resolved()
    changed = [line.split(": ")[0] for line in differences(plain, own)]
    if len(changed) > _MOST_SETTINGS or any(path.startswith("sweep") for path in changed):
        return []
    found = [(path, _at(own, path)) for path in changed]
    if any(isinstance(value, dict | list) for _, value in found):
        return []
    return [[f"{path}={'null' if value is None else value}" for path, value in found]]


def _at(data: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(data, list):
            data = data[int(part)] if int(part) < len(data) else {}
        else:
            data = data.get(part, {})
    return data


def _hash(run: StoredRun, settings: list[str]) -> str | None:
    trace = bool(run.manifest["configuration"].get("trace"))
    try:
        return Plan.load(run.name, settings, trace=trace).hash()
    except InputError:
        return None


def _hash_of_file(run: StoredRun) -> str | None:
    trace = bool(run.manifest["configuration"].get("trace"))
    try:
        return Plan.of(run.scenario, trace=trace).hash()
    except InputError:
        return None
