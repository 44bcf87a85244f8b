"""When a run may stop: the precision that a number of replications has to reach."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from poq_abm.limits import MAX_REPLICATIONS
from poq_abm.scenario.checks.problems import shown
from poq_abm.scenario.schema.fields import Strict, complaint

__all__ = ["Precision", "Until"]


def _identifier(value: str) -> str:
    if not value.isidentifier() or len(value) > 80:
        raise complaint(f"must be the name of a column of the replications, got {shown(value)}")
    return value


class Until(Strict):
    """How narrow the interval of a mean, or of a paired difference, has to be.

    In the metric's unit, or against the mean.

    >>> Until(metric="bias", half_width=0.05).relative is None
    True
    """

    metric: Annotated[str, AfterValidator(_identifier)] = Field(
        description="a column of replications.parquet"
    )
    against: dict[str, Any] | None = Field(
        default=None,
        description="settings of the baseline, by axis: the metric's difference from it is meant",
    )
    half_width: float | None = Field(
        default=None, gt=0, description="half the interval's width at most, in the metric's unit"
    )
    relative: float | None = Field(
        default=None, gt=0, description="the same over the interval's end nearest zero"
    )

    @property
    def width(self) -> str:
        """How narrow, in words.

        >>> Until(metric="bias", relative=0.01).width
        '0.01 of it'
        """
        return f"{self.half_width:g}" if self.half_width is not None else f"{self.relative:g} of it"

    @property
    def measure(self) -> str:
        """What has to be known, in words.

        >>> Until(metric="bias", against={"rounds": 60}, half_width=0.1).measure
        'bias less that at rounds=60'
        """
        if not self.against:
            return self.metric
        at = ", ".join(f"{axis.rpartition('.')[2]}={v}" for axis, v in self.against.items())
        return f"{self.metric} less that at {at}"

    @model_validator(mode="after")
    def _one_of_two(self) -> Until:
        if self.half_width is None and self.relative is None:
            raise complaint("half_width or relative is needed: how narrow is narrow enough?")
        if self.half_width is not None and self.relative is not None:
            raise complaint("half_width and relative cannot both be given; set one of them to null")
        return self


class Precision(Strict):
    """Replications until the interval of a mean is narrow enough, but neither few nor endless.

    >>> target = Precision(until=Until(metric="bias", half_width=0.05))
    >>> target.at_least, target.at_most, target.confidence
    (20, 5000, 0.95)
    """

    until: Until = Field(description="what has to be known, and how well")
    at_least: int = Field(
        default=20, ge=2, le=MAX_REPLICATIONS, description="replications before the first look"
    )
    at_most: int = Field(
        default=5000, ge=2, le=MAX_REPLICATIONS, description="replications after which to give up"
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="level of the interval")

    @model_validator(mode="after")
    def _in_order(self) -> Precision:
        if self.at_least > self.at_most:
            raise complaint(
                f"at_least <= at_most is needed, got {self.at_least} and {self.at_most}"
            )
        return self
