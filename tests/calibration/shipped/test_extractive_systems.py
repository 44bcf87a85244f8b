"""The five systems."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.shipped.extractive_systems import (
    SYSTEMS,
    ContextQuestion,
    answer,
    best,
    bm25,
    tf_idf,
)
from poq_abm.errors import InputError

CONTEXT = "Rain fell. Denver won the final in 2016. The final was in Santa Clara."


def asked(question: str, number: int = 0) -> ContextQuestion:
    return ContextQuestion(number, question, CONTEXT)


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
        answer("lead_sentence", ContextQuestion(3, "Who?", " "))


WORDS = st.lists(st.sampled_from("abcde"), max_size=6)


def test_tf_idf_by_hand() -> None:
    # n = 2; a is in one document, b in both: weights ln(3/2) + 1 and ln(3/3) + 1 = 1
    weight = math.log(1.5) + 1
    scores = tf_idf(["a", "b"], [["a", "b"], ["b"]])
    assert scores == pytest.approx([1.0, 1 / math.sqrt(1 + weight**2)])
    assert scores[1] == pytest.approx(0.579739, abs=1e-6)


def test_tf_idf_counts_repeats() -> None:
    # weights ln(3/2) + 1 for both words: the cosine of (1, 0) and (2, 1)
    assert tf_idf(["a"], [["a", "a", "b"], ["c"]]) == pytest.approx([2 / math.sqrt(5), 0.0])


def test_bm25_by_hand() -> None:
    # n = 3, a in two of them: idf = ln(1 + 1.5/2.5) = ln 1.6; lengths 2, 1, 1, their mean 4/3
    # document 1: 1.2 (0.25 + 0.75 x 1.5) = 1.65; document 2: 1.2 (0.25 + 0.75 x 0.75) = 0.975
    idf = math.log(1.6)
    expected = [idf * 2.2 / 2.65, idf * 2.2 / 1.975, 0.0]
    scores = bm25(["a"], [["a", "b"], ["a"], ["c"]])
    assert scores == pytest.approx(expected)
    assert scores[:2] == pytest.approx([0.390192, 0.523548], abs=1e-6)


def test_bm25_counts_a_repeated_question_word_twice() -> None:
    documents = [["a", "b"], ["c"]]
    assert bm25(["a", "a"], documents) == pytest.approx([2 * s for s in bm25(["a"], documents)])


@given(WORDS, st.lists(WORDS, max_size=5))
def test_scores_are_in_their_range(query: list[str], documents: list[list[str]]) -> None:
    assert len(tf_idf(query, documents)) == len(bm25(query, documents)) == len(documents)
    assert all(0.0 <= score <= 1.0 + 1e-12 for score in tf_idf(query, documents))
    assert all(score >= 0.0 for score in bm25(query, documents))


@given(WORDS, st.lists(WORDS, max_size=5))
def test_a_document_scores_if_and_only_if_it_shares_a_word(
    query: list[str], documents: list[list[str]]
) -> None:
    for rank in (tf_idf, bm25):
        for score, document in zip(rank(query, documents), documents, strict=True):
            assert (score > 0) == bool(set(query) & set(document))


@pytest.mark.parametrize(("scores", "first"), [([1.0], 0), ([0.0, 0.0], 0), ([1.0, 3.0, 3.0], 1)])
def test_the_first_of_the_best(scores: list[float], first: int) -> None:
    assert best(scores) == first
