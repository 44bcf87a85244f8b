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
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, intrinsic_or_python
from poq_abm.simulation.arrays import on_cache_lines

__all__ = [
    "BLOCK_ROUNDS",
    "MID_SCALE",
    "ROW",
    "Agreement",
    "Ledger",
    "NodeSum",
    "add_to_row",
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
    CLOSENESS = 3
    CONSENSUS = 4
    TRUTH = 5


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
    block, total = on_cache_lines(*[((nodes, ROW), np.float64)] * 2)
    return Ledger(block, total, np.zeros(ROW), np.zeros(ROW))


def _six_side_by_side(_typing: Any, block: Any, row: Any, numbers: Any) -> Any:  # noqa: ARG001
    """Write code that adds six numbers to the first columns of a row, four at a time.

    The compiler, left alone, adds one after the other, because it cannot know what else lies where
    a row does. Every column has a sum of its own, so the bits are the same.
    """
    from llvmlite import ir  # noqa: PLC0415  (part of Numba, which is heavy)
    from numba import types as numba_types  # noqa: PLC0415

    types: Any = numba_types  # these carry no types of their own
    half_row = ir.VectorType(ir.DoubleType(), ROW // 2)

    def side_by_side(builder: Any, values: Any) -> Any:
        """Return numbers in one register, and zeros behind them."""
        half = ir.Constant(half_row, [0.0] * (ROW // 2))
        for place, value in enumerate(values):
            half = builder.insert_element(half, value, ir.Constant(ir.IntType(32), place))
        return half

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        given = [builder.extract_value(arguments[2], place) for place in range(6)]
        for first in (0, ROW // 2):
            place = builder.mul(arguments[1], ir.Constant(arguments[1].type, ROW))
            place = builder.add(place, ir.Constant(place.type, first))
            half = builder.bitcast(builder.gep(array.data, [place]), half_row.as_pointer())
            added = side_by_side(builder, given[first:][: ROW // 2])
            builder.store(builder.fadd(builder.load(half, align=8), added), half, align=8)
        return context.get_dummy_value()

    six = types.UniTuple(types.float64, 6)
    return types.void(block, types.uint64, six), generate


@intrinsic_or_python(_six_side_by_side)
def add_to_row(block: NDArray[np.float64], row: SupportsIndex, numbers: tuple[float, ...]) -> None:
    """Add numbers to the first columns of a row, one after the other."""
    columns = block.reshape(-1, ROW)[row]
    for column, number in enumerate(numbers):
        columns[column] += number


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
    added = (1.0, reward, distance * distance, near, consensus, truth)
    add_to_row(block, np.uint64(node), added)


@compiled
def observe(row: NDArray[np.float64], consensus: float, truth: float) -> None:
    """Add one round's consensus and truth to the network's row."""
    c = consensus - MID_SCALE
    t = truth - MID_SCALE
    error = abs(consensus - truth)
    add_to_row(row, np.uint64(0), (c, t, c * c, t * t, c * t, error))


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
