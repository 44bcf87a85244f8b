"""Double-entry accounts: every token that somebody gets was somebody's.

An account holds what its owner has; minting takes from the account ``mint``, which falls below
zero by what was ever minted. All accounts together hold nothing, before and after every transfer.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "Accounts", "Fund", "Holding", "ImbalanceError"]

Array = NDArray[np.float64]

TOLERANCE = 1e-9  #: of all that was ever moved; rounding of sums stays assigned below


class Fund(IntEnum):
    """Accounts that are not a node's."""

    MINT = 0  #: tokens made, negative
    USERS = 1  #: what users paid, negative
    POOL = 2  #: what rewards are paid from
    TREASURY = 3
    NETWORK = 4  #: what the operator of the network keeps
    BURNED = 5
    OUTSIDE = 6  #: suppliers of energy and hardware; owners who put up capital


class Holding(IntEnum):
    """Accounts that every node has."""

    WALLET = 0
    BOND = 1
    UNBONDING = 2  #: a bond of one who left, not yet free


class ImbalanceError(RuntimeError):
    """The accounts do not sum to zero: a defect of the program, never of a scenario."""


class Accounts:
    """The accounts of one replication, in tokens.

    >>> accounts = Accounts(nodes=2)
    >>> accounts.move(Fund.MINT, Holding.WALLET, np.array([1.0, 2.0]))
    >>> accounts.move(Holding.WALLET, Fund.BURNED, np.array([0.5, 0.0]))
    >>> accounts.nodes[Holding.WALLET].tolist(), float(accounts.funds[Fund.MINT])
    ([0.5, 2.0], -3.0)
    >>> accounts.imbalance()
    0.0
    """

    def __init__(self, nodes: int) -> None:
        self.funds: Array = np.zeros(len(Fund))
        self.nodes: Array = np.zeros((len(Holding), nodes))
        self.moved = 0.0  #: absolute sum of all transfers

    def move(self, source: Fund | Holding, target: Fund | Holding, amounts: Array | float) -> None:
        """Move tokens; ``amounts`` has one entry for each node where either side is a holding."""
        if isinstance(amounts, np.ndarray):
            total, size = float(amounts.sum()), float(np.abs(amounts).sum())
        else:
            total, size = float(amounts), abs(float(amounts))
        if size == 0.0:
            return
        if isinstance(source, Holding):
            self.nodes[source] -= amounts
        else:
            self.funds[source] -= total
        if isinstance(target, Holding):
            self.nodes[target] += amounts
        else:
            self.funds[target] += total
        self.moved += size

    def imbalance(self) -> float:
        """Return what all accounts together hold over all that was ever moved."""
        total = abs(float(self.funds.sum()) + float(self.nodes.sum()))
        return 0.0 if self.moved == 0.0 else total / self.moved

    def check(self, epoch: int) -> None:
        """Raise :class:`ImbalanceError` unless the accounts balance to ``TOLERANCE``."""
        if not self.imbalance() <= TOLERANCE:
            raise ImbalanceError(
                f"after epoch {epoch} all accounts hold {self.imbalance():.3g} of what was moved"
            )
