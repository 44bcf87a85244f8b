"""The scale a column of scores is on, stated or told by its values, and the way to points of 10.

A column is mapped by ``10 (value - low) / (high - low)``. The rule that tells a scale from values
alone, where nobody states it:

* The scale is the smallest of 0:1, 0:10 and 0:100 that holds all values, if the column makes use of
  it: at least a tenth of the values other than 0 lie above the next smaller scale, and the largest
  lies above twice its top. (One outlier or a little noise does not move a column to another scale.)
* Values in [1, 5], and whole numbers up to 7 that are not all 0 or 1, may be marks of 1:5, 1:7 or
  0:10: nothing is inferred.
* Negative values that stay above -1.5, or -1 alone under marks of 0 to 10, may be cosines, noise or
  marks of a missing score: nothing is inferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.normalising import SCOPES
from poq_abm.errors import InputError, nearest
from poq_abm.profile.layout import TOP

__all__ = ["Scale", "described", "infer_scale", "read_scales"]

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


def described(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
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
