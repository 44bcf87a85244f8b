"""Playing the queries of verification protocols, and their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from poq_abm.verification.market import open_market
from poq_abm.verification.playing import open_query_trace, play_queries
from poq_abm.verification.tables import queries_table, query_trace_table

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Treatment

__all__ = ["QueryPlayer"]


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
