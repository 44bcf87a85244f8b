"""The five systems."""

from __future__ import annotations

from collections import Counter

import pytest

from calibration.extractive import SYSTEMS, Question, answer
from poq_abm.errors import InputError

CONTEXT = "Rain fell. Denver won the final in 2016. The final was in Santa Clara."


def asked(question: str, number: int = 0) -> Question:
    return Question(number, question, CONTEXT)


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("lead_sentence", "Rain fell."),
        ("tf_idf_sentence", "Denver won the final in 2016."),
        ("bm25_sentence", "Denver won the final in 2016."),
        ("answer_type_span", "Denver"),
    ],
)
def test_answers(system: str, said: str) -> None:
    assert answer(system, asked("Who won the final?")) == said


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_answer_is_a_piece_of_the_context(system: str) -> None:
    for number, question in enumerate(("Who won?", "When?", "What is 2 + 2?", "?")):
        said = answer(system, asked(question, number))
        assert said
        assert said in CONTEXT


def test_a_random_sentence_depends_on_the_number_alone() -> None:
    said = [answer("random_sentence", asked(question, 7)) for question in ("Who?", "When?")]
    assert said[0] == said[1]


def test_random_sentences_are_equally_likely() -> None:
    counts = Counter(answer("random_sentence", asked("?", number)) for number in range(3000))
    # 1000 each, s.d. 26: five of them
    assert all(abs(count - 1000) < 130 for count in counts.values())
    assert len(counts) == 3


def test_a_question_that_shares_no_word_gets_the_first_sentence() -> None:
    assert answer("bm25_sentence", asked("Qui?")) == answer("tf_idf_sentence", asked("Qui?"))
    assert answer("bm25_sentence", asked("Qui?")) == "Rain fell."


def test_mistakes() -> None:
    with pytest.raises(InputError, match="did you mean 'bm25_sentence'"):
        answer("bm25_sentense", asked("Who?"))
    with pytest.raises(InputError, match="question 3 has no context"):
        answer("lead_sentence", Question(3, "Who?", " "))
