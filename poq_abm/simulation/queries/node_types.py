"""What nodes are in one replication: honest, rational or Byzantine, and with whose enclave.

All enclaves of a vendor are intact, broken or patched together: a process of two states.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_or_python
from poq_abm.random import Purpose, fill_uniforms, fill_words, uniform
from poq_abm.rules.protocol.protocol import SECONDS_PER_YEAR
from poq_abm.scenario.schema.verification_conditions import Adversaries
from poq_abm.simulation.arrivals import gap
from poq_abm.simulation.buffers import ReplicationKey
from poq_abm.simulation.queries.beliefs import named_action
from poq_abm.simulation.queries.market import Market

__all__ = ["NodeTypes", "Vendors", "advance", "broken_share", "draw_node_types", "open_vendors"]


class NodeTypes(NamedTuple):
    """What each inference node is in one replication; F nodes."""

    vendor: NDArray[np.int64]  #: (F,) whose enclave it has
    rational: NDArray[np.bool_]  #: (F,)
    action: NDArray[np.int64]  #: (F, 2) what it does if it cheats, enclave intact and broken
    chance: NDArray[np.float64]  #: (F, 2) the chance that it does


def draw_node_types(market: Market, replication: int) -> NodeTypes:
    """Return who is what: floor(share x F) nodes of either kind, keyed by the replication.

    Nodes are ranked by a draw each; Byzantine ones come from the low end and rational ones from the
    high end, so that a larger share adds nodes to those of a smaller one. Treatments of one seed
    share all draws.
    """
    adversaries, people = market.verification.adversaries, market.people
    count = people.cost.size
    standing, enclave = _draws(market.seed, replication, count)
    rank = np.argsort(standing, kind="stable")
    byzantine = rank[: math.floor(adversaries.byzantine_share * count + 1e-9)]
    last = math.floor(adversaries.rational_share * count + 1e-9)
    rational = np.zeros(count, dtype=np.bool_)
    rational[rank[count - last :]] = True
    rational[byzantine] = False
    chance = np.where(rational[:, None], people.chance, 0.0)
    action = people.choice.copy()
    if not market.protocol.terms.trusted:
        chance[byzantine] = 1.0
        action[byzantine] = named_action(adversaries.actions[0])
    edges = np.cumsum([vendor.share for vendor in adversaries.vendors.values()])
    return NodeTypes(
        vendor=np.minimum(np.searchsorted(edges, enclave), edges.size - 1).astype(np.int64),
        rational=rational,
        action=action,
        chance=chance,
    )


def _draws(seed: int, replication: int, nodes: int) -> NDArray[np.float64]:
    """Return two uniform draws of each node, shape (2, nodes)."""
    words, draws = np.empty((4, nodes), np.uint32), np.empty((2, nodes))
    fill_words(words, seed, replication, int(Purpose.STANDING), 0)
    fill_uniforms(draws, words)
    return draws


class Vendors(NamedTuple):
    """Per vendor: its state, when that changes, how often it has, and the mean of either state."""

    broken: NDArray[np.bool_]
    until: NDArray[np.float64]  #: s
    changes: NDArray[np.int64]
    mean_s: NDArray[np.float64]  #: (vendors, 2) of the intact and of the broken state, in s


def broken_share(vulnerability_per_year: float, patch_days: float) -> float:
    """Return the long-run share of time in which a vendor's enclaves are broken.

    lambda d / (1 + lambda d), lambda the discovery rate while intact and d the mean patch delay.

    >>> round(broken_share(0.5, 30.0), 4)
    0.0394
    """
    product = vulnerability_per_year * patch_days / 365.25
    return product / (1.0 + product)


@compiled_or_python
def advance(vendors: Vendors, vendor: int, now: float, key: ReplicationKey) -> bool:
    """Return whether a vendor's enclaves are broken at time ``now``, in seconds from the start.

    Times must not go back. Each stay is exponential, keyed by the vendor and its number.
    """
    while vendors.until[vendor] <= now:
        vendors.changes[vendor] += 1
        count = vendors.changes[vendor]
        vendors.broken[vendor] = not vendors.broken[vendor]
        purpose = Purpose.VULNERABILITY.value  # from Python, an enum takes long to hand over
        draw = uniform(key.seed, key.replication, purpose, vendor, count + 1)
        mean = vendors.mean_s[vendor, int(vendors.broken[vendor])]
        vendors.until[vendor] += gap(draw, 1.0) * mean
    return bool(vendors.broken[vendor])


def open_vendors(adversaries: Adversaries, seed: int, replication: int) -> Vendors:
    """Return the vendors as they are when the first query arrives.

    ``enclaves: stationary`` draws the state from its long-run share; an exponential stay has no
    memory, so what is left of it is drawn like a whole one. A state that is held never changes.
    """
    count = len(adversaries.vendors)
    held = adversaries.enclaves != "stationary"
    vendors = Vendors(
        broken=np.full(count, adversaries.enclaves == "broken"),
        until=np.full(count, np.inf),
        changes=np.zeros(count, np.int64),
        mean_s=np.empty((count, 2)),
    )
    for number, vendor in enumerate(adversaries.vendors.values()):
        rate = vendor.vulnerability_per_year / SECONDS_PER_YEAR
        vendors.mean_s[number] = (1.0 / rate if rate else np.inf, vendor.patch_days * 86_400.0)
        if held:
            continue
        share = broken_share(vendor.vulnerability_per_year, vendor.patch_days)
        key = (seed, replication, int(Purpose.VULNERABILITY), number)
        vendors.broken[number] = uniform(*key, 0) < share
        mean = vendors.mean_s[number, int(vendors.broken[number])]
        vendors.until[number] = gap(uniform(*key, 1), 1.0) * mean
    return vendors
