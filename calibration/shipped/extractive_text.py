"""From a text to its sentences and words, and from a question to the short span that answers it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["answer_kind", "best_span", "sentences", "words"]

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


_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_YEAR = r"\b(?:1\d|20)\d{2}s?\b"
_DATE = rf"(?:\d{{1,2}} )?(?:{_MONTHS})(?: \d{{1,2}}(?!\d))?(?:,? \d{{4}})?|{_YEAR}"
_COUNTS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|"
    "sixty|seventy|eighty|ninety|hundred|thousand|million|billion|half|dozen"
)
_NUMBER = rf"[$£€]?\d[\d,]*(?:\.\d+)?(?:%| ?percent| (?:{_COUNTS})s?)?|\b(?:{_COUNTS})\b(?:-\w+)?"
_LINK = "of|the|de|van|von|and|for|in|du|la"
_NAME = rf"\b[A-Z][\w'’.-]*(?:(?: (?:{_LINK}))? [A-Z][\w'’.-]*)*"
#: Kind of answer to the pattern of its spans.
PATTERNS = {
    "number": re.compile(_NUMBER, re.IGNORECASE),
    "date": re.compile(_DATE),
    "name": re.compile(_NAME),
}
_ASKS_NUMBER = re.compile(
    r"\bhow (many|much|old|long|far|large|big|tall|high)\b|\bpercent|\bnumber"
)
_ASKS_DATE = re.compile(r"\bwhen\b|\b(what|which) (year|date|day|month|decade|century)\b")
_ASKS_NAME = re.compile(
    r"\b(who|whom|whose|where)\b|\b(what|which) (city|country|state|team|company|person|school|"
    r"university|river|king|president|name|player|author|area|place|region|organi[sz]ation)"
)
_FUNCTION_WORDS_LINE = (
    "a an the of to in on at by for from with and or but as is are was were be been being it its "
    "this that these those which who whom whose what when where how why did do does has have had "
    "not no than then there their they he she his her him them into over under about after before "
    "also can could may might will would should must such only more most other some any all each "
    "both during between through because while if so up out"
)
_FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_LINE.split())


@dataclass(frozen=True)
class _Span:
    start: int
    end: int


def answer_kind(question: str) -> str:
    """Return what a question asks for: ``number``, ``date``, ``name`` or ``phrase``.

    >>> [answer_kind(q) for q in ("How many won?", "When?", "Who won?", "What is it?")]
    ['number', 'date', 'name', 'phrase']
    """
    asked = question.lower()
    for kind, pattern in (("number", _ASKS_NUMBER), ("date", _ASKS_DATE), ("name", _ASKS_NAME)):
        if pattern.search(asked):
            return kind
    return "phrase"


def best_span(question: str, sentence: str) -> str:
    """Return the span of ``sentence`` that answers ``question`` best, never an empty one.

    Of the spans of the kind the question asks for that do not repeat its words, the one nearest to
    a content word of the question; the longest run of content words that the question lacks where
    there is none of the kind; else the sentence.

    >>> best_span("How many points were scored?", "In 2016 the team scored 308 points.")
    '308'
    >>> best_span("Who led the team?", "The team was led by Kawann Short.")
    'Kawann Short'
    """
    asked = _content_words(question)
    kind = answer_kind(question)
    spans = [span for span in _spans_of(kind, sentence) if not _repeats(sentence, span, asked)]
    if kind != "phrase" and spans:
        anchors = [m.start() for m in _WORD.finditer(sentence) if m.group().lower() in asked]
        chosen = min(spans, key=lambda span: (_distance(span, anchors), span.start))
    else:
        runs = list(_runs(sentence, asked))
        if not runs:
            return sentence
        chosen = max(runs, key=lambda span: (span.end - span.start, -span.start))
    return sentence[chosen.start : chosen.end].strip(" .,;:") or sentence


def _content_words(text: str) -> frozenset[str]:
    return frozenset(m.lower() for m in _WORD.findall(text)) - _FUNCTION_WORDS


def _spans_of(kind: str, sentence: str) -> list[_Span]:
    pattern = PATTERNS.get(kind)
    return [_Span(*found.span()) for found in pattern.finditer(sentence)] if pattern else []


def _repeats(sentence: str, span: _Span, asked: frozenset[str]) -> bool:
    """Say whether a span has nothing but words of the question and function words."""
    found = {word.lower() for word in _WORD.findall(sentence[span.start : span.end])}
    return found <= asked | _FUNCTION_WORDS


def _distance(span: _Span, anchors: Iterable[int]) -> int:
    """Return the characters between a span and the nearest anchor, 0 without any anchor."""
    gaps = (max(span.start - anchor, anchor - span.end, 0) for anchor in anchors)
    return min(gaps, default=0)


def _runs(sentence: str, asked: frozenset[str]) -> Iterable[_Span]:
    """Yield the runs of neighbouring words that are neither function words nor in the question."""
    start = end = -1
    for found in _WORD.finditer(sentence):
        wanted = found.group().lower() not in asked | _FUNCTION_WORDS
        joined = start >= 0 and sentence[end : found.start()].strip() == ""
        if start >= 0 and not (wanted and joined):
            yield _Span(start, end)
            start = -1
        if wanted:
            start, end = (found.start() if start < 0 else start), found.end()
    if start >= 0:
        yield _Span(start, end)
