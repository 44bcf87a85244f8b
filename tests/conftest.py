"""Fixtures that several rooms share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from poq_abm.behaviour import resolving
from poq_abm.behaviour.base import Role
from poq_abm.behaviour.evaluators import EVALUATOR_BEHAVIOURS
from poq_abm.behaviour.inference import INFERENCE_BEHAVIOURS
from poq_abm.cli import main
from poq_abm.scenario import Scenario, load


@pytest.fixture
def small() -> Scenario:
    """The published population, few rounds: plays in a moment."""
    return load("cost_aware_poq", ["rounds=200", "replications=3"])


@pytest.fixture
def shipped_behaviours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the behaviours that other tests registered, for tests that try every one there is."""
    kinds = (*INFERENCE_BEHAVIOURS, *EVALUATOR_BEHAVIOURS)
    roles: tuple[Role, ...] = ("inference", "evaluator")
    shipped = {role: {k.name: k for k in kinds if k.role == role} for role in roles}
    monkeypatch.setattr(resolving, "_REGISTRY", shipped)


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
