"""What a search looks at: figures of a replication, as objectives and as constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from poq_abm.scenario.schema.fields import Strict, as_tuple, complaint

__all__ = ["HONEST", "Constraint", "Measured", "Objective", "is_field"]

HONEST = "honest"  #: the population as the scenario has it

Array = NDArray[np.float64]


def is_field(name: str) -> bool:
    """Return whether a figure is a field of the scenario, by its path, and no column.

    >>> is_field("economy.stake.bond"), is_field("bias")
    (True, False)
    """
    return "." in name


def _list_of(value: Any) -> Any:
    return as_tuple(value) if isinstance(value, list) else (value,)


def _weights(value: Any) -> Any:
    return {value: 1.0} if isinstance(value, str) else value


def _written(weights: dict[str, float] | None) -> str | dict[str, float] | None:
    """Return weights as a file says them: one column, or field, alone by its name."""
    alone = weights is not None and list(weights.values()) == [1.0]
    return next(iter(weights)) if alone and weights is not None else weights


#: what is added up, by column or field; of one alone its name will do
Weights = Annotated[dict[str, float], BeforeValidator(_weights), PlainSerializer(_written)]


class Measured(Strict):
    """A figure of a replication under one population, or the worst under several.

    It is a column of ``replications``, or a weighted sum of columns and of fields of the scenario,
    which cost what they cost whatever is played.
    """

    under: Annotated[tuple[str, ...], BeforeValidator(_list_of)] = Field(
        default=(HONEST,), description="names of populations; of several, the worst counts"
    )
    absolute: bool = Field(default=False, description="whether its size counts, without its sign")
    name: str = Field(default="", description="what it is called, where the sum is too long")

    @property
    def weights(self) -> dict[str, float]:
        """What is added up, by column or field."""
        raise NotImplementedError

    @property
    def metric_alone(self) -> str | None:
        """The one column or field that it is; none where it is a sum."""
        written = _written(self.weights)
        return written if isinstance(written, str) else None

    @property
    def title(self) -> str:
        """What it measures, in words.

        >>> Objective(minimise={"economy.stake.bond": 0.1, "profit_mean": -2.0}).title
        '0.1 bond - 2 profit_mean'
        """
        terms = " ".join(
            f"{'-' if weight < 0.0 else '+'} {abs(weight):g} {name.split('.')[-1]}"
            for name, weight in self.weights.items()
        )
        said = self.name or self.metric_alone or terms.removeprefix("+ ")
        return f"|{said}|" if self.absolute else said

    def worst(self, sign: float, played: Mapping[str, Mapping[str, Array]]) -> Array:
        """Return ``sign`` x the figure by replication, the highest over the populations."""
        figures = np.array([self._of(played[name]) for name in self.under])
        highest: Array = (sign * (np.abs(figures) if self.absolute else figures)).max(axis=0)
        return highest  # NaN where any is

    def _of(self, figures: Mapping[str, Array]) -> Array:
        parts = [weight * np.asarray(figures[name]) for name, weight in self.weights.items()]
        total: Array = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


class Objective(Measured):
    """What is wanted: the mean of a figure as low, or as high, as can be.

    >>> cost = Objective(minimise={"economy.audits.rate": 0.02, "economy.audits.slash": 0.001})
    >>> cost.label
    '0.02 rate + 0.001 slash'
    """

    minimise: Weights | None = Field(
        default=None, description="a column of replications, or weights of columns and fields"
    )
    maximise: Weights | None = Field(default=None, description="the same")
    tolerance: float = Field(default=0.0, ge=0.0, description="a difference too small to matter")

    @model_validator(mode="after")
    def _one_way(self) -> Objective:
        if (self.minimise is None) == (self.maximise is None):
            raise complaint("needs one of minimise and maximise")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """What is added up, whichever way.

        >>> Objective(maximise="correlation").weights
        {'correlation': 1.0}
        """
        return (self.maximise if self.minimise is None else self.minimise) or {}

    @property
    def sign(self) -> float:
        """What makes it a loss."""
        return -1.0 if self.minimise is None else 1.0

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return self.title if self.under == (HONEST,) else f"{self.title} ({', '.join(self.under)})"

    def losses(self, played: Mapping[str, Mapping[str, Array]]) -> Array:
        """Return the loss by replication."""
        return self.worst(self.sign, played)


class Constraint(Measured):
    """What must hold: the mean of a figure at most, or at least, so much."""

    metric: Weights = Field(
        description="a column of replications, or weights of columns and fields"
    )
    at_most: float | None = Field(default=None, description="the highest mean that is allowed")
    at_least: float | None = Field(default=None, description="the lowest mean that is allowed")

    @model_validator(mode="after")
    def _one_side(self) -> Constraint:
        if (self.at_most is None) == (self.at_least is None):
            raise complaint("needs one of at_most and at_least")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """What is added up."""
        return self.metric

    @property
    def label(self) -> str:
        """The condition in words."""
        under = "" if self.under == (HONEST,) else f" ({', '.join(self.under)})"
        bound = f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"
        return f"{self.title}{under} {bound}"

    def excess(self, played: Mapping[str, Mapping[str, Array]]) -> Array:
        """Return by how much it is violated, by replication; at most 0 where it holds."""
        if self.at_most is not None:
            return self.worst(1.0, played) - self.at_most
        assert self.at_least is not None
        return self.worst(-1.0, played) + self.at_least
