"""From columns of scores to points of 10, on scales that are kept for later outputs.

An evaluator's values are mapped by their minimum and maximum, or a column by the scale it is on,
stated or told by its values: ``10 (value - low) / (high - low)``. The rule that tells a scale from
values alone, where nobody states it:

* The scale is the smallest of 0:1, 0:10 and 0:100 that holds all values, if the column makes use of
  it: at least a tenth of the values other than 0 lie above the next smaller scale, and the largest
  lies above twice its top. (One outlier or a little noise does not move a column to another scale.)
* Values in [1, 5], and whole numbers up to 7 that are not all 0 or 1, may be marks of 1:5, 1:7 or
  0:10: nothing is inferred.
* Negative values that stay above -1.5, or -1 alone under marks of 0 to 10, may be cosines, noise or
  marks of a missing score: nothing is inferred.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from poq_abm.errors import InputError, nearest
from poq_abm.profile.validity import TOP

__all__ = [
    "SCOPES",
    "Scale",
    "described_ranges",
    "described_scales",
    "fit_ranges",
    "infer_scale",
    "points_of",
    "read_scales",
]

METHOD = "min_max"
SCOPES = {"per_task": "task", "whole_set": "set"}
#: Spread, relative to the largest value, below which values are equal: encoders compute in single
#: precision (7 digits), whose last digit depends on what else is in a batch.
RESOLUTION = 1e-6


def fit_ranges(values: Mapping[str, Iterable[tuple[str, float]]], normalise: str) -> dict[str, Any]:
    """Return the transform that maps each evaluator's smallest value to 0 and its largest to 10.

    ``values`` holds (task, value) pairs for each evaluator; ``normalise`` is ``per_task`` or
    ``whole_set``. The transform is plain JSON data for the profile::

        {"method": "min_max", "scope": "task" | "set", "range": [0, 10],
         "evaluators": {name: {task, or "" for the whole set: {"minimum": a, "maximum": b}}}}

    Raises :class:`~poq_abm.errors.InputError` naming the evaluator (and the task) when there are no
    values, when one is NaN or infinite, and when all are the same.

    >>> fitted = fit_ranges({"e": [("qa", 1.0), ("qa", 3.0)]}, "whole_set")
    >>> fitted["evaluators"]
    {'e': {'': {'minimum': 1.0, 'maximum': 3.0}}}
    >>> points_of(fitted, "e", "qa", 2.5)
    7.5
    """
    if normalise not in SCOPES:
        hint = nearest(normalise, SCOPES)
        raise InputError(f"no way to normalise is called {normalise!r}; {hint}")
    scope = SCOPES[normalise]
    return {
        "method": METHOD,
        "scope": scope,
        "range": [0.0, TOP],
        "evaluators": {
            evaluator: _bounds(evaluator, rows, scope) for evaluator, rows in values.items()
        },
    }


def points_of(transform: Mapping[str, Any], evaluator: str, task: str, value: float) -> float:
    """Return the score of a value, ``10 (value - minimum) / (maximum - minimum)`` in [0, 10].

    ``transform`` is what :func:`fit_ranges` returned, or what an imported profile keeps of its
    scales (``{"method": "scales", "scales": {name: {"minimum", "maximum"}}, "min_max": {name:
    fitted}}``). A value beyond the range is clipped. Raises
    :class:`~poq_abm.errors.InputError` for an evaluator or task that was not fitted, and for NaN.

    >>> fitted = fit_ranges({"e": [("qa", 1.0), ("qa", 3.0)]}, "per_task")
    >>> points_of(fitted, "e", "qa", 0.0), points_of(fitted, "e", "qa", 7.0)
    (0.0, 10.0)
    """
    if evaluator in transform.get("min_max", {}):
        return points_of(transform["min_max"][evaluator], evaluator, task, value)
    scales = {name: {"": ends} for name, ends in transform.get("scales", {}).items()}
    known = transform.get("evaluators", scales)
    if evaluator not in known:
        raise InputError(f"no scale was fitted for {evaluator!r}; {nearest(evaluator, known)}")
    bounds = known[evaluator]
    part = task if transform.get("scope") == "task" else ""
    if part not in bounds:
        raise InputError(
            f"no scale of {evaluator!r} was fitted for task {task!r}; {nearest(task, bounds)}"
        )
    if math.isnan(value):
        raise InputError(f"evaluator {evaluator!r} returns NaN for an output of task {task!r}")
    low, high = bounds[part]["minimum"], bounds[part]["maximum"]
    return float(min(max(TOP * ((value - low) / (high - low)), 0.0), TOP))


def described_ranges(transform: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each evaluator: which values became 0 and 10, in which task.

    >>> described_ranges(fit_ranges({"e": [("qa", 1.0), ("qa", 3.0)]}, "per_task"))
    ['Scores of e: by minimum and maximum, qa [1, 3] to [0, 10].']
    """
    sentences = []
    for evaluator, parts in transform["evaluators"].items():
        ranges = "; ".join(
            f"{task or 'whole set'} [{ends['minimum']:.6g}, {ends['maximum']:.6g}]"
            for task, ends in parts.items()
        )
        sentences.append(
            f"Scores of {evaluator}: by minimum and maximum, {ranges} to [0, {TOP:g}]."
        )
    return sentences


