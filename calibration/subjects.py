"""What is timed: an inference model with its prompts, or an evaluator with its pairs.

A subject makes batches, runs one, and says on what its times depend.
:mod:`calibration.random_subjects` has those with random weights and made-up tokens,
:mod:`calibration.real_subjects` those that read real texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from calibration.timing import Timed

__all__ = ["Subject", "spread"]

T = TypeVar("T")


class Subject(Protocol):
    """A node to be timed; ``load`` comes before the first batch, ``release`` after the last."""

    @property
    def role(self) -> str:
        """``inference`` or ``evaluator``."""

    @property
    def node(self) -> str:
        """Name of the model or evaluator."""

    @property
    def device(self) -> str:
        """Where it runs."""

    @property
    def weights(self) -> str:
        """``real`` or ``random``."""

    def identity(self) -> dict[str, Any]:
        """Return, as plain JSON, everything of the subject that its times depend on."""

    def load(self) -> None:
        """Bring the model into memory."""

    def batches(self, batch_size: int, calls: int) -> Sequence[Any]:
        """Return ``calls`` batches, as ``run`` takes them."""

    def run(self, batch: Any) -> Timed:
        """Run one batch and return its times."""

    def tokens_in(self, batch: Any) -> int | None:
        """Return the tokens in a row of a batch, padding included, if they are known."""

    def release(self) -> None:
        """Give the memory back."""


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most ``count`` items at equal distances, so that every part of a list is in.

    >>> spread("abcdef", 3)
    ['a', 'c', 'e']
    """
    if count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]
