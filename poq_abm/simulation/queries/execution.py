"""A stand-in for the execution of a model: a chain of hashes that only its weights can make.

The state after step i is the hash of the model's measurement, i and the state before. It has what
attestation and disputes are about (another model, another input or one altered step changes all
that follows) and nothing of what a model says.

A Merkle tree over the states binds them to one root, and one opening proves one of them. Leaves and
inner nodes are hashed with different prefixes, so that neither can pass for the other, and a leaf's
hash contains its number.

Two parties who disagree find the one step that somebody must recompute by bisection: each round
both open the state in the middle of what is still in doubt, and the openings are checked against
the roots they committed to. After ceil(log2 steps) rounds one step is left. Both agree on the state
before it, the referee recomputes it, and who claims another result loses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from poq_abm.errors import InputError

__all__ = [
    "EMPTY",
    "Dispute",
    "Execution",
    "bisect",
    "build_tree",
    "execute",
    "leaf_hash",
    "measure",
    "next_state",
    "opening",
    "root_from_opening",
    "sha256",
]

EMPTY = b"\x00" * 32  #: stands where a level has an odd number of nodes


def sha256(*parts: bytes) -> bytes:
    """Return the SHA-256 digest of the concatenated parts.

    >>> sha256(b"a", b"bc").hex()[:8]
    'ba7816bf'
    """
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(number: int, state: bytes) -> bytes:
    """Return the hash of leaf ``number`` with a state of 32 bytes."""
    return hashlib.sha256(b"\x00" + number.to_bytes(8, "big") + state).digest()


def build_tree(states: Sequence[bytes]) -> list[list[bytes]]:
    """Return the levels of the tree over ``states``, leaves first, the root last and alone.

    >>> levels = build_tree([b"a" * 32, b"b" * 32, b"c" * 32])
    >>> [len(level) for level in levels]
    [3, 2, 1]
    """
    levels = [[leaf_hash(number, state) for number, state in enumerate(states)]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        padded = below if len(below) % 2 == 0 else [*below, EMPTY]
        levels.append([_inner(padded[i], padded[i + 1]) for i in range(0, len(padded), 2)])
    return levels


def opening(levels: list[list[bytes]], number: int) -> tuple[bytes, ...]:
    """Return the siblings from leaf ``number`` up to the root."""
    path = []
    for level in levels[:-1]:
        sibling = number ^ 1
        path.append(level[sibling] if sibling < len(level) else EMPTY)
        number >>= 1
    return tuple(path)


def root_from_opening(number: int, state: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that an opening leads to; it is the tree's if nothing was altered.

    >>> levels = build_tree([b"a" * 32, b"b" * 32, b"c" * 32])
    >>> root_from_opening(2, b"c" * 32, opening(levels, 2)) == levels[-1][0]
    True
    """
    node = leaf_hash(number, state)
    for sibling in path:
        node = _inner(sibling, node) if number & 1 else _inner(node, sibling)
        number >>= 1
    return node


def _inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


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


class Dispute(NamedTuple):
    """What a dispute came to."""

    step: int  #: the first step after which the two differ, from 0
    rounds: int
    prover_lies: bool
    challenger_lies: bool
    seconds: float
    usd: float  #: fees of all rounds


def bisect(
    measurement: bytes,
    prover: Execution,
    challenger: Execution,
    *,
    prover_root: bytes,
    step_s: float = 0.0,
    step_usd: float = 0.0,
) -> Dispute:
    """Return who loses a dispute about a run of the model with ``measurement``.

    ``prover_root`` is the root that the prover signed; a prover who opens states that do not lead
    to it loses where that shows. Both runs have the same number of steps and the same prompt, and
    differ in their last state.

    Raises
    ------
    InputError
        If there is nothing to dispute: lengths or first states differ, or last states do not.

    Examples
    --------
    >>> honest, lied = execute("a", b"p", 100), execute("a", b"p", 100, cheat_from=42)
    >>> dispute = bisect(measure("a"), lied, honest, prover_root=lied.root)
    >>> dispute.step, dispute.rounds, dispute.prover_lies, dispute.challenger_lies
    (42, 7, True, False)
    """
    steps = len(prover.states) - 1
    if len(challenger.states) - 1 != steps or prover.states[0] != challenger.states[0]:
        raise InputError("a dispute needs two runs of as many steps from the same prompt")
    if prover.answer == challenger.answer:
        raise InputError("both runs end in the same answer; there is nothing to dispute")
    agreed, differing, rounds = 0, steps, 0
    while differing - agreed > 1:
        middle = (agreed + differing) // 2
        rounds += 1
        if not _opens(prover, middle, prover_root):
            return Dispute(middle, rounds, True, False, rounds * step_s, rounds * step_usd)
        if not _opens(challenger, middle, challenger.root):
            return Dispute(middle, rounds, False, True, rounds * step_s, rounds * step_usd)
        if prover.states[middle] == challenger.states[middle]:
            agreed = middle
        else:
            differing = middle
    right = next_state(measurement, agreed, prover.states[agreed])
    prover_lies = prover.states[differing] != right or not _opens(prover, differing, prover_root)
    challenger_lies = challenger.states[differing] != right
    spent = (rounds * step_s, rounds * step_usd)
    return Dispute(agreed, rounds, prover_lies, challenger_lies, *spent)


def _opens(run: Execution, number: int, root: bytes) -> bool:
    return root_from_opening(number, run.states[number], run.open(number)) == root
