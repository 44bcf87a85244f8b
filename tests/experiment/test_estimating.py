"""What a plan takes: tried, or told why it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from poq_abm.compiler import NotCompiledError
from poq_abm.errors import InputError
from poq_abm.experiment.estimating import estimate
from poq_abm.experiment.plan import Plan
from poq_abm.scenario import load
from poq_abm.simulation.epochs.economy import Economy


def economy() -> Plan:
    return Plan.of(load("entry_exit", ["rounds=300", "economy.epochs=3", "replications=2"]))


def raising(error: BaseException) -> Any:
    def run(*_: Any, **__: Any) -> None:
        raise error

    return run


def test_code_that_only_a_replication_calls_may_not_be_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rounds were compiled by another scenario, the end of an epoch was not."""
    monkeypatch.setattr(Economy, "step", raising(NotCompiledError("dispatch")))
    with pytest.raises(NotCompiledError, match="dispatch"):
        estimate(economy())


def test_a_replication_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Economy, "step", raising(ValueError("no such bond")))
    with pytest.raises(InputError, match="replication 0, tried, fails: ValueError: no such bond"):
        estimate(economy())


def test_more_replications_take_longer_and_more_room() -> None:
    few, many = (
        estimate(Plan.of(load("cost_aware_poq", ["rounds=50", f"replications={count}"])))
        for count in (10, 100_000)
    )
    assert few.seconds < many.seconds
    assert few.disk < many.disk
    assert 0.0 < many.fastest <= many.seconds <= many.slowest
