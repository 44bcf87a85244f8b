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


def test_waiting_is_told_by_the_clock_and_in_cpu_seconds(capsys, monkeypatch):
    waits = startup._waits(quick=True, large=False)
    monkeypatch.setattr(startup, "_waits", lambda *_: waits[:1])
    assert startup.main(["--json", "--repeats", "1", "--quick"]) == 0
    rows = json.loads(capsys.readouterr().out)["measurements"]
    assert [row["name"] for row in rows] == ["import poq_abm: wall", "import poq_abm: CPU"]
    assert all(row["value"] > 0 for row in rows)


def test_a_command_that_fails_is_an_error_that_says_what_it_said(tmp_path):
    wait = startup._Wait("nothing", ("-c", "raise SystemExit('no such thing')"))
    with pytest.raises(RuntimeError, match="no such thing"):
        startup._spend(wait, tmp_path, startup.ROOT)


def test_a_heavy_import_is_an_error(monkeypatch):
    monkeypatch.setattr(startup, "heavy_modules_loaded", lambda: ["torch"])
    with pytest.raises(ImportError, match="torch"):
        startup.measure(1)
