"""Merkle trees over the steps of a trace: one root binds them all, one opening proves one of them.

Leaves and inner nodes are hashed with different prefixes, so that neither can pass for the other,
and a leaf's hash contains its number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

__all__ = ["EMPTY", "build_tree", "leaf_hash", "opening", "root_from_opening", "sha256"]

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
