"""What a paper's figures leave open of constants that it does not state: rejection ABC.

Constants are drawn from a prior, the figures are simulated with each draw, and the draws that come
nearest the published figures are kept: a sample of the approximate posterior. What it does not
narrow, the figures do not identify.

Source: Beaumont, Zhang and Balding (2002), Genetics 162, 2025-2035, for rejection and its distance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.errors import InputError

__all__ = ["Posterior", "Unknown", "UnknownConstants", "identified", "posterior", "write_posterior"]

Array = NDArray[np.float64]

_CHUNK = 100_000  # draws that are simulated at a time


class Unknown(NamedTuple):
    """A constant that a paper does not state: the field of a scenario, and its uniform prior.

    What is no field, as a path with a blank in it, is drawn like all others and left out of a table
    for a sweep.
    """

    path: str
    low: float
    high: float


@dataclass(frozen=True)
class UnknownConstants:
    """Constants, and the published figures that could tell of them.

    ``simulate`` takes draws of the constants, shape (draws, constants), and a generator, and
    returns what the figures would have been, shape (draws, figures).
    """

    unknowns: tuple[Unknown, ...]
    published: Array
    rounding: float  #: half the last printed digit of every figure
    simulate: Callable[[Array, np.random.Generator], Array]


@dataclass(frozen=True)
class Posterior:
    """A sample of what constants may be, a row a joint draw, and how it was come by."""

    sample: pd.DataFrame  #: a column for each constant, by its path
    prior: Mapping[str, tuple[float, float]]
    distance: float  #: of the farthest draw that was kept, in units of the figures' rounding
    draws: int
    seed: int
    said: str = ""  #: what it rests on


def posterior(
    questions: Sequence[UnknownConstants], draws: int, keep: int, seed: int, said: str = ""
) -> Posterior:
    """Return the draws whose figures come nearest the published ones.

    The distance of a draw is the largest miss of any figure over its rounding: at 1 or less all
    figures agree to their printed digits. Questions that share no constant and no figure are asked
    apart, each with ``draws`` of its own, since in few dimensions more draws come near; their kept
    draws are independent and stand side by side.

    Raises :class:`~poq_abm.errors.InputError` unless 2 <= keep <= draws.

    >>> exact = UnknownConstants((Unknown("x", 0.0, 1.0),), np.array([0.3]), 0.05, lambda d, _: d)
    >>> found = posterior([exact], 1000, 100, 1)
    >>> len(found.sample), found.distance < 1.2, round(float(found.sample["x"].mean()), 1)
    (100, True, 0.3)
    """
    if not 2 <= keep <= draws:
        raise InputError(f"2 <= keep <= draws is needed, got {keep:,} and {draws:,}")
    columns: dict[str, Array] = {}
    prior: dict[str, tuple[float, float]] = {}
    farthest = 0.0
    for number, question in enumerate(questions):
        generator = np.random.default_rng([seed, number])
        kept, distance = _nearest(question, draws, keep, generator)
        farthest = max(farthest, float(distance.max()))
        shuffled = kept[generator.permutation(keep)]  # not by distance, beside those of others
        columns |= {unknown.path: shuffled[:, i] for i, unknown in enumerate(question.unknowns)}
        prior |= {unknown.path: (unknown.low, unknown.high) for unknown in question.unknowns}
    return Posterior(pd.DataFrame(columns), prior, farthest, draws, seed, said)


def _nearest(
    question: UnknownConstants, draws: int, keep: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Return the nearest of the draws, and their distances."""
    low, high = np.array([unknown[1:] for unknown in question.unknowns], np.float64).T
    kept, distance = np.empty((0, low.size)), np.empty(0)
    for start in range(0, draws, _CHUNK):
        drawn = generator.uniform(low, high, (min(_CHUNK, draws - start), low.size))
        misses = np.abs(question.simulate(drawn, generator) - question.published)
        kept = np.concatenate([kept, drawn])
        distance = np.concatenate([distance, misses.max(axis=1) / question.rounding])
        best = np.argsort(distance, kind="stable")[:keep]
        kept, distance = kept[best], distance[best]
    return kept, distance


def identified(found: Posterior) -> pd.DataFrame:
    """Return what the sample says of every constant.

    Columns: ``constant``; its uniform prior, ``prior_low`` and ``prior_high``; ``mean``, and the
    95% interval ``low``, ``high`` of the sample; ``narrowed``, by which share that is shorter than
    the prior's; ``moves_with``, the constant that correlates most, with the ``correlation``: near
    1 or -1 the two lie on a ridge, and only a combination of them is known.
    """
    sample = found.sample
    correlation = sample.corr().to_numpy(copy=True)
    np.fill_diagonal(correlation, 0.0)
    rows = []
    for number, name in enumerate(sample):
        low, high = np.quantile(sample[name], [0.025, 0.975])
        start, end = found.prior[str(name)]
        other = int(np.abs(correlation[number]).argmax())
        rows.append(
            {
                "constant": name,
                "prior_low": start,
                "prior_high": end,
                "mean": sample[name].mean(),
                "low": low,
                "high": high,
                "narrowed": 1.0 - (high - low) / (0.95 * (end - start)),
                "moves_with": sample.columns[other],
                "correlation": correlation[number, other],
            }
        )
    return pd.DataFrame(rows)


def write_posterior(found: Posterior, path: Path, study: str) -> None:
    """Write the sample as a CSV table that a sweep reads: ``sweep: {from: FILE.csv}``.

    Its provenance stands in comments before the columns.

    Raises :class:`~poq_abm.errors.InputError` where the file exists or cannot be written.
    """
    lines = [
        f"poq reproduce {study}: rejection ABC, {len(found.sample)} of {found.draws:,} draws, "
        f"seed {found.seed}",
        *(f"prior of {name}: uniform from {a:g} to {b:g}" for name, (a, b) in found.prior.items()),
        f"farthest draw kept: {found.distance:.3g} times the rounding of the published figures",
        *found.said.splitlines(),
    ]
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.writelines(f"# {line}\n" for line in lines)
            fields = [name for name in found.sample if " " not in str(name)]
            sample = found.sample[fields]
            sample.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")
    except FileExistsError:
        raise InputError(f"{path} exists; a posterior is never overwritten") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
