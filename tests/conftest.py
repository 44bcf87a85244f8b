"""Fixtures that several rooms share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))  # what several rooms of tests share

from poq_abm.cli import main
from poq_abm.experiment.manifest import DIGESTS, MANIFEST, read_manifest, sealed
from poq_abm.experiment.running import run
from poq_abm.rules import registry
from poq_abm.scenario import Scenario, load


@pytest.fixture
def small() -> Scenario:
    """The published population, few rounds: plays in a moment."""
    return load("cost_aware_poq", ["rounds=200", "replications=3"])


@pytest.fixture(scope="session")
def stored_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Results folders to look at, never to change: of rounds, of an economy, of queries."""
    home = tmp_path_factory.mktemp("stored")
    scenarios = {
        "base": load("cost_aware_poq", ["rounds=200", "replications=4"]),
        "economy": load("entry_exit", ["rounds=2400", "replications=3"]),
        "protocols": load("verification_trilemma", ["rounds=100", "replications=2"]),
    }
    return {name: run(scenario).save(home / name) for name, scenario in scenarios.items()}


@pytest.fixture
def shipped_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the rules that other tests registered, and afterwards those of this one."""
    monkeypatch.setattr(registry, "_own", {})


_OF_FINISHED_RUNS = ("seconds", "failures", "files", "precision", DIGESTS)


def rewrite_manifest(folder: Path, **changes: Any) -> None:
    """Write a manifest anew, as this package would if these had been its values."""
    data = {**read_manifest(folder), **changes}
    data.pop(DIGESTS, None)
    (folder / MANIFEST).write_text(json.dumps(sealed(data)))


def interrupt(folder: Path) -> None:
    """Leave a manifest as a run leaves it that is stopped before its end."""
    manifest = read_manifest(folder)
    begun = {key: value for key, value in manifest.items() if key not in _OF_FINISHED_RUNS}
    named = [{key: entry[key] for key in ("id", "settings")} for entry in manifest["treatments"]]
    begun |= {"status": "running", "treatments": named}
    (folder / MANIFEST).write_text(json.dumps(sealed(begun)))


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Poq = Callable[..., Outcome]


@pytest.fixture
def poq(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Poq:
    """Call ``poq`` with these arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # which runners of tests set

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["poq", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        streams = capsys.readouterr()
        return Outcome(code, streams.out, streams.err)

    return call
