"""From texts to sentences and words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.extractive.sentences import sentences, words


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
