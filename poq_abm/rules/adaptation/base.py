"""What a rule of adaptation is: a name, declared parameters, and a decision for all nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.behaviour.base import Parameter, code_digest

if TYPE_CHECKING:
    from poq_abm.simulation.epochs.epoch_end import EpochEnd

__all__ = ["RATE", "ROLE", "TEMPERATURE", "Adaptation"]

ROLE = Parameter("inference or evaluator", kind="text", required=True)
RATE = Parameter("chance that a node revises in an epoch", 0.1, low=0.0, high=1.0)
TEMPERATURE = Parameter("tokens of profit that double no odds but e-fold them", 0.1, low=1e-9)


class Adaptation:
    """Base class of all rules of adaptation; a subclass declares itself and decides.

    A rule decides for all nodes at once: :meth:`revise` reads what an epoch brought and acts
    through :class:`~poq_abm.simulation.epochs.epoch_end.EpochEnd`. Its luck is the ``draws`` it is
    given and nothing else, so that the same luck meets every treatment.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]] = {}
    draws: ClassVar[int] = 0  #: uniforms that it needs for each node
    replays: ClassVar[bool] = False  #: whether it asks for counterfactual payoffs

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    @classmethod
    def digest(cls) -> str:
        """Return a digest of the code it is made of, which determines results like a parameter."""
        return code_digest(cls, (cls.__init__, cls.revise))

    def revise(self, end: EpochEnd, draws: NDArray[np.float64]) -> None:
        """Decide; ``draws`` are uniforms of shape (``self.draws``, N)."""
        raise NotImplementedError(f"{type(self).__name__} defines no revise")
