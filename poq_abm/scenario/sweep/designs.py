"""Designs that draw the treatments of a sweep: Latin hypercubes and Sobol' sequences.

A grid of d axes with k values each has k^d cells and tries k values of each axis. A design of n
samples tries n values of every axis, spread evenly, whatever d is. The points come from
``scipy.stats.qmc``, imported when a design is drawn.
"""

from __future__ import annotations

import inspect
import math
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from poq_abm.limits import MAX_SEED
from poq_abm.scenario.checks.problems import shown
from poq_abm.scenario.schema.fields import Strict, complaint
from poq_abm.scenario.sweep.axes import MAX_TREATMENTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DESIGNS", "AxisRange", "Design", "LatinHypercube", "Sobol"]

MAX_RANGES = 1_000
MAX_VALUES = 1_000_000  # samples x ranges
_DIGITS = 6


def _number(value: object) -> float:
    """Return a finite number as it was written: whether it is whole tells what is drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise complaint(f"must be a number, got {shown(value)}")
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise complaint(f"must be finite, got {shown(value)}")
    return value


Number = Annotated[float, PlainValidator(_number)]


class AxisRange(Strict):
    """The values a field may take: from ``low`` to ``high``, spread evenly on a scale.

    >>> AxisRange(low=1, high=9).whole([0.0, 0.49, 0.999])
    [1, 5, 9]
    >>> AxisRange(low=0.001, high=1, scale="log").real([0.0, 0.5])
    [0.001, 0.0316228]
    """

    low: Number = Field(description="the lowest value")
    high: Number = Field(description="the highest value")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="on which samples are spread evenly"
    )

    @model_validator(mode="after")
    def _in_order(self) -> AxisRange:
        if self.low >= self.high:
            raise complaint(f"low must be below high, got {shown(self.low)} and {shown(self.high)}")
        if self.scale == "log" and self.low <= 0:
            raise complaint(f"a log scale starts above 0, got low {shown(self.low)}")
        if not math.isfinite(float(self.high) - float(self.low)):
            raise complaint("the range is wider than a number can be")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether both ends were written as whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def real(self, points: list[float]) -> list[float]:
        """Return the numbers at these points of [0, 1), rounded to six digits.

        The digits are those of the range's width or, on a log scale, of the number itself.
        """
        if self.scale == "log":
            low, high = math.log(self.low), math.log(self.high)
            found = [float(f"{math.exp(low + u * (high - low)):.{_DIGITS}g}") for u in points]
        else:
            places = _DIGITS - 1 - math.floor(math.log10(self.high - self.low))
            found = [round(self.low + u * (self.high - self.low), places) for u in points]
        inside = (min(max(value, self.low), self.high) for value in found)
        # the double next to a whole number of 17 digits may lie beyond the end that it is
        return [float(value) if float(value) == value else value for value in inside]

    def whole(self, points: list[float]) -> list[int]:
        """Return the whole numbers at these points of [0, 1), both ends included.

        Each has the same share or, on a log scale, k has a share proportional to log((k + 1) / k).
        """
        low, high = int(self.low), int(self.high)
        if self.scale == "log":
            start, end = math.log(low), math.log(high + 1)
            found = [math.floor(math.exp(start + u * (end - start))) for u in points]
        else:
            found = [low + math.floor(u * (high - low + 1)) for u in points]
        return [min(max(value, low), high) for value in found]


def _ends(value: object) -> object:
    """Return ``[low, high]`` as the mapping it is short for."""
    if isinstance(value, list) and len(value) == 2:
        return {"low": value[0], "high": value[1]}
    if isinstance(value, dict | AxisRange):
        return value
    raise complaint(f"write a range as [low, high] or {{low, high, scale}}, got {shown(value)}")


def _countable(ranges: dict[str, AxisRange]) -> dict[str, AxisRange]:
    if not 1 <= len(ranges) <= MAX_RANGES:
        raise complaint(f"1 to {MAX_RANGES:,} ranges are needed, got {len(ranges):,}")
    return ranges


class Design(Strict):
    """Samples drawn at once over the ranges of several fields."""

    samples: int = Field(ge=1, le=MAX_TREATMENTS, description="how many are drawn")
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="key of the design's own draws")
    ranges: Annotated[
        dict[str, Annotated[AxisRange, BeforeValidator(_ends)]], AfterValidator(_countable)
    ] = Field(description="dotted path to the values it may take")

    @model_validator(mode="after")
    def _not_too_many(self) -> Design:
        values = self.samples * len(self.ranges)
        if values > MAX_VALUES:
            raise complaint(f"{values:,} values; at most {MAX_VALUES:,} are drawn")
        return self

    def points(self) -> list[list[float]]:
        """Return for each range the points of its samples in [0, 1); a seed gives them again.

        >>> first, second = LatinHypercube(samples=4, ranges={"a": [0, 1], "b": [0, 1]}).points()
        >>> sorted(int(4 * point) for point in first)
        [0, 1, 2, 3]
        """
        import numpy as np  # noqa: PLC0415
        from scipy.stats import qmc  # noqa: PLC0415

        points = self._draw(qmc, np.random.default_rng(self.seed))
        return [[float(point) for point in column] for column in points.T]

    @abstractmethod
    def _draw(self, qmc: Any, generator: np.random.Generator) -> NDArray[np.float64]:
        """Return one row per sample and one column per range."""


class LatinHypercube(Design):
    """One sample in each of n equal strata of every range (McKay, Beckman and Conover, 1979).

    >>> LatinHypercube(samples=3, ranges={"rounds": [10, 20]}).seed
    0
    """

    def _draw(self, qmc: Any, generator: np.random.Generator) -> NDArray[np.float64]:
        kind = qmc.LatinHypercube
        engine = kind(d=len(self.ranges), **_keyed(kind, generator))
        points: NDArray[np.float64] = engine.random(self.samples)
        return points


def _power_of_two(samples: int) -> int:
    if samples & (samples - 1):
        below = 1 << (samples.bit_length() - 1)
        above = [2 * below] * (2 * below <= MAX_TREATMENTS)
        near = " or ".join(map(str, [below, *above]))
        raise complaint(f"must be a power of two, got {samples}; the nearest: {near}")
    return samples


class Sobol(Design):
    """The first 2^m points of Sobol's sequence, as even in every range and in all of them jointly.

    Scrambling keeps the balance and takes the first point away from the corner where every field
    has its lowest value.

    >>> unscrambled = Sobol(samples=4, scramble=False, ranges={"a": [0, 1]})
    >>> unscrambled.points()
    [[0.0, 0.5, 0.75, 0.25]]
    """

    samples: Annotated[int, AfterValidator(_power_of_two)] = Field(
        ge=1, le=MAX_TREATMENTS, description="how many are drawn: a power of two"
    )
    scramble: bool = Field(default=True, description="whether the points are moved at random")

    def _draw(self, qmc: Any, generator: np.random.Generator) -> NDArray[np.float64]:
        kind = qmc.Sobol
        engine = kind(d=len(self.ranges), scramble=self.scramble, **_keyed(kind, generator))
        points: NDArray[np.float64] = engine.random(self.samples)
        return points


def _keyed(kind: type, generator: np.random.Generator) -> dict[str, np.random.Generator]:
    """Return the generator under the name by which this release of SciPy takes it."""
    return {"rng" if "rng" in inspect.signature(kind).parameters else "seed": generator}


DESIGNS: dict[str, type[Design]] = {"latin_hypercube": LatinHypercube, "sobol": Sobol}
