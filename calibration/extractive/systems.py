"""The five systems: from a question and its context to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calibration.extractive.ranking import best, bm25, tf_idf
from calibration.extractive.sentences import sentences, words
from calibration.extractive.spans import best_span
from poq_abm.errors import InputError, nearest
from poq_abm.random import Purpose, uniform

__all__ = ["SYSTEMS", "Question", "answer"]

#: Key of the random system's draws.
SEED = 160605250


@dataclass(frozen=True)
class Question:
    """A question, the text it is about, and its number, which keys the random system's draw."""

    number: int
    question: str
    context: str


def lead_sentence(question: Question) -> str:
    """Answer with the first sentence of the context, whatever the question.

    >>> lead_sentence(Question(0, "Who won?", "It rained. Denver won."))
    'It rained.'
    """
    return _context(question)[0]


def tf_idf_sentence(question: Question) -> str:
    """Answer with the sentence whose TF-IDF vector is closest to the question's.

    >>> tf_idf_sentence(Question(0, "Who won?", "It rained. Denver won."))
    'Denver won.'
    """
    return _ranked(question, tf_idf)


def bm25_sentence(question: Question) -> str:
    """Answer with the sentence of the highest BM25 score.

    >>> bm25_sentence(Question(0, "Who won?", "It rained. Denver won."))
    'Denver won.'
    """
    return _ranked(question, bm25)


def answer_type_span(question: Question) -> str:
    """Answer with the span, of the kind asked for, in the sentence of the highest BM25 score.

    >>> answer_type_span(Question(0, "Who won?", "It rained. Denver won."))
    'Denver'
    """
    return best_span(question.question, _ranked(question, bm25))


def random_sentence(question: Question) -> str:
    """Answer with any sentence, each equally likely, drawn by the number of the question.

    >>> random_sentence(Question(0, "Who won?", "Denver won."))
    'Denver won.'
    """
    found = _context(question)
    draw = uniform(SEED, 0, int(Purpose.PROFILE), question.number, 0)
    return found[int(draw * len(found))]


#: Name to system, in the order of the profile.
SYSTEMS: Mapping[str, Callable[[Question], str]] = {
    "lead_sentence": lead_sentence,
    "tf_idf_sentence": tf_idf_sentence,
    "bm25_sentence": bm25_sentence,
    "answer_type_span": answer_type_span,
    "random_sentence": random_sentence,
}


def answer(system: str, question: Question) -> str:
    """Return the answer of the system of that name.

    Raises :class:`~poq_abm.errors.InputError` for another name, and for a context without words.

    >>> answer("lead_sentence", Question(0, "Who won?", "Denver won."))
    'Denver won.'
    """
    if system not in SYSTEMS:
        raise InputError(f"no system is called {system!r}; {nearest(system, SYSTEMS)}")
    return SYSTEMS[system](question)


def _context(question: Question) -> list[str]:
    found = sentences(question.context)
    if not found:
        raise InputError(f"question {question.number} has no context to answer from")
    return found


def _ranked(question: Question, rank: Callable[[list[str], list[list[str]]], list[float]]) -> str:
    found = _context(question)
    return found[best(rank(words(question.question), [words(text) for text in found]))]
