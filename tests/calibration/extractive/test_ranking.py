"""TF-IDF and BM25 against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.extractive.ranking import best, bm25, tf_idf

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
