"""From a text to its sentences, and from a sentence to its words."""

from __future__ import annotations

import re

__all__ = ["sentences", "words"]

#: Abbreviations whose full stop does not end a sentence, without that stop.
ABBREVIATIONS = frozenset(
    {
        *("mr", "mrs", "ms", "dr", "prof", "st", "mt", "ft", "rev", "hon", "gen", "col", "capt"),
        *("lt", "sgt", "sen", "rep", "gov", "jr", "sr", "vs", "etc", "e.g", "i.e", "cf", "ca", "c"),
        *("no", "vol", "fig", "op", "approx", "est", "inc", "ltd", "co", "corp", "al", "ed"),
    }
)
_END = re.compile(r"[.!?]+[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")
_LAST_WORD = re.compile(r"([^\s(\[\"“]+)[.!?]+[\"'”’)\]]*\s*$")
_WORD = re.compile(r"[^\W_]+(?:['’.,-][^\W_]+)*")


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text`` in order, stripped; a text without an end is one sentence.

    A sentence ends with a full stop, question or exclamation mark before a blank and a capital or a
    digit, unless the stop belongs to a known abbreviation or to an initial.

    >>> sentences("Dr. Who won. It cost 3.5 million! Why?")
    ['Dr. Who won.', 'It cost 3.5 million!', 'Why?']
    """
    found: list[str] = []
    start = 0
    for end in _END.finditer(text):
        if not _is_abbreviation(text[start : end.end()]):
            found.append(text[start : end.end()].strip())
            start = end.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case; numbers, hyphens and apostrophes stay whole.

    >>> words("It's a 1,000-year-old U.S. town.")
    ["it's", 'a', '1,000-year-old', 'u.s', 'town']
    """
    return [word.lower() for word in _WORD.findall(text)]


def _is_abbreviation(piece: str) -> bool:
    found = _LAST_WORD.search(piece)
    if not found or not piece.rstrip("\"'”’)] \n").endswith("."):
        return False
    word = found.group(1).rstrip(".")
    initial = len(word) == 1 and word.isupper()
    return initial or word.lower() in ABBREVIATIONS
