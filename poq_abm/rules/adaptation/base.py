"""What a rule of adaptation is: declared parameters, and a decision for all nodes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from poq_abm.rules.registry import complete, find
from poq_abm.rules.rule import Kind, Parameter, Rule

__all__ = [
    "ADAPTATIONS",
    "RATE",
    "ROLE",
    "TEMPERATURE",
    "Adaptation",
    "DecidingNodes",
    "SettledEpoch",
    "resolve_adaptation",
]

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]
    Chosen = NDArray[np.bool_]

ADAPTATIONS: Final[Kind[Adaptation]] = Kind(
    "adaptation", "economy.adaptation", "poq_abm.rules.adaptation"
)

ROLE = Parameter(
    "inference or evaluator", kind="text", required=True, options=("inference", "evaluator")
)
RATE = Parameter("chance that a node revises", 0.1, low=0.0, high=1.0, unit="per epoch")
TEMPERATURE = Parameter(
    "difference of profit that multiplies the odds by e", 0.1, low=1e-9, unit="tokens per epoch"
)


class DecidingNodes(Protocol):
    """The columns of all N nodes as decided so far; the first F are inference nodes."""

    size: int  #: N
    inference: int  #: F
    active: Chosen  #: who is there, shape (N,)
    operator: Index  #: the first node of the operator of each identity, shape (N,)
    machine: Index  #: what each runs on, shape (N,)
    model: Index  #: what each inference node is paid for, shape (F,)
    model_options: Index  #: models that nodes may try, besides those they see others run

    @property
    def machines(self) -> Sequence[object]:
        """The machines there are."""

    def role_is(self, role: str) -> Chosen:
        """Return which nodes have a role, shape (N,)."""

    def options(self, role: str) -> Index:
        """Return the behaviours that nodes of a role can choose from, as indices."""

    def fits(self, model: int, machine: int) -> bool:
        """Return whether an inference model runs on a machine."""

    def take_after(self, place: int, node: int) -> None:
        """Make a free row an identity of the operator of ``node``, alike in all it does."""


class SettledEpoch(Protocol):
    """What a rule is handed: an epoch as it was settled, and what nodes can do about the next.

    Money is in tokens; arrays have one entry for each node, inference nodes first.
    """

    active: Chosen  #: who was there while it was played
    was: Index  #: what each node did, among the population's behaviours

    @property
    def population(self) -> DecidingNodes:
        """Who does what on what; as decided so far."""

    @property
    def group(self) -> Index:
        """The group of each node."""

    @property
    def profit(self) -> Array:
        """Profit of the epoch."""

    @property
    def smoothed(self) -> Array:
        """Profit as entry and exit see it: smoothed over epochs; NaN where there is none yet."""

    @property
    def margin(self) -> Array:
        """What an identity brought: pay, less bond lost and what its bond could have earned."""

    def staying(self, role: str) -> Index:
        """Return the nodes of a role that were there and still are, as ids."""

    def payoff_if(self, node: int, behaviour: int) -> float:
        """Return what the epoch would have brought a node, had it behaved otherwise."""

    def worth_on(self, node: int, machine: int) -> float:
        """Return what the epoch would have brought a node, had it run on another machine."""

    def adopt(self, nodes: Index, behaviours: Index) -> None:
        """Let nodes behave otherwise from now on."""

    def change_machine(self, node: int, machine: int, price: float = 0.0) -> None:
        """Let an inference node run on another machine, for a price."""

    def change_model(self, node: int, model: int) -> None:
        """Let an inference node run another model."""

    def leave(self, nodes: Chosen) -> None:
        """Let nodes go, shape (N,)."""

    def enter(self, nodes: Chosen) -> None:
        """Let nodes that are not there come in, shape (N,)."""


class Adaptation(Rule):
    """Base class of all rules of adaptation; a subclass declares itself and decides.

    A rule decides for all nodes at once: :meth:`revise` reads what an epoch brought and acts
    through :class:`SettledEpoch`. Its luck is the ``draws`` it is given and nothing else, so that
    the same luck meets every treatment.
    """

    kind = ADAPTATIONS
    draws: ClassVar[int] = 0  #: uniforms that it needs for each node
    replays: ClassVar[bool] = False  #: whether it asks for counterfactual payoffs

    @classmethod
    def code(cls) -> tuple[Any, ...]:
        """Return what it begins and decides with."""
        return (cls.__init__, cls.revise)

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Decide; ``draws`` are uniforms of shape (``self.draws``, N)."""
        raise NotImplementedError(f"{type(self).__name__} defines no revise")


def resolve_adaptation(spec: Mapping[str, Any]) -> Adaptation:
    """Return the rule that a scenario describes.

    Raises :class:`~poq_abm.rules.registry.RuleError` with the key that is wrong.

    >>> resolve_adaptation({"name": "entry_exit", "outside": 2.0}).values["outside"]
    2.0
    """
    rule = find(ADAPTATIONS, str(spec["name"]))
    return rule(complete(rule, {key: value for key, value in spec.items() if key != "name"}))
