"""The ground-truth proxy: token F1 and exact match after the normalisation of SQuAD.

Source of the definitions: the official evaluation script of SQuAD (Rajpurkar et al.,
arXiv:1606.05250), in the form of version 2.0, which also says what an empty answer is worth.

The script is made for English prose. It deletes ASCII punctuation wherever it stands, so that 3.5
is 35 and -5 is 5, and knows no other punctuation and no script without blanks. Under the metric
``token_f1`` a text is the same as under the script but for these; ``squad_f1`` is the script to the
letter.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable

from poq_abm.errors import InputError, nearest
from poq_abm.profile.validity import TOP

__all__ = [
    "METRICS",
    "best_exact_match",
    "best_f1",
    "exact_match",
    "normalised",
    "squad_normalised",
    "token_f1",
    "truth_score",
]

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212-"  # the last makes no range in brackets
#: Marks that make a number what it is: 3.5, 1/2, 12:30, 24-10; 3,5 but not 3,000; -5, -$5, .5
_OF_NUMBER = re.compile(
    rf"((?<=\d)[.:/{_DASHES}](?=\d)|(?<=\d),(?=\d{{1,2}}(?!\d|,\d))"
    rf"|(?<![\w.,)\]])[{_DASHES}](?=[$€£¥]?\.?\d)|(?<![\w.])\.(?=\d))"
)
#: Han, kana, Thai, Lao, Burmese and Khmer, which put no blanks between words
_UNSPACED = re.compile(
    "([\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])"
)


class _Punctuation(dict[int, str | None]):
    """A table for :meth:`str.translate` that deletes punctuation, of ASCII as the script has it."""

    def __missing__(self, code: int) -> str | None:
        mark = chr(code)
        is_punctuation = unicodedata.category(mark).startswith("P") or mark in _DASHES
        self[code] = None if is_punctuation or mark in string.punctuation else mark
        return self[code]


_WITHOUT_PUNCTUATION = _Punctuation()
_WITHOUT_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return the text in lower case, without punctuation, articles and superfluous blanks.

    Punctuation of any language goes, but for the marks inside a number and its sign; dashes are
    one dash. A character of a script that puts no blanks between words is a token of its own.

    >>> normalised("The  cat, an animal!"), normalised("−3.5, or 3,000")
    ('cat animal', '-3.5 or 3000')
    >>> normalised("北京。")
    '北 京'
    """
    parts = _OF_NUMBER.split(_lower(text))
    marks = ["-" if mark in _DASHES else mark for mark in parts[1::2]]
    texts = [part.translate(_WITHOUT_PUNCTUATION) for part in parts[::2]]
    bare = "".join(text + mark for text, mark in zip(texts, [*marks, ""], strict=True))
    return " ".join(_ARTICLE.sub(" ", _UNSPACED.sub(r" \1 ", bare)).split())


def squad_normalised(text: str) -> str:
    """Return the text in lower case, without ASCII punctuation, articles and superfluous blanks.

    >>> squad_normalised("The  cat, 3.5 kg!")
    'cat 35 kg'
    """
    bare = text.lower().translate(_WITHOUT_ASCII_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def _lower(text: str) -> str:
    """Return the text in lower case, composed; the dot that a Turkish capital I leaves goes."""
    return unicodedata.normalize("NFC", text.casefold()).replace("i\u0307", "i")


#: How each metric of truth normalises a text.
METRICS: dict[str, Callable[[str], str]] = {
    "token_f1": normalised,
    "squad_f1": squad_normalised,
}


def token_f1(output: str, reference: str, metric: str = "token_f1") -> float:
    """Return the harmonic mean of precision and recall over tokens, in [0, 1].

    ``F1 = 2 s / (n + m)`` with ``n`` and ``m`` tokens and ``s`` in common, counted with
    repetition. Where either has no token left, it is 1 if neither has one, else 0. Tokens are those
    of :func:`normalised`, or with the metric ``squad_f1`` of :func:`squad_normalised`.

    >>> token_f1("Maria Sharapova", "Maria Scharapowa")
    0.5
    >>> token_f1("3.5", "35"), token_f1("3.5", "35", "squad_f1")
    (0.0, 1.0)
    """
    normalise = _known(metric)
    tokens, wanted = normalise(output).split(), normalise(reference).split()
    if not tokens or not wanted:
        return float(tokens == wanted)
    shared = sum((Counter(tokens) & Counter(wanted)).values())
    return 2.0 * shared / (len(tokens) + len(wanted))


def exact_match(output: str, reference: str, metric: str = "token_f1") -> bool:
    """Return whether both texts are the same after normalisation.

    >>> exact_match("Colonel Tom Parker.", "colonel Tom Parker")
    True
    """
    normalise = _known(metric)
    return normalise(output) == normalise(reference)


def best_f1(output: str, references: Iterable[str], metric: str = "token_f1") -> float:
    """Return the largest token F1 over the references, in [0, 1].

    Raises :class:`~poq_abm.errors.InputError` when there is no reference.

    >>> best_f1("in 1066", ["1066", "the year 1066"])
    0.6666666666666666
    """
    return max(token_f1(output, reference, metric) for reference in _given(references))


def best_exact_match(output: str, references: Iterable[str]) -> bool:
    """Return whether the output matches any of the references exactly.

    >>> best_exact_match("Denver", ["Denver Broncos", "denver"])
    True
    """
    return any(exact_match(output, reference) for reference in _given(references))


def truth_score(output: str, references: Iterable[str], metric: str = "token_f1") -> float:
    """Return the truth of an output: ten times its best token F1, in [0, 10].

    >>> truth_score("Maria Sharapova", ["Maria Scharapowa"])
    5.0
    """
    return TOP * best_f1(output, references, metric)


def _known(metric: str) -> Callable[[str], str]:
    if metric not in METRICS:
        raise InputError(f"no metric of truth is called {metric!r}; {nearest(metric, METRICS)}")
    return METRICS[metric]


def _given(references: Iterable[str]) -> tuple[str, ...]:
    given = tuple(references)
    if not given:
        raise InputError("an output without any reference has no truth")
    return given
