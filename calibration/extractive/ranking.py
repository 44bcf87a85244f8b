"""Two classical rankings of sentences by a question: TF-IDF with the cosine, and BM25.

The sentences of one context are the whole collection: a system sees nothing else.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

__all__ = ["best", "bm25", "tf_idf"]

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