def _bounds(
    evaluator: str, rows: Iterable[tuple[str, float]], scope: str
) -> dict[str, dict[str, float]]:
    parts: dict[str, list[float]] = {}
    for task, value in rows:
        if not math.isfinite(value):
            raise InputError(
                f"evaluator {evaluator!r} returns {value} for an output of task {task!r}"
            )
        parts.setdefault(task if scope == "task" else "", []).append(float(value))
    if not parts:
        raise InputError(f"evaluator {evaluator!r} has no values to fit a scale to")
    return {task: _range(evaluator, task, values) for task, values in parts.items()}


def _range(evaluator: str, task: str, values: list[float]) -> dict[str, float]:
    low, high = min(values), max(values)
    if high - low <= RESOLUTION * max(abs(low), abs(high)):
        of_task = f" of task {task!r}" if task else ""
        raise InputError(
            f"evaluator {evaluator!r} gives all {len(values)} outputs{of_task} the same value, "
            f"{low:.6g}: a constant has no scale"
            + ("; normalise: whole_set may still have one" if task else "")
        )
    return {"minimum": low, "maximum": high}


Values = npt.NDArray[np.float64]
_TOPS = (1.0, 10.0, 100.0)
_LIKERT = (1.0, 5.0)
_LARGEST_LIKERT = 7.0
_COSINE = -1.5  # a cosine with noise; what lies below is a logit
_SHARE = 0.1  # of the values other than 0 that must be above the next smaller scale
_SLACK = 1e-6  # relative; single precision


@dataclass(frozen=True)
class Scale:
    """The ends of a scale, and how it is known: ``stated``, ``marked`` or ``inferred``."""

    low: float
    high: float
    known: str = "stated"

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}"

    def points(self, values: Values) -> Values:
        """Return values as points of 10: ``10 (value - low) / (high - low)``.

        >>> Scale(1.0, 5.0).points(np.array([1.0, 4.0])).tolist()
        [0.0, 7.5]
        """
        if (self.low, self.high) == (0.0, TOP):
            return np.clip(values, 0.0, TOP)
        return np.clip(TOP * ((values - self.low) / (self.high - self.low)), 0.0, TOP)

    def outside(self, values: Values) -> Values:
        """Return the values that the scale does not hold, but for the last digits."""
        slack = _SLACK * (self.high - self.low)
        held = (values >= self.low - slack) & (values <= self.high + slack)
        return values[~held & ~np.isnan(values)]


def read_scales(stated: Iterable[str] | Mapping[str, str]) -> dict[str, Scale | str]:
    """Return the scale of each column that one is stated for: ends, or a way to normalise.

    Entries are ``column=low:high``, ``column=per_task`` or ``column=whole_set``. Raises
    :class:`~poq_abm.errors.InputError` for an entry in another form.

    >>> {name: str(scale) for name, scale in read_scales(["cosine=0:1", "nli=per_task"]).items()}
    {'cosine': '0:1', 'nli': 'per_task'}
    """
    entries = stated.items() if isinstance(stated, Mapping) else map(_split, stated)
    scales: dict[str, Scale | str] = {}
    for column, said in entries:
        if column in scales:
            raise InputError(f"--scale names {column!r} twice")
        scales[column] = said if said in SCOPES else _ends(column, said)
    return scales


