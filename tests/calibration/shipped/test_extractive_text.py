"""From texts to sentences and words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.shipped.extractive_text import answer_kind, best_span, sentences, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It rained. Denver won.", ["It rained.", "Denver won."]),
        ("Why? Because! Yes.", ["Why?", "Because!", "Yes."]),
        ("J. R. Smith met Mr. Jones.", ["J. R. Smith met Mr. Jones."]),
        ("It cost 3.5 million. 20 came.", ["It cost 3.5 million.", "20 came."]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("no end here", ["no end here"]),
        ("One. two stays.", ["One. two stays."]),
        ("  ", []),
        ("", []),
        ("...", ["..."]),
    ],
)
def test_sentences(text: str, found: list[str]) -> None:
    assert sentences(text) == found


@given(st.text(alphabet="Ab1.!? \"'()\n", max_size=60))
def test_no_letter_is_lost(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


@given(st.text(max_size=60))
def test_no_sentence_is_empty(text: str) -> None:
    assert all(sentence.strip() for sentence in sentences(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't stop, Ann!", ["don't", "stop", "ann"]),
        ("1,000 — 3.5%", ["1,000", "3.5"]),
        ("über-groß", ["über-groß"]),
        ("snake_case", ["snake", "case"]),
        ("!?", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many people came?", "number"),
        ("What percent of them left?", "number"),
        ("When did it end?", "date"),
        ("In which year did it end?", "date"),
        ("Who led them?", "name"),
        ("Where is it?", "name"),
        ("What city is it in?", "name"),
        ("What does it do?", "phrase"),
        ("WHO?", "name"),
        ("", "phrase"),
    ],
)
def test_kinds(question: str, kind: str) -> None:
    assert answer_kind(question) == kind


@pytest.mark.parametrize(
    ("question", "sentence", "span"),
    [
        ("How many sacks had Davis?", "Davis had 5 sacks in 2015.", "5"),
        ("How much did it cost?", "It cost $1.2 million.", "$1.2 million"),
        ("How many came?", "Twenty came.", "Twenty"),
        ("When did it open?", "It opened on 5 March 1999 in Bonn.", "5 March 1999"),
        ("What year did it open?", "It opened in 1999.", "1999"),
        ("Who wrote the book?", "The book is by Anna de Wit.", "Anna de Wit"),
        ("Who beat Denver?", "Denver lost to Carolina.", "Carolina"),
        (
            "What did the tax offset?",
            "The tax offset reduced consumer demand.",
            "reduced consumer demand",
        ),
        ("How many?", "Nobody knows.", "Nobody knows"),
        ("What is it?", "It is.", "It is."),
    ],
)
def test_spans(question: str, sentence: str, span: str) -> None:
    assert best_span(question, sentence) == span


@given(st.text(max_size=40), st.text(min_size=1, max_size=60).filter(str.strip))
def test_a_span_is_a_piece_of_the_sentence_and_not_empty(question: str, sentence: str) -> None:
    span = best_span(question, sentence)
    assert span
    assert span in sentence
