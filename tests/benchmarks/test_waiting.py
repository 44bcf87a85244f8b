"""The trace and start-up benchmarks run and report everything they promise."""

from __future__ import annotations

import json

import pytest

from benchmarks import startup, trace


def test_a_short_trace_is_measured(capsys):
    assert trace.main(["--json", "--rounds", "2000", "--repeats", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rounds"] == [200, 2000]
    assert len(document["measurements"]) == 6
    assert all(row["value"] > 0 for row in document["measurements"])


def test_importing_loads_nothing_heavy():
    assert startup.heavy_modules_loaded() == []


def test_startup_without_the_command_reports_null(capsys, monkeypatch):
    monkeypatch.setattr(startup, "find_spec", lambda _: None)
    assert startup.main(["--json", "--repeats", "1"]) == 0
    imported, run = json.loads(capsys.readouterr().out)["measurements"]
    assert imported["value"] > 0
    assert run["value"] is None
    assert run["met"] is None


def test_a_heavy_import_is_an_error(monkeypatch):
    monkeypatch.setattr(startup, "heavy_modules_loaded", lambda: ["torch"])
    with pytest.raises(ImportError, match="torch"):
        startup.measure(1)
