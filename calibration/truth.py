"""The ground-truth proxy: token F1 and exact match after the normalisation of SQuAD.

Source of the definitions: the official evaluation script of SQuAD (Rajpurkar et al.,
arXiv:1606.05250), in the form of version 2.0, which also says what an empty answer is worth.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable

from poq_abm.errors import InputError
from poq_abm.profile.layout import TOP

__all__ = ["best_exact_match", "best_f1", "exact_match", "normalised", "token_f1", "truth_score"]

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return the text in lower case, without ASCII punctuation, articles and superfluous blanks.

    >>> normalised("The  cat, an animal!")
    'cat animal'
    """
    bare = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def token_f1(output: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall over tokens, in [0, 1].

    ``F1 = 2 s / (n + m)`` with ``n`` and ``m`` tokens and ``s`` in common, counted with
    repetition. Where either has no token left, it is 1 if neither has one, else 0.

    >>> token_f1("Maria Sharapova", "Maria Scharapowa")
    0.5
    """
    tokens, wanted = normalised(output).split(), normalised(reference).split()
    if not tokens or not wanted:
        return float(tokens == wanted)
    shared = sum((Counter(tokens) & Counter(wanted)).values())
    return 2.0 * shared / (len(tokens) + len(wanted))


def exact_match(output: str, reference: str) -> bool:
    """Return whether both texts are the same after normalisation.

    >>> exact_match("Colonel Tom Parker.", "colonel Tom Parker")
    True
    """
    return normalised(output) == normalised(reference)


def best_f1(output: str, references: Iterable[str]) -> float:
    """Return the largest token F1 over the references, in [0, 1].

    Raises :class:`~poq_abm.errors.InputError` when there is no reference.

    >>> best_f1("in 1066", ["1066", "the year 1066"])
    0.6666666666666666
    """
    return max(token_f1(output, reference) for reference in _given(references))


def best_exact_match(output: str, references: Iterable[str]) -> bool:
    """Return whether the output matches any of the references exactly.

    >>> best_exact_match("Denver", ["Denver Broncos", "denver"])
    True
    """
    return any(exact_match(output, reference) for reference in _given(references))


def truth_score(output: str, references: Iterable[str]) -> float:
    """Return the truth of an output: ten times its best token F1, in [0, 10].

    >>> truth_score("Maria Sharapova", ["Maria Scharapowa"])
    5.0
    """
    return TOP * best_f1(output, references)


def _given(references: Iterable[str]) -> tuple[str, ...]:
    given = tuple(references)
    if not given:
        raise InputError("an output without any reference has no truth")
    return given
