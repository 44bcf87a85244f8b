"""Who is honest, rational or Byzantine in one replication, and whose enclave a node has."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.random import Purpose, uniform
from poq_abm.simulation.queries.beliefs import named_conduct
from poq_abm.simulation.queries.market import Market

__all__ = ["NodeTypes", "draw_standing"]


class NodeTypes(NamedTuple):
    """What each inference node is in one replication; F nodes."""

    vendor: NDArray[np.int64]  #: (F,) whose enclave it has
    rational: NDArray[np.bool_]  #: (F,)
    conduct: NDArray[np.int64]  #: (F, 2) what it does if it cheats, enclave intact and broken
    chance: NDArray[np.float64]  #: (F, 2) the chance that it does


def draw_standing(market: Market, replication: int) -> NodeTypes:
    """Return who is what: floor(share x F) nodes of either kind, keyed by the replication.

    Nodes are ranked by a draw each; Byzantine ones come from the low end and rational ones from the
    high end, so that a larger share adds nodes to those of a smaller one. Treatments of one seed
    share all draws.
    """
    adversaries, people = market.verification.adversaries, market.people
    count = people.cost.size
    key = (market.seed, replication, int(Purpose.STANDING))
    rank = np.argsort([uniform(*key, node, 0) for node in range(count)], kind="stable")
    byzantine = rank[: math.floor(adversaries.byzantine_share * count + 1e-9)]
    last = math.floor(adversaries.rational_share * count + 1e-9)
    rational = np.zeros(count, dtype=np.bool_)
    rational[rank[count - last :]] = True
    rational[byzantine] = False
    chance = np.where(rational[:, None], people.chance, 0.0)
    conduct = people.choice.copy()
    if not market.protocol.terms.trusted:
        chance[byzantine] = 1.0
        conduct[byzantine] = named_conduct(adversaries.actions[0])
    edges = np.cumsum([vendor.share for vendor in adversaries.vendors.values()])
    draws = np.array([uniform(*key, node, 1) for node in range(count)])
    return NodeTypes(
        vendor=np.minimum(np.searchsorted(edges, draws), edges.size - 1).astype(np.int64),
        rational=rational,
        conduct=conduct,
        chance=chance,
    )
