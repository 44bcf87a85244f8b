"""The agent engine of attested protocols: the same queries, with real keys, hashes and disputes.

The compiled loop says of each query who cheats, how, and whether the enclave is broken. Here a node
does that with an enclave in hand: it signs what it can, a verifier looks at what it delivers, and a
watcher who disputes bisects two real traces. Tests hold both engines to the same verdicts.
"""

from __future__ import annotations

from typing import NamedTuple

from poq_abm.errors import InputError
from poq_abm.rules.protocol.terms import Found
from poq_abm.simulation.queries.attestation import (
    Delivery,
    Enclave,
    Rejection,
    Request,
    Vendor,
    Verifier,
    deliver,
    keyed_bytes,
)
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.execution import Dispute, Execution, bisect, execute, measure
from poq_abm.simulation.queries.market import Market
from poq_abm.simulation.queries.node_types import draw_node_types
from poq_abm.simulation.queries.query_arrays import QueryTrace
from poq_abm.simulation.queries.query_replication import open_query_trace, play_queries

__all__ = ["AttestingNode", "PlayedQuery", "play_attested"]

FIRMWARE = 1


class PlayedQuery(NamedTuple):
    """What real cryptography made of one query."""

    rejection: Rejection | None
    dispute: Dispute | None  #: where a watcher disputed


class AttestingNode:
    """A node with an enclave; cheats as it is told, as well as the enclave lets it.

    ``cheaper`` is the model it runs in place of the named one, ``steps`` the length of a trace.
    """

    def __init__(self, enclave: Enclave, named: str, cheaper: str, steps: int) -> None:
        self.enclave, self.named, self.cheaper, self.steps = enclave, named, cheaper, steps
        stale = Request(named, b"an older question", b"\x00" * 16)
        self._stored = execute(named, stale.prompt, steps)
        self._stored_delivery = deliver(enclave, stale, self._stored, named)

    def answer(
        self, request: Request, conduct: Action, *, broken: bool
    ) -> tuple[Delivery, Execution]:
        """Return what the node delivers, and the run behind it."""
        self.enclave.broken = broken
        if conduct == Action.CACHED and not broken:
            return self._stored_delivery, self._stored
        ran = self.named if conduct == Action.HONEST else self.cheaper
        run = execute(ran, request.prompt, self.steps)
        if conduct == Action.CACHED:  # the right beginning, then what lies in store
            run = Execution((run.states[0], *self._stored.states[1:]))
        return deliver(self.enclave, request, run, ran), run


def play_attested(market: Market, replication: int, steps: int = 16) -> list[PlayedQuery]:
    """Play the queries of one replication with real attestations and real disputes.

    A small run: every query costs three signatures' time. Raises
    :class:`~poq_abm.errors.InputError` where the protocol does not attest.
    """
    if not market.protocol.terms.attests:
        raise InputError(f"protocol {market.protocol.name!r} does not attest")
    trace = open_query_trace(market.queries)
    play_queries(market, replication, trace=trace)
    nodes, verifier = _open_nodes(market, replication, steps)
    return [_play(market, trace, q, nodes, verifier, replication) for q in range(market.queries)]


def _open_nodes(
    market: Market, replication: int, steps: int
) -> tuple[list[AttestingNode], Verifier]:
    seed, models = market.seed, _models(market)
    names = list(market.verification.adversaries.vendors)
    vendors = [
        Vendor(name, keyed_bytes(seed, replication, number, 0)) for number, name in enumerate(names)
    ]
    node_types = draw_node_types(market, replication)
    nodes = []
    for node, vendor in enumerate(node_types.vendor):
        enclave = Enclave(vendors[vendor], keyed_bytes(seed, replication, node, 1), FIRMWARE)
        named = models[int(market.people.model[node, Action.HONEST])]
        cheaper = models[int(market.people.model[node, Action.DOWNGRADE])]
        nodes.append(AttestingNode(enclave, named, cheaper, steps))
    registry = {model: measure(model) for model in models}
    keys = {vendor.name: vendor.public for vendor in vendors}
    return nodes, Verifier(registry, keys, firmware=dict.fromkeys(names, FIRMWARE))


def _models(market: Market) -> list[str]:
    """Return names for the models' numbers; what they are called does not matter to a hash."""
    return [f"model {number}" for number in range(market.game.tables.truth.shape[1])]


def _play(
    market: Market,
    trace: QueryTrace,
    q: int,
    nodes: list[AttestingNode],
    verifier: Verifier,
    replication: int,
) -> PlayedQuery:
    node = nodes[trace.node[q]]
    prompt = market.game.records[trace.record[q]].encode()
    request = Request(node.named, prompt, keyed_bytes(market.seed, replication, q, 2, 16))
    conduct, broken = Action(int(trace.conduct[q])), bool(trace.broken[q])
    delivery, run = node.answer(request, conduct, broken=broken)
    rejection = verifier.verify(request, delivery)
    dispute = None
    if rejection is None and trace.found[q] == Found.WATCHER:
        dispute = _dispute(market, node, request, run)
    return PlayedQuery(rejection, dispute)


def _dispute(market: Market, node: AttestingNode, request: Request, run: Execution) -> Dispute:
    """Let a watcher recompute and dispute what the node signed."""
    figures = market.verification.otr
    return bisect(
        measure(node.named),
        run,
        execute(node.named, request.prompt, node.steps),
        prover_root=run.root,
        step_s=figures.step_s,
        step_usd=figures.step_usd,
    )
