"""Replications that raise: recorded, left out, and played again when asked."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path

import pytest

import poq_abm
from poq_abm.experiment import query_study, round_study
from poq_abm.rules import registry
from tests.conftest import Poq
from tests.faults.conftest import tables

MODULE = """
import os
from poq_abm.rules.behaviour.evaluators import EvaluatorBehaviour
from poq_abm.rules.registry import register
from poq_abm.rules.rule import Source


@register
class Moody(EvaluatorBehaviour):
    name, formula, source = "moody", "s' = s, or none at all", Source("assumed", "a test")

    def report(self, measured, node, answer):
        if node.model.replication in (1, 4) and os.environ.get("MOOD") == "bad":
            raise ZeroDivisionError("not in the mood")
        return measured
"""
COMMAND = (
    *("run", "cost_aware_poq", "--rounds", 50, "--replications", 6, "--plugin", "moody"),
    *("--set", "malicious={share: 0.4, behaviour: moody}", "--out", "run"),
)


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moody.py").write_text(MODULE)
    monkeypatch.setattr(registry, "_own", {})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MOOD", "bad")
    monkeypatch.delitem(sys.modules, "moody", raising=False)  # registers when it is imported


@pytest.mark.parametrize("trace", [(), ("--trace",)])
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_raises_is_recorded_and_can_be_retried(
    poq: Poq,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trace: tuple[str, ...],
    jobs: int,
) -> None:
    command = (*COMMAND, *trace, "--jobs", jobs, "--backend", "threading")
    run = poq(*command)
    assert run.code == 1
    assert "2 replications raised" in run.err
    results = poq_abm.read_results(tmp_path / "run")
    assert sorted(results.replications["replication"]) == [0, 2, 3, 5]
    assert [failure["replication"] for failure in results.failures] == [1, 4]
    assert "in report" in results.failures[0]["traceback"]
    assert results.failures[0]["seed"] == 1
    status = poq("status", "run")
    assert "cost_aware_poq: failed" in status.out
    assert "replication 4 of base (seed 1): ZeroDivisionError: not in the mood" in status.out
    assert poq("verify", "run", "--plugin", "moody").code == 0

    assert poq(*command).code == 1, "without being asked, nothing is tried again"
    assert poq(*command, "--retry-failed").code == 1, "still in a bad mood"
    monkeypatch.setenv("MOOD", "good")
    assert poq(*command, "--retry-failed").code == 0
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "complete"
    assert poq("verify", "run", "--plugin", "moody").code == 0
    fresh = [argument if argument != "run" else "fresh" for argument in command[1:]]
    assert poq("run", *fresh).code == 0
    assert tables(tmp_path / "run") == tables(tmp_path / "fresh")


@pytest.mark.parametrize("verification", [(), ("--set", "verification.protocol=otr")])
def test_where_every_replication_raises_nothing_is_shown(
    poq: Poq, monkeypatch: pytest.MonkeyPatch, verification: tuple[str, ...]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("not in the mood")

    monkeypatch.setattr(round_study, "many_at_once", lambda *_: False)
    monkeypatch.setattr(round_study, "play_replication", broken)
    monkeypatch.setattr(query_study, "play_queries", broken)
    run = poq("run", "cost_aware_poq", "--rounds", 50, *verification, "--out", "run")
    assert run.code == 1
    assert "Every replication raised: there is nothing to show." in run.out
    assert "20 replications raised" in run.err
    assert "Traceback" not in run.err
    if verification:
        told = poq("analyse", "queries", "run")
        assert (told.code, "holds no replication" in told.err) == (2, True)


def test_in_memory_the_rest_go_on_too() -> None:
    importlib.import_module("moody")
    scenario = poq_abm.load(
        "cost_aware_poq",
        ["rounds=50", "replications=6", "malicious={share: 0.4, behaviour: moody}"],
    )
    with pytest.warns(UserWarning, match="2 replications raised"):
        results = poq_abm.run(scenario)
    assert results.replications["replication"].tolist() == [0, 2, 3, 5]
    assert {failure["replication"] for failure in results.failures} == {1, 4}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert poq_abm.run(poq_abm.load("cost_aware_poq", ["rounds=5"])).failures == []
