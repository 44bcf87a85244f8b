"""The accounts of a replication: what every node did and earned, as columns.

Sums are kept in two levels. A round adds to the *block*; every ``BLOCK_ROUNDS`` rounds (at the same
absolute rounds whatever plays them) the block is folded into the *total* and cleared. Two-level
summation bounds the rounding error of a sum of n terms by about ``BLOCK_ROUNDS + n / BLOCK_ROUNDS``
units in the last place instead of n, without slowing the round.

Second moments are taken about an anchor near the mean, not about zero, so that a small spread is
not lost in the difference of two large numbers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled

__all__ = [
    "BLOCK_ROUNDS",
    "MID_SCALE",
    "ROW",
    "Agreement",
    "Ledger",
    "NodeSum",
    "clear",
    "credit",
    "fold",
    "observe",
    "open_ledger",
]

BLOCK_ROUNDS = 2**16
MID_SCALE = 5.0  #: the anchor of consensus and truth: the middle of [0, 10]


class NodeSum(IntEnum):
    """What a node's row holds, as sums over its rounds."""

    JOBS = 0
    REWARD = 1
    SPREAD = 2  #: squared distance of the reward from the node's anchor
    CONSENSUS = 3
    TRUTH = 4
    CLOSENESS = 5


class Agreement(IntEnum):
    """What the network's row holds: sums over rounds, with both scores taken about mid-scale."""

    CONSENSUS = 0
    TRUTH = 1
    CONSENSUS_SQUARED = 2
    TRUTH_SQUARED = 3
    PRODUCT = 4
    ABSOLUTE_ERROR = 5


ROW = 8  # a node's row fills one 64-byte cache line


class Ledger(NamedTuple):
    """The running sums of one replication; arrays of shape (nodes, 8) and (8,)."""

    node_block: NDArray[np.float64]
    node_total: NDArray[np.float64]
    network_block: NDArray[np.float64]
    network_total: NDArray[np.float64]

    def nodes(self) -> NDArray[np.float64]:
        """Return the sums of every node so far, shape (nodes, 8)."""
        return self.node_total + self.node_block

    def network(self) -> NDArray[np.float64]:
        """Return the sums of the network so far, shape (8,)."""
        return self.network_total + self.network_block


def open_ledger(nodes: int) -> Ledger:
    """Return an empty ledger for ``nodes`` nodes.

    >>> open_ledger(3).nodes().shape
    (3, 8)
    """
    return Ledger(np.zeros((nodes, ROW)), np.zeros((nodes, ROW)), np.zeros(ROW), np.zeros(ROW))


@compiled
def credit(
    block: NDArray[np.float64],
    node: SupportsIndex,
    reward: float,
    anchor: float,
    consensus: float,
    truth: float,
    near: float,
) -> None:
    """Add one round to a node's row, its second moment taken about ``anchor``."""
    distance = reward - anchor
    row = block[node]
    row[NodeSum.JOBS] += 1.0
    row[NodeSum.REWARD] += reward
    row[NodeSum.SPREAD] += distance * distance
    row[NodeSum.CONSENSUS] += consensus
    row[NodeSum.TRUTH] += truth
    row[NodeSum.CLOSENESS] += near


@compiled
def observe(row: NDArray[np.float64], consensus: float, truth: float) -> None:
    """Add one round's consensus and truth to the network's row."""
    c = consensus - MID_SCALE
    t = truth - MID_SCALE
    row[Agreement.CONSENSUS] += c
    row[Agreement.TRUTH] += t
    row[Agreement.CONSENSUS_SQUARED] += c * c
    row[Agreement.TRUTH_SQUARED] += t * t
    row[Agreement.PRODUCT] += c * t
    row[Agreement.ABSOLUTE_ERROR] += abs(consensus - truth)


@compiled
def fold(ledger: Ledger) -> None:
    """Move the block's sums into the total and clear the block."""
    node_block, node_total, network_block, network_total = ledger
    for node in range(node_block.shape[0]):
        for column in range(ROW):
            node_total[node, column] += node_block[node, column]
            node_block[node, column] = 0.0
    for column in range(ROW):
        network_total[column] += network_block[column]
        network_block[column] = 0.0


@compiled
def clear(ledger: Ledger) -> None:
    """Forget every round: the ledger of another replication begins."""
    node_block, node_total, network_block, network_total = ledger
    for node in range(node_block.shape[0]):
        for column in range(ROW):
            node_block[node, column] = 0.0
            node_total[node, column] = 0.0
    for column in range(ROW):
        network_block[column] = 0.0
        network_total[column] = 0.0
