"""The table of nodes: what every one of them did and earned."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.simulation.game import Game
from poq_abm.simulation.settlement import Settled, node_columns
from poq_abm.simulation.table_columns import KEYS, WORD, Rows, Words, column, keys

__all__ = ["NODES", "node_rows"]

#: one row per treatment x replication x node
NODES = pa.schema(
    [
        *KEYS,
        column("node", pa.int32(), "", "node id, unique across roles"),
        column("role", WORD, "", "inference or evaluator"),
        column("group", WORD, "", "label of the population group"),
        column("model", WORD, "", "model the node is paid for, at first"),
        column("hardware", WORD, "", "hardware it runs on, at first"),
        column("behaviour", WORD, "", "what the node does, at first"),
        column("presence", pa.float64(), "0-1", "share of the run in which the node took part"),
        column("jobs", pa.int64(), "rounds", "rounds the node took part in"),
        column("reward_total", pa.float64(), "tokens", "paid, less what audits took back"),
        column("reward_mean", pa.float64(), "tokens per job", "paid; missing without a job"),
        column("reward_sd", pa.float64(), "tokens per job", "s.d. over jobs; missing below two"),
        column("points_total", pa.float64(), "points", "what the reward formula gave"),
        column("points_mean", pa.float64(), "points per job", "missing without a job"),
        column("points_sd", pa.float64(), "points per job", "s.d. over jobs; missing below two"),
        column("consensus_mean", pa.float64(), "score 0-10", "mean consensus of its rounds"),
        column("truth_mean", pa.float64(), "score 0-10", "mean truth of its rounds"),
        column("closeness_mean", pa.float64(), "0-1", "evaluators: mean closeness"),
        column("cost", pa.float64(), "C", "cost that was charged, per job; missing without a job"),
        column("latency_ms", pa.float64(), "ms", "mean latency of what it was paid for; as `cost`"),
        column("latency_source", WORD, "", "measured, or estimated from other hardware; at first"),
    ]
)


def node_rows(
    game: Game,
    sums: NDArray[np.float64],
    settled: Settled,
    treatment: str,
    replications: NDArray[np.int32],
) -> Rows:
    """Return the rows of :data:`NODES` for replications of one treatment.

    ``sums`` has the shape (replications, nodes, 8) and holds what the ledgers do. A replication's
    rows are the same bits whatever others stand beside it.
    """
    population, times = game.population, len(replications)
    return {
        **keys(population.size, treatment, replications),
        "node": np.tile(np.arange(population.size, dtype=np.int32), times),
        **{
            name: words if times == 1 else Words(np.tile(words.codes, times), words.known)
            for name, words in population.words.items()
        },
        **node_columns(game, sums, settled),
    }
