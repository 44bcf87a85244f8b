"""Playing the queries of verification protocols, their rows, and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from poq_abm.experiment.estimates import CONFIDENCE, mean_interval
from poq_abm.verification.market import open_market
from poq_abm.verification.playing import open_query_trace, play_queries
from poq_abm.verification.tables import queries_table, query_trace_table

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Treatment

__all__ = ["SHOWN", "QueryPlayer", "summarise_queries"]

#: the columns of ``queries`` that a summary shows
SHOWN = (
    "dishonest_stands",
    "cheating_share",
    "detected_share",
    "provisional_p50_s",
    "provisional_p95_s",
    "economic_p50_s",
    "total_usd",
    "throughput_per_s",
    "truth_mean",
)


class QueryPlayer:
    """Plays replications of one treatment, query by query, and keeps what was measured.

    >>> from poq_abm.profile import load_profile
    >>> from poq_abm.scenario import load
    >>> scenario = load("cost_aware_poq", ["rounds=50", "verification.protocol=tee"])
    >>> player = QueryPlayer(scenario.treatments()[0], load_profile("published"))
    >>> player.play(0)
    >>> player.table().num_rows
    1
    """

    def __init__(self, treatment: Treatment, profile: Profile) -> None:
        self._treatment = treatment
        self._market = open_market(treatment.scenario, profile)
        self._played: dict[int, dict[str, float]] = {}

    def play(
        self,
        replication: int,
        sink: Callable[[Any], None] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Play one replication; ``sink`` takes its trace."""
        trace = open_query_trace(self._market.queries) if sink else None
        self._played[replication] = play_queries(
            self._market, replication, trace=trace, progress=progress
        )
        if sink and trace is not None:
            records = self._market.game.records
            sink(query_trace_table(trace, records, self._treatment.id, replication))

    def table(self) -> Any:
        """Return one row for each replication that was played."""
        replications = np.array(list(self._played), np.int32)
        return queries_table(list(self._played.values()), self._treatment.id, replications)


def summarise_queries(queries: pd.DataFrame, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return one row per treatment and measure: its mean over replications with its interval.

    Replications in which a measure is missing are left out of it.

    Parameters
    ----------
    queries
        A table with the columns of :data:`poq_abm.verification.tables.QUERIES`.
    confidence
        Level of the interval, in (0, 1).
    """
    rows = []
    for treatment, group in queries.groupby("treatment", observed=True, sort=False):
        for measure in SHOWN:
            values = group[measure].dropna()
            mean, _, low, high = mean_interval(values, confidence) if len(values) else (np.nan,) * 4
            rows.append(
                {
                    "treatment": treatment,
                    "measure": measure,
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "replications": len(values),
                }
            )
    return pd.DataFrame(rows)
