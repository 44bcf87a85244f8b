"""The five extractive systems: from a question and its context to an answer, by rankings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from calibration.shipped.extractive_text import best_span, sentences, words
from poq_abm.errors import InputError, nearest
from poq_abm.random import Purpose, uniform

__all__ = ["SYSTEMS", "ContextQuestion", "answer", "best", "bm25", "tf_idf"]

Words = Sequence[str]
SATURATION = 1.2  #: k1 of BM25: how fast repeats of a word stop counting
LENGTH_WEIGHT = 0.75  #: b of BM25: how much a long sentence is held back


def tf_idf(query: Words, documents: Sequence[Words]) -> list[float]:
    """Return the cosine between the query and each document in TF-IDF weights, in [0, 1].

    The weight of a word is its count times ``ln((1 + n) / (1 + df)) + 1`` with ``n`` documents, of
    which ``df`` contain it. Words of the query that no document has are left out of its length.

    >>> [round(score, 3) for score in tf_idf(["a"], [["a"], ["b"], ["a", "b"]])]
    [1.0, 0.0, 0.707]
    """
    frequency = _document_frequency(documents)
    count = len(documents)
    weight = {word: math.log((1 + count) / (1 + df)) + 1.0 for word, df in frequency.items()}
    target = _weighted(query, weight)
    return [_cosine(target, _weighted(document, weight)) for document in documents]


def bm25(query: Words, documents: Sequence[Words]) -> list[float]:
    """Return the BM25 score of each document: 0 or more, larger for better matches.

    ``sum over query words of idf tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length))`` with
    ``idf = ln(1 + (n - df + 0.5) / (df + 0.5))``, k1 = 1.2, b = 0.75; a word that the query
    repeats counts as often as it is there. Robertson and Zaragoza, "The probabilistic relevance
    framework: BM25 and beyond", 2009, with the idf kept positive.

    >>> [round(score, 3) for score in bm25(["a"], [["a"], ["b"]])]
    [0.693, 0.0]
    """
    frequency = _document_frequency(documents)
    count = len(documents)
    mean_length = sum(map(len, documents)) / count if count else 0.0

    def score(document: Words) -> float:
        counts = Counter(document)
        length = len(document) / mean_length if mean_length else 1.0
        brake = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * length)
        total = 0.0
        for word in query:
            if counts[word]:
                df = frequency[word]
                idf = math.log(1.0 + (count - df + 0.5) / (df + 0.5))
                total += idf * counts[word] * (SATURATION + 1.0) / (counts[word] + brake)
        return total

    return [score(document) for document in documents]


def best(scores: Sequence[float]) -> int:
    """Return the position of the highest score, the first among equals.

    >>> best([0.0, 2.0, 2.0])
    1
    """
    return max(range(len(scores)), key=lambda i: (scores[i], -i))


def _document_frequency(documents: Sequence[Words]) -> Counter[str]:
    return Counter(word for document in documents for word in set(document))


def _weighted(document: Words, weight: dict[str, float]) -> dict[str, float]:
    counts = Counter(word for word in document if word in weight)
    return {word: count * weight[word] for word, count in counts.items()}


def _cosine(first: dict[str, float], second: dict[str, float]) -> float:
    product = sum(value * second.get(word, 0.0) for word, value in first.items())
    norms = math.sqrt(sum(v * v for v in first.values()) * sum(v * v for v in second.values()))
    return product / norms if norms else 0.0


#: Key of the random system's draws.
SEED = 160605250


@dataclass(frozen=True)
class ContextQuestion:
    """A question, the text it is about, and its number, which keys the random system's draw."""

    number: int
    question: str
    context: str


def lead_sentence(question: ContextQuestion) -> str:
    """Answer with the first sentence of the context, whatever the question.

    >>> lead_sentence(ContextQuestion(0, "Who won?", "It rained. Denver won."))
    'It rained.'
    """
    return _context(question)[0]


def tf_idf_sentence(question: ContextQuestion) -> str:
    """Answer with the sentence whose TF-IDF vector is closest to the question's.

    >>> tf_idf_sentence(ContextQuestion(0, "Who won?", "It rained. Denver won."))
    'Denver won.'
    """
    return _ranked(question, tf_idf)


def bm25_sentence(question: ContextQuestion) -> str:
    """Answer with the sentence of the highest BM25 score.

    >>> bm25_sentence(ContextQuestion(0, "Who won?", "It rained. Denver won."))
    'Denver won.'
    """
    return _ranked(question, bm25)


def answer_type_span(question: ContextQuestion) -> str:
    """Answer with the span, of the kind asked for, in the sentence of the highest BM25 score.

    >>> answer_type_span(ContextQuestion(0, "Who won?", "It rained. Denver won."))
    'Denver'
    """
    return best_span(question.question, _ranked(question, bm25))


def random_sentence(question: ContextQuestion) -> str:
    """Answer with any sentence, each equally likely, drawn by the number of the question.

    >>> random_sentence(ContextQuestion(0, "Who won?", "Denver won."))
    'Denver won.'
    """
    found = _context(question)
    draw = uniform(SEED, 0, int(Purpose.PROFILE), question.number, 0)
    return found[int(draw * len(found))]


#: Name to system, in the order of the profile.
SYSTEMS: Mapping[str, Callable[[ContextQuestion], str]] = {
    "lead_sentence": lead_sentence,
    "tf_idf_sentence": tf_idf_sentence,
    "bm25_sentence": bm25_sentence,
    "answer_type_span": answer_type_span,
    "random_sentence": random_sentence,
}


def answer(system: str, question: ContextQuestion) -> str:
    """Return the answer of the system of that name.

    Raises :class:`~poq_abm.errors.InputError` for another name, and for a context without words.

    >>> answer("lead_sentence", ContextQuestion(0, "Who won?", "Denver won."))
    'Denver won.'
    """
    if system not in SYSTEMS:
        raise InputError(f"no system is called {system!r}; {nearest(system, SYSTEMS)}")
    return SYSTEMS[system](question)


def _context(question: ContextQuestion) -> list[str]:
    found = sentences(question.context)
    if not found:
        raise InputError(f"question {question.number} has no context to answer from")
    return found


def _ranked(
    question: ContextQuestion, rank: Callable[[list[str], list[list[str]]], list[float]]
) -> str:
    found = _context(question)
    return found[best(rank(words(question.question), [words(text) for text in found]))]
