"""What is kept of the replications of a span until their rows are made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.simulation.ledger import Ledger
from poq_abm.simulation.replication import Memory

__all__ = ["Kept"]

_ACCOUNTS = ("replication", "sums", "network", "counters", "trust_log")
_OF_ECONOMIES = ("served", "epoch_groups", "epoch_network", "accounts", "final", "settled")


class Kept:
    """A few large arrays with a row for each replication; small objects would stay in memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.columns: dict[str, NDArray[Any]] = {}
        self.count = 0
        self.names: dict[str, list[str]] = {}  #: what the codes of an economy mean
        self.weights = 0  #: number of trust weights, the same in every replication

    def add(self, replication: int, ledger: Ledger, memory: Memory, **measures: Any) -> None:
        """Copy what is needed of a replication that was played."""
        values = {
            "replication": np.int32(replication),
            "sums": ledger.nodes(),
            "network": ledger.network(),
            "counters": memory.counters,
            "trust_log": memory.trust_log,
            **measures,
        }
        for name, value in values.items():
            if name not in self.columns:
                array = np.asarray(value)
                self.columns[name] = np.empty((self._most, *array.shape), array.dtype)
            self.columns[name][self.count] = value
        self.weights = memory.trust.size
        self.count += 1

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return one value for each replication."""
        return self.columns[name][: self.count]

    def measures(self) -> dict[str, NDArray[np.float64]]:
        """Return what was measured besides the accounts."""
        apart = (*_ACCOUNTS, *_OF_ECONOMIES)
        return {name: self[name] for name in self.columns if name not in apart}