def _split(entry: str) -> tuple[str, str]:
    column, found, said = entry.rpartition("=")
    if not found:
        raise InputError(f"--scale takes column=low:high, got {entry!r}")
    return column.strip(), said.strip()


def _ends(column: str, said: str) -> Scale:
    try:
        low, high = (float(end) for end in said.split(":"))
    except ValueError:
        hint = f"; {nearest(said, SCOPES)}" if said.isidentifier() else ""
        raise InputError(
            f"--scale takes column=low:high, such as {column}=0:1, got {said!r}{hint}"
        ) from None
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"--scale {column}={said}: the low end must be below the high one")
    return Scale(low, high)


def infer_scale(values: Values, column: str) -> Scale | None:
    """Return the scale that values tell by the rule of this module.

    ``values`` holds at least one number; NaN is left out. ``None`` is for what fits no scale: raw
    values such as logits, which have only a minimum and a maximum. Raises
    :class:`~poq_abm.errors.InputError` where the values may be on several.

    >>> str(infer_scale(np.array([0.35, 0.81]), "a")), str(infer_scale(np.array([1.8, 8.1]), "b"))
    ('0:1', '0:10')
    >>> infer_scale(np.array([-11.0, 4.0]), "logit")
    >>> infer_scale(np.array([1.0, 4.0, 5.0]), "likert")
    Traceback (most recent call last):
    poq_abm.errors.InputError: column 'likert' lies in [1, 5]: marks of 1:5, or of 0:10? State the
    scale with --scale likert=LOW:HIGH
    """
    given = values[~np.isnan(values)]
    low, high = float(given.min()), float(given.max())
    top = next((top for top in _TOPS if high <= top * (1.0 + _SLACK)), None)
    question = ""
    if low < 0.0:
        question = _negative(given, high)
    elif top is not None and top > 1.0:
        question = _likert(given, low, high) or _unused(given, high, top)
    if question:
        raise InputError(
            f"column {column!r} lies in [{low:g}, {high:g}]: {question}? State the "
            f"scale with --scale {column}=LOW:HIGH"
        )
    return None if top is None or low < 0.0 else Scale(0.0, top, "inferred")


def _likert(given: Values, low: float, high: float) -> str:
    if low >= _LIKERT[0] and high <= _LIKERT[1]:
        return "marks of 1:5, or of 0:10"
    if high <= _LARGEST_LIKERT and (given == np.round(given)).all():
        return "marks of 1:5, of 1:7, or of 0:10"
    return ""


def _unused(given: Values, high: float, top: float) -> str:
    smaller = top / 10.0
    used = np.count_nonzero(given > smaller)
    if high > 2.0 * smaller and used >= _SHARE * np.count_nonzero(given):
        return ""
    return (
        f"values of 0:{smaller:g} with noise or an error, or of 0:{top:g} "
        f"({used:,} of {given.size:,} are above {smaller:g})"
    )


def _negative(given: Values, high: float) -> str:
    negative = given[given < 0.0]
    if (negative == -1.0).all() and high > -_COSINE:
        return (
            f"is -1 the mark of a missing score ({negative.size:,} of {given.size:,} values; then "
            f"say --missing -1)"
        )
    if negative.min() >= _COSINE and high <= -_COSINE:
        return (
            f"cosines of -1:1, or shares of 0:1 with noise ({negative.size:,} of {given.size:,} "
            f"are negative)"
        )
    return ""


def described_scales(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence on each mapping of a profile's ``normalisation`` to points of 10."""
    return [
        f"Scale of {name} (column {entry['column']!r}): {entry['minimum']:g}:{entry['maximum']:g}, "
        f"{entry['known']}, for values in [{entry['values'][0]:.6g}, {entry['values'][1]:.6g}]; "
        f"points of 10 are {_formula(entry['minimum'], entry['maximum'])}."
        for name, entry in columns.items()
    ]


def _formula(low: float, high: float) -> str:
    if (low, high) == (0.0, TOP):
        return "the values as they are"
    shifted = "value" if low == 0 else f"(value - {low:g})" if low > 0 else f"(value + {-low:g})"
    return f"10 x {shifted}" if high - low == 1 else f"10 x {shifted} / {high - low:g}"
