"""A small market that tests share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poq_abm.analysis.trilemma import changed
from poq_abm.profile import load_profile
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.market import Market, open_market
from poq_abm.simulation.queries.query_arrays import QueryTrace
from poq_abm.simulation.queries.query_replication import open_query_trace, play_queries

BROKEN = {"adversaries.enclaves": "broken"}
INTACT = {"adversaries.enclaves": "intact"}
ALL_CHEAT = {"adversaries.rational_share": 0.0, "adversaries.byzantine_share": 1.0}
ALL_HONEST = {"adversaries.rational_share": 0.0, "adversaries.byzantine_share": 0.0}
ALL_RATIONAL = {"adversaries.rational_share": 1.0, "adversaries.byzantine_share": 0.0}


def market(
    protocol: str,
    *settings: Mapping[str, Any],
    queries: int = 2_000,
    nodes: int = 10,
    seed: int = 1,
    model: str = "llama_3_2_3b",
    mechanism: Mapping[str, Any] | None = None,
) -> Market:
    """Return a market of equal nodes on the published profile."""
    scenario = load("cost_aware_poq").replace(
        {
            "rounds": queries,
            "seed": seed,
            "population.inference": [{"model": model, "count": nodes}],
            **(mechanism or {}),
        }
    )
    together = {key: value for part in settings for key, value in part.items()}
    verification = changed(Verification(protocol=protocol), together)
    return open_market(scenario, load_profile("published"), verification)


def played(protocol: str, *settings: Mapping[str, Any], **more: Any) -> dict[str, float]:
    """Return the measures of replication 0."""
    return play_queries(market(protocol, *settings, **more), 0)


def traced(chosen: Market, replication: int = 0) -> tuple[QueryTrace, dict[str, float]]:
    """Return a replication query by query, and its measures."""
    trace = open_query_trace(chosen.queries)
    return trace, play_queries(chosen, replication, trace=trace)
