"""Preferences between outputs turned into scores: shares of wins, and Bradley-Terry strengths.

The probability that model i is preferred to model j is ``p_i / (p_i + p_j)``. Strengths ``p`` are
those of greatest likelihood, found by the MM algorithm of Hunter (Annals of Statistics 32, 2004); a
tie is half a win of each. So that a model that never loses keeps a finite strength, every pair
has half a win more on either side, which is an assumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calibration.corpus.records import Record
from poq_abm.analysis.resampling import record_intervals
from poq_abm.profile.validity import TOP

__all__ = ["bradley_terry", "order_effect", "pair_scores", "win_shares"]

Array = NDArray[np.float64]
Row = Mapping[str, Any]

_WON = {"first": 1.0, "tie": 0.5, "second": 0.0}
_SPARE = 0.5  # wins that every pair has besides, on either side
_STEPS, _CLOSE = 1000, 1e-10


def win_shares(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return a row with a score for each output: ten times its share of wins on its record.

    A tie is half a win. An output of which every comparison was refused is refused.

    >>> rows = [{"record": "r", "model": "a", "against": "b", "better": "first"},
    ...         {"record": "r", "model": "b", "against": "a", "better": "tie"}]
    >>> [(row["model"], row["score"]) for row in win_shares(rows)]
    [('a', 7.5), ('b', 2.5)]
    """
    won: dict[tuple[str, str], list[float]] = {}
    refused: dict[tuple[str, str], str] = {}
    for row in rows:
        first, second = (row["record"], row["model"]), (row["record"], row["against"])
        for own in (first, second):
            won.setdefault(own, [])
        if "refused" in row:
            refused.update({first: row["refused"], second: row["refused"]})
            continue
        won[first].append(_WON[row["better"]])
        won[second].append(1.0 - _WON[row["better"]])
    return [
        {"record": record, "model": model}
        | ({"score": TOP * sum(own) / len(own)} if own else {"refused": refused[record, model]})
        for (record, model), own in won.items()
    ]


def order_effect(rows: Iterable[Row]) -> tuple[int, int]:
    """Return how many pairs were judged in both orders, and in how many the order decided.

    >>> rows = [{"record": "r", "model": "a", "against": "b", "better": "first"},
    ...         {"record": "r", "model": "b", "against": "a", "better": "first"}]
    >>> order_effect(rows)
    (1, 1)
    """
    said = {
        (row["record"], row["model"], row["against"]): _WON[row["better"]]
        for row in rows
        if "better" in row
    }
    both = [
        (value, said[record, second, first])
        for (record, first, second), value in said.items()
        if first < second and (record, second, first) in said
    ]
    return len(both), sum(one != 1.0 - other for one, other in both)


def bradley_terry(wins: Array) -> Array:
    """Return each model's mean chance of being preferred to another, times 10; shape (..., models).

    ``wins[..., i, j]`` counts how often i was preferred to j, ties by half.

    >>> bradley_terry(np.array([[0.0, 3.5], [0.5, 0.0]])).tolist()
    [8.0, 2.0]
    """
    models = wins.shape[-1]
    others = 1.0 - np.eye(models)
    spared = wins * others + _SPARE * others
    played = spared + np.swapaxes(spared, -1, -2)
    total = spared.sum(axis=-1)
    strength = np.ones_like(total)
    for _ in range(_STEPS):
        pairs = strength[..., :, None] + strength[..., None, :]
        new = total / (played / pairs).sum(axis=-1)
        new /= new.mean(axis=-1, keepdims=True)
        is_close = np.abs(new - strength).max() < _CLOSE
        strength = new
        if is_close:
            break
    chance = strength[..., :, None] / (strength[..., :, None] + strength[..., None, :])
    scores: Array = TOP * (chance * others).sum(axis=-1) / (models - 1)
    return scores


def pair_scores(
    rows: Iterable[Row], records: Sequence[Record], models: Sequence[str]
) -> pd.DataFrame:
    """Return the Bradley-Terry score of every model on every task, with its 95% interval.

    The columns are task, model, score, low and high, in points of 10. Intervals resample records
    within tasks (:func:`poq_abm.analysis.resampling.record_intervals`).
    """
    place = {model: index for index, model in enumerate(models)}
    wins: dict[str, Array] = {}
    for row in rows:
        if "better" not in row:
            continue
        first, second = place[row["model"]], place[row["against"]]
        own = wins.setdefault(row["record"], np.zeros((len(models), len(models))))
        own[first, second] += _WON[row["better"]]
        own[second, first] += 1.0 - _WON[row["better"]]
    judged = [record for record in records if record.id in wins]
    if not judged:
        return pd.DataFrame(columns=["task", "model", "score", "low", "high"])
    tasks = list(dict.fromkeys(record.task for record in judged))
    square = (len(models), len(models))
    found = record_intervals(
        np.stack([wins[record.id].ravel() for record in judged]),
        np.array([tasks.index(record.task) for record in judged], dtype=np.int64),
        lambda sums: bradley_terry(sums.reshape(*sums.shape[:2], *square)).reshape(len(sums), -1),
    )
    keys = [(task, model) for task in tasks for model in models]
    table = pd.DataFrame(keys, columns=["task", "model"])
    return table.assign(score=found.estimate, low=found.low, high=found.high)
