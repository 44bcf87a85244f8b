"""Playing the queries of one replication, and what is measured of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from poq_abm.rules.protocol.terms import Found
from poq_abm.simulation.buffers import BATCH_ROUNDS
from poq_abm.simulation.histograms import (
    RELATIVE_ERROR,
    cell_percentile,
    open_cells,
    percentiles,
)
from poq_abm.simulation.queries.market import Market
from poq_abm.simulation.queries.node_types import draw_node_types, open_vendors
from poq_abm.simulation.queries.query_arrays import (
    DRAWS,
    Machines,
    Providers,
    QueryState,
    QueryTotals,
    QueryTrace,
    Setting,
    Sum,
)
from poq_abm.simulation.queries.query_loop import play
from poq_abm.simulation.queries.query_tables import COSTS
from poq_abm.simulation.queue import open_queue
from poq_abm.simulation.replication import State, open_replication
from poq_abm.simulation.rounds import check_reports

__all__ = ["measures_of", "open_query_state", "open_query_trace", "play_queries"]

STRETCH: Final = 256 * BATCH_ROUNDS  # queries between two signs of life
#: most queries whose latencies are kept, 16 bytes each; those of more are counted in cells
MOST_KEPT: Final = 2**25
_PERCENTILES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_COST_SUMS: Final = dict(zip(COSTS, range(Sum.COMPUTE, Sum.MACHINE_S), strict=True))


def play_queries(
    market: Market,
    replication: int,
    *,
    trace: QueryTrace | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Play all queries of one replication and return a value for every measure of ``QUERIES``.

    A pure function of the market, which holds the seed, and the replication. ``trace`` has one
    entry per query and is filled; ``progress`` is told how many queries were played since it was
    last called.

    >>> from poq_abm.profile import load_profile
    >>> from poq_abm.scenario import load
    >>> from poq_abm.scenario.schema.verification import Verification
    >>> from poq_abm.simulation.queries.market import open_market
    >>> scenario = load("cost_aware_poq", ["rounds=500"])
    >>> market = open_market(scenario, load_profile("published"), Verification(protocol="zkml"))
    >>> play_queries(market, 0)["dishonest_stands"]
    0.0
    """
    game = market.game
    setting, state = open_query_state(market, replication)
    committee, active, own = None, None, None
    if setting.providers.terms.committee:
        committee, active, own = state.kept.buffers.committee, game.active, game.kernels
    stretch = market.queries if trace is not None else STRETCH
    for first in range(0, market.queries, stretch):
        last = min(market.queries, first + stretch)
        play(first, last, setting, state, committee, active, trace, own)
        check_reports(game, state.kept.memory, state.kept.buffers)
        if progress:
            progress(last - first)
    return measures_of(market, state)


def open_query_trace(queries: int) -> QueryTrace:
    """Return an empty trace of so many queries."""
    narrow = {"node": np.int32, "record": np.int32, "conduct": np.int8, "found": np.int8}
    flags = ("broken", "proved", "released", "stands")
    kinds = {**narrow, **dict.fromkeys(flags, np.bool_)}
    return QueryTrace(
        **{name: np.zeros(queries, kinds.get(name, np.float64)) for name in QueryTrace._fields}
    )


def open_query_state(market: Market, replication: int) -> tuple[Setting, QueryState]:
    """Return what a replication reads, and what it writes before its first query."""
    game, seed, terms = market.game, market.seed, market.protocol.terms
    conduct = game.conduct._replace(inference=game.conduct.inference.copy())
    arrays = game.arrays._replace(conduct=conduct)
    setting = Setting(
        rate=market.arrivals_per_s,
        game=arrays,
        ways=market.ways,
        providers=Providers(terms, market.law, market.people, draw_node_types(market, replication)),
    )
    nodes, places = market.people.cost.size, max(terms.providers, 2)
    return setting, QueryState(
        clock=np.zeros(2),
        totals=QueryTotals(
            sums=np.zeros(len(Sum)),
            latencies=np.empty((2, market.queries if market.queries <= MOST_KEPT else 0)),
            cells=open_cells(2),
            found=np.zeros(len(Found), np.int64),
        ),
        machines=Machines(
            queue=open_queue(nodes),
            busy=np.zeros(nodes),
            vendors=open_vendors(market.verification.adversaries, seed, replication),
            steps=np.zeros(places, np.int64),
            others=np.zeros(places, np.int64),
        ),
        kept=open_replication(arrays, seed, replication, market.queries),
        words=np.empty((2 * DRAWS, BATCH_ROUNDS), np.uint32),
        draws=np.empty((DRAWS, BATCH_ROUNDS)),
    )


