"""The result tables: their columns, types and units, and how a ledger becomes their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.experiment.adversaries import total
from poq_abm.experiment.columns import KEYS, WORD, coded, column, keys, table, words
from poq_abm.experiment.economies import ACCOUNTS, ECONOMY_MEASURES, EPOCHS
from poq_abm.network.game import Game
from poq_abm.network.ledger import BLOCK_ROUNDS, MID_SCALE, Agreement, Column
from poq_abm.network.population import Population
from poq_abm.network.tally import QUANTILES, Kind
from poq_abm.verification.tables import QUERIES, QUERY_TRACE

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
        column("model", WORD, "", "model the node runs"),
        column("hardware", WORD, "", "hardware it runs on"),
        column("behaviour", WORD, "", "what the node does"),
        column("jobs", pa.int64(), "rounds", "rounds the node was paid for"),
        column("reward_total", pa.float64(), "tokens", "sum of its rewards"),
        column(
            "reward_mean", pa.float64(), "tokens per job", "reward per job; missing without a job"
        ),
        column("reward_sd", pa.float64(), "tokens per job", "s.d. over jobs; missing below two"),
        column("consensus_mean", pa.float64(), "score 0-10", "mean consensus of its rounds"),
        column("truth_mean", pa.float64(), "score 0-10", "mean truth of its rounds"),
        column("closeness_mean", pa.float64(), "0-1", "evaluators: mean closeness"),
        column("cost", pa.float64(), "0-1", "latency, normalised inside the node class"),
        column("latency_ms", pa.float64(), "ms", "mean latency of a job"),
        column("latency_source", WORD, "", "measured, or estimated from other hardware"),
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
        column("inference_cost_mean", pa.float64(), "0-1", "over inference nodes' jobs"),
        column("evaluator_cost_mean", pa.float64(), "0-1", "over evaluators' jobs"),
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
                f"{q:.0%} quantile of single rewards, to a cell of 1/1024 of their range",
            )
            for kind in Kind
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
    game: Game, sums: NDArray[np.float64], treatment: str, replications: NDArray[np.int32]
) -> Any:
    """Return the rows of :data:`NODES` for replications of one treatment.

    ``sums`` has the shape (replications, nodes, 8) and holds what the ledgers do. A replication's
    rows are the same bits whatever others stand beside it.
    """
    population = game.population
    jobs = sums[..., Column.JOBS]
    means = _over(sums, jobs[..., None])
    reward_mean = means[..., Column.REWARD]
    spread = sums[..., Column.SPREAD] - jobs * (reward_mean - _anchors(game)) ** 2
    inference = population.role_is("inference")
    times = len(replications)
    columns = {
        **keys(population.size, treatment, replications),
        "node": np.tile(np.arange(population.size, dtype=np.int32), times),
        **_group_words(population, times),
        "jobs": jobs.astype(np.int64),
        "reward_total": sums[..., Column.REWARD],
        "reward_mean": reward_mean,
        "reward_sd": np.sqrt(np.maximum(_over(spread, jobs - 1.0), 0.0)),
        "consensus_mean": means[..., Column.CONSENSUS],
        "truth_mean": means[..., Column.TRUTH],
        "closeness_mean": np.where(inference, np.nan, means[..., Column.CLOSENESS]),
        "cost": np.tile(population.cost, times),
        "latency_ms": np.tile(population.latency_ms, times),
    }
    return table(NODES, columns)


def replication_table(
    game: Game,
    sums: NDArray[np.float64],
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
    cost = game.population.cost
    f, m = sums[:, inference], sums[:, ~inference]
    f_jobs, m_jobs = total(f[..., Column.JOBS]), total(m[..., Column.JOBS])
    columns = {
        **keys(1, treatment, replications),
        "rounds": rounds,
        "inference_reward_mean": total(f[..., Column.REWARD]) / f_jobs,
        "evaluator_reward_mean": total(m[..., Column.REWARD]) / m_jobs,
        "inference_cost_mean": total(f[..., Column.JOBS] * cost[inference]) / f_jobs,
        "evaluator_cost_mean": total(m[..., Column.JOBS] * cost[~inference]) / m_jobs,
        "closeness_mean": total(m[..., Column.CLOSENESS]) / m_jobs,
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


def _anchors(game: Game) -> NDArray[np.float64]:
    """Return the constant about which each node's second moment was taken."""
    return np.concatenate([game.nodes.inference_anchor, game.nodes.evaluator_anchor])


def _over(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide, with NaN where the divisor is not positive."""
    positive = np.broadcast_to(bottom > 0, top.shape)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=positive)


def _group_words(population: Population, times: int) -> dict[str, Any]:
    columns = {}
    group = np.tile(population.group, times)
    for name in ("role", "label", "model", "hardware", "latency_source"):
        values = [getattr(group, name) for group in population.groups]
        columns["group" if name == "label" else name] = words(values, group)
    names = [str(spec["name"]) for _, spec in population.behaviours]
    columns["behaviour"] = words(names, np.tile(population.behaviour, times))
    return columns
