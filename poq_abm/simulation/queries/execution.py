"""A stand-in for the execution of a model: a chain of hashes that only its weights can make.

The state after step i is the hash of the model's measurement, i and the state before. It has what
attestation and disputes are about (another model, another input or one altered step changes all
that follows) and nothing of what a model says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from poq_abm.simulation.queries.merkle import build_tree, opening, sha256

__all__ = ["Execution", "execute", "measure", "next_state"]


def measure(model: str) -> bytes:
    """Return the measurement of a model: 32 bytes that stand for the hash of its weights and code.

    >>> measure("llama_3_2_3b").hex()[:8]
    'a80bd06a'
    """
    return sha256(b"model", model.encode())


def next_state(measurement: bytes, step: int, state: bytes) -> bytes:
    """Return the state after one step."""
    return sha256(measurement, step.to_bytes(8, "big"), state)


@dataclass(frozen=True)
class Execution:
    """All states of one run: state 0 comes from the prompt, the last one is the answer."""

    states: tuple[bytes, ...]

    @property
    def answer(self) -> bytes:
        """The last state."""
        return self.states[-1]

    @property
    def root(self) -> bytes:
        """The root of the Merkle tree over all states."""
        return self.levels[-1][0]

    @cached_property
    def levels(self) -> list[list[bytes]]:
        """The levels of that tree."""
        return build_tree(self.states)

    def open(self, number: int) -> tuple[bytes, ...]:
        """Return the opening of one state."""
        return opening(self.levels, number)


def execute(
    model: str,
    prompt: bytes,
    steps: int,
    *,
    cheat_from: int | None = None,
    cheaper: str = "cheaper",
) -> Execution:
    """Return the run of a model over ``steps`` steps, or one that goes on as another model.

    From step ``cheat_from`` on the model ``cheaper`` runs.

    >>> execute("a", b"prompt", 4).answer == execute("a", b"prompt", 4, cheat_from=4).answer
    True
    """
    named, other = measure(model), measure(cheaper)
    states = [sha256(b"prompt", prompt)]
    for step in range(steps):
        own = named if cheat_from is None or step < cheat_from else other
        states.append(next_state(own, step, states[-1]))
    return Execution(tuple(states))
