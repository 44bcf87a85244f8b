"""The *explain* ledger of an economy: a node's profit, split into what it was paid and charged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.analysis.ledger import Component, split
from poq_abm.errors import InputError
from poq_abm.scenario import Scenario
from poq_abm.simulation.epochs.payment import PARTS

__all__ = ["PROFIT_COMPONENTS", "explain_profit"]

Array = NDArray[np.float64]
_TOTAL = "profit"


def _column(name: str, sign: float = 1.0) -> Component:
    # 0.0 + : what was not charged is 0, not -0.
    return Component((name,), lambda nodes, _: 0.0 + sign * nodes[name].to_numpy(dtype=np.float64))


def _audits(nodes: pd.DataFrame, _: Scenario) -> Array:
    return np.asarray(0.0 - (nodes["forfeited"] + nodes["fined"]), dtype=np.float64)


def _slashing(nodes: pd.DataFrame, _: Scenario) -> Array:
    return np.asarray(0.0 - (nodes["slashed"] - nodes["fined"]), dtype=np.float64)


#: What profits are made of, from columns of ``accounts``. Another source of profit adds an entry.
PROFIT_COMPONENTS: dict[str, Component] = {
    "quality": _column("quality_paid"),
    "closeness": _column("closeness_paid"),
    "cost": _column("cost_charged", -1.0),
    "audits": Component(("forfeited", "fined"), _audits),
    "slashing": Component(("slashed", "fined"), _slashing),
    "redistribution": _column("received"),
    "running": _column("cost_in_money", -1.0),
    "capital": _column("capital", -1.0),
}


def explain_profit(accounts: pd.DataFrame, scenarios: Mapping[str, Scenario]) -> pd.DataFrame:
    """Return every node's profit split into its components, which sum exactly to the profit.

    Exactly as in :func:`poq_abm.analysis.ledger.explain`: ``math.fsum`` of a row's components and
    remainder *is* ``profit`` wherever the remainder is at most a quarter of it. All components are
    tokens: coefficients that move, and the price that a pool pays for a point, are taken as they
    were in each epoch. Trust is no component: no token is paid for it; it
    moves the consensus that quality and closeness are measured by, and, where seats or queries go
    by it, ``jobs``.

    Parameters
    ----------
    accounts
        Rows of :data:`poq_abm.experiment.schemas.ACCOUNTS`.
    scenarios
        The scenario each treatment played: :func:`poq_abm.analysis.reading.scenarios_of`.

    Returns
    -------
    DataFrame
        ``treatment``, ``replication``, ``node``, ``role``, ``group``, ``behaviour`` (at the end),
        ``jobs``, a column for each of :data:`PROFIT_COMPONENTS` in tokens over the run,
        ``remainder`` and ``profit``.

    Raises
    ------
    InputError
        If a treatment has no scenario, there are no rows, or they lack what the split needs.
    """
    missing = [name for name, _, _ in PARTS if name not in accounts]
    if missing:
        raise InputError(
            f"these accounts have no {missing[0]}: they were stored before profits could be "
            "explained; run the scenario again, into a new folder"
        )
    if accounts.empty:
        raise InputError("no accounts: there is nothing to explain")
    return split(accounts, scenarios, PROFIT_COMPONENTS, _TOTAL)
