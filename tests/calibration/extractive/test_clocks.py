"""Latencies of systems and evaluators: how many, of what, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from calibration.extractive import clocks
from calibration.extractive.clocks import latencies_of
from calibration.extractive.evaluators import EVALUATORS
from calibration.extractive.systems import SYSTEMS
from calibration.extractive.tables import questions_of
from calibration.records import Record, join_question

RECORDS = [
    Record(f"r{i}", "qa", join_question(f"Who won game {i}?", f"Ann {i} won game {i}."), ("Ann",))
    for i in range(80)
]


class Counting:
    """An encoder that keeps the batches it is given."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, str]]] = []

    def raw(self, pairs: Sequence[tuple[str, str]]) -> list[list[float]]:
        self.batches.append(list(pairs))
        return [[0.0] for _ in pairs]

    def value(self, raw: Sequence[float]) -> float:
        return raw[0]


@pytest.fixture
def encoder() -> Counting:
    return Counting()


def test_every_node_has_its_latencies(encoder: Counting) -> None:
    found, memory = latencies_of(RECORDS, questions_of(RECORDS), encoder, lambda _: None)
    assert set(found) == {*SYSTEMS, *EVALUATORS}
    for node, values in found.items():
        assert len(values) == (clocks.BATCHES if node.startswith("minilm") else 80 - clocks.WARM_UP)
        assert min(values) > 0
    assert memory > 1


def test_both_kinds_of_pairs_take_turns_in_different_batches(encoder: Counting) -> None:
    latencies_of(RECORDS, questions_of(RECORDS), encoder, lambda _: None)
    kinds = ["reference" if batch[0][0] == "Ann" else "input" for batch in encoder.batches]
    assert kinds == ["reference", "input"] * (len(kinds) // 2)
    assert len(kinds) == 2 * (clocks.WARM_UP + clocks.BATCHES * clocks.BATCH_REPEATS)
    for batch in encoder.batches:
        assert len({answer for _, answer in batch}) == clocks.BATCH, "no answer twice in a batch"


def test_a_call_that_was_interrupted_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 900.0, 2.0])
    monkeypatch.setattr(clocks, "time_call", lambda _: next(times))
    assert clocks._by_turns([{"m": lambda: None}], 3) == {"m": [2.0]}