def measures_of(market: Market, state: QueryState) -> dict[str, float]:
    """Return every measure by the name of its column."""
    queries, sums = market.queries, state.totals.sums
    mean = sums / queries
    dishonest = sums[Sum.DISHONEST]
    costs = {name: float(mean[place]) for name, place in _COST_SUMS.items()}
    found = {
        f"found_by_{kind.name.lower()}": float(state.totals.found[kind] / queries)
        for kind in Found
        if kind
    }
    bond = market.verification.economics.stake_usd if market.protocol.bonded else 0.0
    bonds, attests = bond * market.protocol.terms.providers, market.protocol.terms.attests
    drawn = market.verification.adversaries.enclaves == "stationary"
    return {
        "queries": queries,
        "rational_queries": int(sums[Sum.RATIONAL]),
        "dishonest_queries": int(dishonest),
        "enclaves_drawn": attests and drawn,
        **_latencies(state, mean),
        "waiting_mean_s": float(mean[Sum.WAITING_S]),
        "throughput_per_s": float(queries / state.machines.busy.max()),
        "utilisation": float(state.machines.busy.max() / state.clock[1]),
        "machine_s": float(mean[Sum.MACHINE_S]),
        **costs,
        "total_usd": math.fsum(costs.values()),
        "dishonest_share": float(mean[Sum.DISHONEST]),
        "cheating_share": _over(sums[Sum.RATIONAL_CHEATS], sums[Sum.RATIONAL]),
        "detected_share": _over(sums[Sum.FOUND], dishonest),
        **found,
        "dishonest_stands": float(mean[Sum.STANDS]),
        "dishonest_released": float(mean[Sum.DISHONEST_RELEASED]),
        "honest_refused": float(mean[Sum.REFUSED_HONEST]),
        "truth_mean": _over(sums[Sum.TRUTH], sums[Sum.RELEASED]),
        "consensus_mean": float(mean[Sum.CONSENSUS]),
        "paid_usd": float(mean[Sum.PAID]),
        "penalty_usd": float(mean[Sum.PENALTY]),
        "bounty_usd": float(mean[Sum.BOUNTY]),
        "burned_usd": float(mean[Sum.PENALTY] - mean[Sum.BOUNTY]),
        "cheat_advantage_usd": _over(sums[Sum.ADVANTAGE], dishonest),
        "watcher_profit_usd": float(mean[Sum.WATCHER_PROFIT]),
        "validator_profit_usd": float(mean[Sum.VALIDATOR_PROFIT]),
        "proved_share": float(mean[Sum.PROVED]),
        "broken_share": float(mean[Sum.BROKEN]) if attests else math.nan,
        "capital_locked_usd": float(bonds * market.arrivals_per_s * mean[Sum.ECONOMIC_S]),
        "honest_watchers": float(market.verification.honest_watchers),
        **_committees(market, state),
    }


def _committees(market: Market, state: QueryState) -> dict[str, float]:
    """Return what evaluators are paid, and how often deviating ones act and rule."""
    sums, scored = state.totals.sums, market.protocol.terms.committee
    acted = float(state.kept.memory.state[:, State.ACTED].sum())
    return {
        "evaluator_pay_usd": float(sums[Sum.EVALUATOR_PAY] / market.queries),
        "honest_evaluator_usd": _over(sums[Sum.HONEST_PAY], sums[Sum.HONEST_SEATS]),
        "malicious_evaluator_usd": _over(sums[Sum.MALICIOUS_PAY], sums[Sum.MALICIOUS_SEATS]),
        "malicious_acted": acted / market.queries if scored else math.nan,
        "malicious_majority": (
            float(sums[Sum.MALICIOUS_MAJORITY] / market.queries) if scored else math.nan
        ),
    }


def _latencies(state: QueryState, mean: np.ndarray) -> dict[str, float]:
    values: dict[str, float] = {}
    means = (mean[Sum.PROVISIONAL_S], mean[Sum.ECONOMIC_S])
    for name, average, found in zip(
        ("provisional", "economic"), means, _percentiles(state), strict=True
    ):
        values[f"{name}_mean_s"] = float(average)
        values |= {f"{name}_{label}_s": at for label, at in zip(_PERCENTILES, found, strict=True)}
    return {**values, "percentile_error": 0.0 if state.totals.latencies.size else RELATIVE_ERROR}


def _percentiles(state: QueryState) -> list[list[float]]:
    """Return the percentiles of provisional and of economic finality, in seconds."""
    shares = tuple(_PERCENTILES.values())
    if state.totals.latencies.size == 0:
        return [
            [cell_percentile(state.totals.cells, row, share) for share in shares] for row in (0, 1)
        ]
    provisional, economic = state.totals.latencies
    found = percentiles(provisional, shares)
    # Most protocols are final at once; to see that is quicker than to rank as many again.
    same = np.array_equal(provisional, economic)
    return [found, found if same else percentiles(economic, shares)]


def _over(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else math.nan
