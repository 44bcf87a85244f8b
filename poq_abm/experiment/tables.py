"""The result tables: their columns, types and units, and how a ledger becomes their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.experiment.adversaries import total
from poq_abm.experiment.columns import KEYS, WORD, coded, column, keys, table, words
from poq_abm.experiment.economies import ACCOUNTS, ECONOMY_MEASURES, EPOCHS
from poq_abm.simulation.game import Game
from poq_abm.simulation.histograms import QUANTILES, RewardKind
from poq_abm.simulation.ledger import BLOCK_ROUNDS, MID_SCALE, Agreement, NodeSum
from poq_abm.simulation.queries.query_tables import QUERIES, QUERY_TRACE
from poq_abm.simulation.settlement import Settled, node_columns

__all__ = [
    "NODES",
    "REPLICATIONS",
    "ROUNDS",
    "SCHEMAS",
    "TRACES",
    "TRUST",
    "node_table",
    "replication_table",
    "trust_table",
]

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

#: one row per treatment x replication
REPLICATIONS = pa.schema(
    [
        *KEYS,
        column("rounds", pa.int64(), "rounds", "rounds played"),
        column(
            "inference_reward_mean", pa.float64(), "tokens per job", "over inference nodes' jobs"
        ),
        column("evaluator_reward_mean", pa.float64(), "tokens per job", "over evaluators' jobs"),
        column("inference_cost_mean", pa.float64(), "C", "charged, over inference nodes' jobs"),
        column("evaluator_cost_mean", pa.float64(), "C", "charged, over evaluators' jobs"),
        column("closeness_mean", pa.float64(), "0-1", "over evaluators' jobs"),
        column("consensus_mean", pa.float64(), "score 0-10", "over rounds"),
        column("truth_mean", pa.float64(), "score 0-10", "over rounds"),
        column("correlation", pa.float64(), "-1 to 1", "Pearson, consensus against truth"),
        column("mean_absolute_error", pa.float64(), "score 0-10", "of consensus against truth"),
        column("bias", pa.float64(), "score -10 to 10", "mean of consensus minus truth"),
        column("honest_reward_mean", pa.float64(), "tokens per job", "honest evaluators"),
        column("malicious_reward_mean", pa.float64(), "tokens per job", "deviating evaluators"),
        column(
            "reward_gap",
            pa.float64(),
            "tokens per job",
            "malicious evaluators: in the honest twin, less here",
        ),
        column("malicious_majority", pa.float64(), "0-1", "share of rounds they rule"),
        column("malicious_majority_expected", pa.float64(), "0-1", "hypergeometric chance"),
        column("consensus_drift", pa.float64(), "score -10 to 10", "consensus less its twin's"),
        column("payout_inflation", pa.float64(), "share", "all rewards over its twin's, less 1"),
        column("spearman", pa.float64(), "-1 to 1", "of ranks, cells of 0.08 points"),
        *(
            column(
                f"{kind.name.lower()}_reward_{label}",
                pa.float64(),
                "tokens per job",
                f"{q:.0%} quantile of single rewards, to a cell of 1/1024 of their range; missing "
                "where a point is not a token",
            )
            for kind in RewardKind
            for label, q in QUANTILES.items()
        ),
        column("saturated_share", pa.float64(), "0-1", "weights that end at w_max"),
        column("saturated_round", pa.float64(), "round", "after which all are; missing if never"),
        *(
            column(name, pa.float64(), unit, f"economy: {meaning}")
            for name, unit, meaning in ECONOMY_MEASURES
        ),
    ]
)

#: one row per entry of the trust log x evaluator node x column of the trust table
TRUST = pa.schema(
    [
        *KEYS,
        column("round", pa.int64(), "", "last round before the entry"),
        column("node", pa.int32(), "", "evaluator node"),
        column("task", WORD, "", "task the weight counts for; `all` unless trust is per task"),
        column("trust", pa.float64(), "weight", "the node's weight"),
    ]
)

#: one row per round, where a trace was asked for; the three lists share an order
ROUNDS = pa.schema(
    [
        *KEYS,
        column("round", pa.int64(), "", "number of the round, from 0"),
        column("record", WORD, "", "id of the record"),
        column("task", WORD, "", "task of the record"),
        column("node", pa.int32(), "", "inference node that answered"),
        column("committee", pa.list_(pa.int32()), "", "evaluator nodes, in the order drawn"),
        column("scores", pa.list_(pa.float64()), "score 0-10", "their reported scores"),
        column("consensus", pa.float64(), "score 0-10", "aggregate of the scores"),
        column("truth", pa.float64(), "score 0-10", "truth of the answer"),
        # Only plain runs have a trace of rounds, and there a point is paid as a token.
        column("inference_reward", pa.float64(), "tokens", "paid to the inference node"),
        column("evaluator_rewards", pa.list_(pa.float64()), "tokens", "paid to the evaluators"),
    ]
)


SCHEMAS = {
    "nodes": NODES,
    "replications": REPLICATIONS,
    "queries": QUERIES,
    "epochs": EPOCHS,
    "accounts": ACCOUNTS,
    "trust": TRUST,
    "rounds": ROUNDS,
    "query_trace": QUERY_TRACE,
}
TRACES = ("rounds", "query_trace")  #: tables that are written as they come


def node_table(
    game: Game,
    sums: NDArray[np.float64],
    settled: Settled,
    treatment: str,
    replications: NDArray[np.int32],
) -> Any:
    """Return the rows of :data:`NODES` for replications of one treatment.

    ``sums`` has the shape (replications, nodes, 8) and holds what the ledgers do. A replication's
    rows are the same bits whatever others stand beside it.
    """
    population, times = game.population, len(replications)
    columns = {
        **keys(population.size, treatment, replications),
        "node": np.tile(np.arange(population.size, dtype=np.int32), times),
        **{
            name: words(values, np.tile(index, times))
            for name, (values, index) in population.words.items()
        },
        **node_columns(game, sums, settled),
    }
    return table(NODES, columns)


def replication_table(
    game: Game,
    sums: NDArray[np.float64],
    settled: Settled,
    network: NDArray[np.float64],
    measures: dict[str, NDArray[np.float64]],
    rounds: NDArray[np.int64],
    treatment: str,
    replications: NDArray[np.int32],
) -> Any:
    """Return the rows of :data:`REPLICATIONS` for replications of one treatment.

    ``sums`` as in :func:`node_table`, ``network`` of shape (replications, 8); ``measures`` are the
    columns that come from elsewhere, one value for each replication.
    """
    inference = game.population.role_is("inference")
    jobs = sums[..., NodeSum.JOBS]
    charged = jobs * np.where(jobs > 0, settled.cost, 0.0)
    m = sums[:, ~inference]
    f_jobs, m_jobs = total(jobs[:, inference]), total(jobs[:, ~inference])
    columns = {
        **keys(1, treatment, replications),
        "rounds": rounds,
        "inference_reward_mean": total(settled.reward[:, inference]) / f_jobs,
        "evaluator_reward_mean": total(settled.reward[:, ~inference]) / m_jobs,
        "inference_cost_mean": total(charged[:, inference]) / f_jobs,
        "evaluator_cost_mean": total(charged[:, ~inference]) / m_jobs,
        "closeness_mean": total(m[..., NodeSum.CLOSENESS]) / m_jobs,
        **_agreement(network, rounds),
        **measures,
    }
    return table(REPLICATIONS, columns)


def trust_table(
    game: Game, logs: NDArray[np.float64], treatment: str, replications: NDArray[np.int32]
) -> Any:
    """Return the rows of :data:`TRUST` for replications of one treatment, entry by entry.

    ``logs`` has the shape (replications, entries, evaluator nodes, columns of trust).
    """
    times, entries, nodes, columns = logs.shape
    last = (np.arange(entries) + 1) * game.rules.trust_interval - 1
    tasks = ["all"] if columns == 1 else list(game.tasks)
    first = game.population.inference_count
    node = np.tile(np.repeat(np.arange(first, first + nodes), columns), times * entries)
    task = np.tile(np.arange(columns, dtype=np.int32), times * entries * nodes)
    values = {
        **keys(entries * nodes * columns, treatment, replications),
        "round": np.tile(np.repeat(last, nodes * columns), times),
        "node": node.astype(np.int32),
        "task": coded(task, tasks),
        "trust": logs,
    }
    return table(TRUST, values)


def _agreement(
    network: NDArray[np.float64], rounds: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return correlation, error and bias of consensus against truth from the networks' sums."""
    moments = network / rounds[:, None]
    c, t = moments[:, Agreement.CONSENSUS], moments[:, Agreement.TRUTH]
    c_variance = moments[:, Agreement.CONSENSUS_SQUARED] - c * c
    t_variance = moments[:, Agreement.TRUTH_SQUARED] - t * t
    # A constant series leaves rounding dust where its variance is zero; it has no correlation.
    dust = BLOCK_ROUNDS * np.finfo(np.float64).eps
    varies = np.minimum(c_variance, t_variance) > dust
    product = moments[:, Agreement.PRODUCT] - c * t
    scale = np.sqrt(np.where(varies, c_variance * t_variance, 1.0))
    return {
        "consensus_mean": c + MID_SCALE,
        "truth_mean": t + MID_SCALE,
        "correlation": np.where(varies, product / scale, np.nan),
        "mean_absolute_error": moments[:, Agreement.ABSOLUTE_ERROR],
        "bias": c - t,
    }
