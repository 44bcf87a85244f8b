"""What a replication of the queries reads, writes over, adds up and, if asked, keeps of each."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled_or_python
from poq_abm.rules.protocol.terms import Query, Settlement, Terms
from poq_abm.simulation.arrays import GameArrays
from poq_abm.simulation.histograms import LatencyCells, count_latency
from poq_abm.simulation.queries.market import People, Ways
from poq_abm.simulation.queries.node_types import NodeTypes, Vendors
from poq_abm.simulation.queue import Queue, ServiceTime
from poq_abm.simulation.replication import Replication

__all__ = [
    "DRAWS",
    "Draw",
    "Machines",
    "Providers",
    "QueryState",
    "QueryTotals",
    "QueryTrace",
    "Setting",
    "Sum",
    "add",
    "cost",
    "note",
]

Floats = NDArray[np.float64]

DRAWS: Final = 8  #: doubles per query


class Draw(IntEnum):
    """What each double of a query is for."""

    ARRIVAL = 0
    SERVICE = 1
    CHEAT = 2
    PROOF = 3
    SAMPLE = 4
    CONFIRM = 5
    WATCH = 6


class Sum(IntEnum):
    """What the loop adds up over queries."""

    DISHONEST = 0
    RATIONAL = 1  #: queries that a rational node got first
    RATIONAL_CHEATS = 2
    FOUND = 3
    STANDS = 4
    DISHONEST_RELEASED = 5
    RELEASED = 6
    REFUSED_HONEST = 7
    TRUTH = 8  #: of what was released
    CONSENSUS = 9
    PAID = 10
    PENALTY = 11
    ADVANTAGE = 12
    WATCHER_PROFIT = 13
    PROVED = 14
    BROKEN = 15
    PROVISIONAL_S = 16
    ECONOMIC_S = 17
    WAITING_S = 18
    COMPUTE = 19
    ATTESTATION = 20
    PROOF = 21
    RECHECK = 22
    EVALUATION = 23
    DISPUTE = 24
    POSTING = 25
    CAPITAL = 26
    MACHINE_S = 27
    BOUNTY = 28
    VALIDATOR_PROFIT = 29
    EVALUATOR_PAY = 30  #: of all seats, in USD
    HONEST_SEATS = 31  #: taken by evaluators who report what they measure
    HONEST_PAY = 32
    MALICIOUS_SEATS = 33
    MALICIOUS_PAY = 34
    MALICIOUS_MAJORITY = 35  #: committees


class Providers(NamedTuple):
    """The nodes that answer, how long that takes them, and the terms on which they do."""

    terms: Terms
    law: ServiceTime
    people: People
    types: NodeTypes


class Setting(NamedTuple):
    """What does not change within a replication."""

    rate: float  #: arrivals per second
    game: GameArrays  #: its rows of inference nodes say what they do with the query at hand
    ways: Ways
    providers: Providers


class Machines(NamedTuple):
    """The machines of the nodes that answer, as they stand at the time of a query."""

    queue: Queue
    busy: Floats  #: (F,) how long each node has worked
    vendors: Vendors
    steps: NDArray[np.int64]  #: scratch of the choice of other nodes
    others: NDArray[np.int64]


class QueryTotals(NamedTuple):
    """What is added up over queries."""

    sums: Floats  #: (Sum,)
    latencies: Floats  #: (2, queries) provisional and economic finality in s; (2, 0) if too many
    cells: LatencyCells  #: two rows of the same, where there are too many
    found: NDArray[np.int64]  #: (Found,) how often each check was the first to find a cheat


class QueryState(NamedTuple):
    """What a replication writes over and adds up."""

    clock: Floats  #: (2,) arrival of the last query; when the last answer was there
    totals: QueryTotals
    machines: Machines
    kept: Replication  #: key, buffers and memory, as rounds have them
    words: NDArray[np.uint32]  #: (16, BATCH_ROUNDS) scratch of the draws
    draws: Floats  #: (8, BATCH_ROUNDS) by :class:`Draw`


class QueryTrace(NamedTuple):
    """One entry per query."""

    arrival_s: Floats
    node: NDArray[np.int32]
    record: NDArray[np.int32]
    conduct: NDArray[np.int8]
    broken: NDArray[np.bool_]
    provisional_s: Floats
    economic_s: Floats
    found: NDArray[np.int8]
    proved: NDArray[np.bool_]
    released: NDArray[np.bool_]
    stands: NDArray[np.bool_]
    consensus: Floats
    paid: Floats
    penalty: Floats
    cost_usd: Floats


@compiled_or_python
def cost(outcome: Settlement) -> float:
    """Return what the query cost in all, in USD."""
    return (
        outcome.compute_usd
        + outcome.attestation_usd
        + outcome.proof_usd
        + outcome.recheck_usd
        + outcome.evaluation_usd
        + outcome.dispute_usd
        + outcome.posting_usd
        + outcome.capital_usd
    )


@compiled_or_python
def add(
    totals: QueryTotals,
    q: int,
    query: Query,
    outcome: Settlement,
    rational: bool,
    truth: float,
    wait: float,
) -> None:
    """Add query ``q`` to the sums, and keep or count both its latencies."""
    sums = totals.sums
    sums[Sum.DISHONEST] += query.dishonest
    sums[Sum.RATIONAL] += rational
    sums[Sum.RATIONAL_CHEATS] += rational and query.dishonest
    sums[Sum.FOUND] += query.dishonest and outcome.found != 0
    sums[Sum.STANDS] += outcome.stands
    sums[Sum.DISHONEST_RELEASED] += query.dishonest and outcome.released
    sums[Sum.RELEASED] += outcome.released
    sums[Sum.REFUSED_HONEST] += not query.dishonest and not outcome.released
    sums[Sum.TRUTH] += truth if outcome.released else 0.0
    sums[Sum.CONSENSUS] += query.consensus
    sums[Sum.PAID] += outcome.paid
    sums[Sum.PENALTY] += outcome.penalty
    sums[Sum.ADVANTAGE] += outcome.advantage
    sums[Sum.WATCHER_PROFIT] += outcome.watcher_profit
    sums[Sum.PROVED] += outcome.proved
    sums[Sum.BROKEN] += query.broken
    sums[Sum.PROVISIONAL_S] += outcome.provisional_s
    sums[Sum.ECONOMIC_S] += outcome.economic_s
    sums[Sum.WAITING_S] += wait
    sums[Sum.COMPUTE] += outcome.compute_usd
    sums[Sum.ATTESTATION] += outcome.attestation_usd
    sums[Sum.PROOF] += outcome.proof_usd
    sums[Sum.RECHECK] += outcome.recheck_usd
    sums[Sum.EVALUATION] += outcome.evaluation_usd
    sums[Sum.DISPUTE] += outcome.dispute_usd
    sums[Sum.POSTING] += outcome.posting_usd
    sums[Sum.CAPITAL] += outcome.capital_usd
    sums[Sum.MACHINE_S] += outcome.machine_s
    sums[Sum.BOUNTY] += outcome.bounty
    sums[Sum.VALIDATOR_PROFIT] += outcome.validator_profit
    if totals.latencies.shape[1] > 0:
        totals.latencies[0, q] = outcome.provisional_s
        totals.latencies[1, q] = outcome.economic_s
    else:
        count_latency(totals.cells, 0, outcome.provisional_s)
        count_latency(totals.cells, 1, outcome.economic_s)
    totals.found[outcome.found] += query.dishonest


@compiled_or_python
def note(
    trace: QueryTrace,
    row: int,
    arrival: float,
    node: int,
    record: int,
    action: int,
    query: Query,
    outcome: Settlement,
) -> None:
    """Write one query into the trace."""
    trace.arrival_s[row] = arrival
    trace.node[row] = node
    trace.record[row] = record
    trace.conduct[row] = action
    trace.broken[row] = query.broken
    trace.provisional_s[row] = outcome.provisional_s
    trace.economic_s[row] = outcome.economic_s
    trace.found[row] = outcome.found
    trace.proved[row] = outcome.proved
    trace.released[row] = outcome.released
    trace.stands[row] = outcome.stands
    trace.consensus[row] = query.consensus
    trace.paid[row] = outcome.paid
    trace.penalty[row] = outcome.penalty
    trace.cost_usd[row] = cost(outcome)
