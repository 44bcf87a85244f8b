"""The ground-truth proxy: what an output is worth beside its references, by one metric or another.

The published one is token F1 after the normalisation of SQuAD.

Source of the definitions: the official evaluation script of SQuAD (Rajpurkar et al.,
arXiv:1606.05250), in the form of version 2.0, which also says what an empty answer is worth.

The script is made for English prose. It deletes ASCII punctuation wherever it stands, so that 3.5
is 35 and -5 is 5, and knows no other punctuation and no script without blanks. Under the metric
``token_f1`` a text is the same as under the script but for these; ``squad_f1`` is the script to the
letter.
"""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from poq_abm.errors import InputError, nearest
from poq_abm.profile.validity import TOP

__all__ = [
    "METRICS",
    "best_exact_match",
    "best_f1",
    "exact_match",
    "leaves_nothing",
    "metric_fault",
    "normalised",
    "numeric_match",
    "register_metric",
    "rouge_l",
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


#: How the metrics that count tokens normalise a text.
_NORMALISERS: dict[str, Callable[[str], str]] = {
    "token_f1": normalised,
    "squad_f1": squad_normalised,
}


#: Metrics that normalise as another one does.
_NORMALISES_AS = dict.fromkeys(("exact", "rouge_l", "numeric"), "token_f1")


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
    normalise = _NORMALISERS[metric]
    tokens, wanted = normalise(output).split(), normalise(reference).split()
    if not tokens or not wanted:
        return float(tokens == wanted)
    shared = sum((Counter(tokens) & Counter(wanted)).values())
    return 2.0 * shared / (len(tokens) + len(wanted))


def rouge_l(output: str, reference: str) -> float:
    """Return the F1 of the longest common subsequence of tokens (ROUGE-L), in [0, 1].

    ``F1 = 2 l / (n + m)`` with ``n`` and ``m`` tokens and ``l`` in common and in the same order
    (Lin, 2004, with equal weights). Tokens are those of :func:`normalised`, without articles and
    stemming. Where either has no token left, it is 1 if neither has one, else 0.

    >>> rouge_l("police killed the gunman", "police kill the gunman")
    0.6666666666666666
    >>> rouge_l("gunman police", "police gunman")
    0.5
    """
    tokens, wanted = normalised(output).split(), normalised(reference).split()
    if not tokens or not wanted:
        return float(tokens == wanted)
    places: dict[str, int] = {}
    for place, token in enumerate(wanted):
        places[token] = places.get(token, 0) | 1 << place
    whole = (1 << len(wanted)) - 1
    open_ = whole  # bit-parallel: a bit is closed for each token of the subsequence so far
    for token in tokens:
        match = open_ & places.get(token, 0)
        open_ = ((open_ + match) | (open_ - match)) & whole
    return 2.0 * (len(wanted) - open_.bit_count()) / (len(tokens) + len(wanted))


_NUMBER = re.compile(
    rf"(?<![\w.])[{_DASHES}]?(?:(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
)
_TOLERANCE = 1e-9  #: relative; what two ways of writing a number in binary may differ by


def numeric_match(output: str, reference: str) -> bool:
    """Return whether the last number of an output is the last number of a reference.

    That of the output is where chains of reasoning end. Thousands may be grouped by commas.

    >>> numeric_match("12 - 4.5 = 7.50 kg.", "7.5"), numeric_match("$1,200", "1200")
    (True, True)
    >>> numeric_match("none", "7"), numeric_match("-5", "5")
    (False, False)
    """
    said, wanted = _last_number(output), _last_number(reference)
    if said is None or wanted is None:
        return said is wanted and exact_match(output, reference)
    return math.isclose(said, wanted, rel_tol=_TOLERANCE)


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    if not found:
        return None
    sign = "-" if found[-1][0] in _DASHES else ""
    return float(sign + found[-1].lstrip(_DASHES).replace(",", ""))


def exact_match(output: str, reference: str, metric: str = "token_f1") -> bool:
    """Return whether both texts are the same after normalisation.

    >>> exact_match("Colonel Tom Parker.", "colonel Tom Parker")
    True
    """
    normalise = _NORMALISERS[metric]
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


#: What each metric makes of an output and a reference, in [0, 1].
METRICS: dict[str, Callable[[str, str], float]] = {
    "token_f1": token_f1,
    "squad_f1": partial(token_f1, metric="squad_f1"),
    "exact": exact_match,
    "rouge_l": rouge_l,
    "numeric": numeric_match,
}


def register_metric(name: str, metric: Callable[[str, str], float]) -> None:
    """Make ``metric(output, reference)``, a number in [0, 1], the metric of truth of this name.

    Raises :class:`~poq_abm.errors.InputError` for a name that is taken.
    """
    if METRICS.get(name, metric) is not metric:
        raise InputError(f"there is a metric of truth called {name!r} already")
    METRICS[name] = metric


def metric_fault(name: str) -> str | None:
    """Return what is wrong with the name of a metric, or ``None``.

    >>> metric_fault("rouge")
    "no metric of truth is called 'rouge'; did you mean 'rouge_l'?"
    """
    if name in METRICS:
        return None
    return f"no metric of truth is called {name!r}; {nearest(name, METRICS)}"


def truth_score(output: str, references: Iterable[str], metric: str = "token_f1") -> float:
    """Return the truth of an output: ten times the best of a metric over references, in [0, 10].

    Raises :class:`~poq_abm.errors.InputError` for a metric that does not exist, one that gives a
    number outside [0, 1], and where there is no reference.

    >>> truth_score("Maria Sharapova", ["Maria Scharapowa"])
    5.0
    >>> truth_score("so it is 7", ["8", "7.0"], "numeric")
    10.0
    """
    if fault := metric_fault(metric):
        raise InputError(fault)
    value = max(float(METRICS[metric](output, reference)) for reference in _given(references))
    if not 0.0 <= value <= 1.0:
        raise InputError(f"the metric {metric!r} gives {value:g} for {output[:60]!r}, not 0 to 1")
    return TOP * value


def leaves_nothing(reference: str, metric: str) -> bool:
    """Return whether normalisation leaves nothing of a reference: an empty output would match it.

    A metric that normalises nothing, such as one's own, has no such reference.

    >>> leaves_nothing("The ...", "token_f1"), leaves_nothing("7", "token_f1")
    (True, False)
    """
    normalise = _NORMALISERS.get(_NORMALISES_AS.get(metric, metric))
    return normalise is not None and not normalise(reference)


def _given(references: Iterable[str]) -> tuple[str, ...]:
    given = tuple(references)
    if not given:
        raise InputError("an output without any reference has no truth")
    return given
