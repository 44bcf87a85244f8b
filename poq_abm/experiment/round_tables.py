"""The rows that rounds leave: of nodes, replications, trust and a trace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import scipy  # which imports scipy.special where it is first used: .2 s
from numpy.typing import NDArray

from poq_abm.experiment.schemas import ROUNDS
from poq_abm.rules.payment import Counted
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.game import Game
from poq_abm.simulation.histograms import MEASURES, measure_histograms
from poq_abm.simulation.ledger import BLOCK_ROUNDS, MID_SCALE, Agreement, NodeSum
from poq_abm.simulation.replication import Counter, Memory, Trace
from poq_abm.simulation.settlement import Settled
from poq_abm.simulation.table_columns import Rows, Words, keys

__all__ = [
    "EVALUATOR_QUANTILES",
    "INFERENCE_QUANTILES",
    "REWARD_QUANTILES",
    "adversary_measures",
    "distribution_measures",
    "majority_probability",
    "replication_rows",
    "rounds_table",
    "trust_rows",
]

#: the measures that are quantiles of rewards, and those of either role among them
REWARD_QUANTILES = tuple(name for name in MEASURES if "_reward_" in name)
INFERENCE_QUANTILES = tuple(name for name in REWARD_QUANTILES if "_inference_" in name)
EVALUATOR_QUANTILES = tuple(name for name in REWARD_QUANTILES if "_evaluator_" in name)


def replication_rows(
    game: Game,
    sums: NDArray[np.float64],
    settled: Settled,
    network: NDArray[np.float64],
    measures: dict[str, NDArray[np.float64]],
    rounds: NDArray[np.int64],
    treatment: str,
    replications: NDArray[np.int32],
) -> Rows:
    """Return the rows of :data:`REPLICATIONS` for replications of one treatment.

    ``sums`` as in :func:`~poq_abm.simulation.node_table.node_rows`, ``network`` of shape
    (replications, 8); ``measures`` are the
    columns that come from elsewhere, one value for each replication.
    """
    inference = game.population.role_is("inference")
    jobs = sums[..., NodeSum.JOBS]
    charged = jobs * np.where(jobs > 0, settled.cost, 0.0)
    m = sums[:, ~inference]
    f_jobs, m_jobs = total(jobs[:, inference]), total(jobs[:, ~inference])
    return {
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


def trust_rows(
    game: Game, logs: NDArray[np.float64], treatment: str, replications: NDArray[np.int32]
) -> Rows:
    """Return the rows of :data:`TRUST` for replications of one treatment, entry by entry.

    ``logs`` has the shape (replications, entries, evaluator nodes, columns of trust).
    """
    times, entries, nodes, columns = logs.shape
    last = (np.arange(entries) + 1) * game.rules.trust_interval - 1
    tasks = ["all"] if columns == 1 else list(game.tasks)
    first = game.population.inference_count
    node = np.tile(np.repeat(np.arange(first, first + nodes), columns), times * entries)
    task = np.tile(np.arange(columns, dtype=np.int32), times * entries * nodes)
    return {
        **keys(entries * nodes * columns, treatment, replications),
        "round": np.tile(np.repeat(last, nodes * columns), times),
        "node": node.astype(np.int32),
        "task": Words(task, tasks),
        "trust": logs,
    }


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


def rounds_table(
    game: Game, trace: Trace, numbers: NDArray[np.int64], treatment: str, replication: int
) -> Any:
    """Return the rows of :data:`~poq_abm.experiment.schemas.ROUNDS`, of numbered rounds."""
    rounds = trace.node.size
    offsets = np.arange(rounds + 1, dtype=np.int32) * trace.scores.shape[1]

    def constant(value: Any, kind: Any) -> Any:
        return pa.repeat(pa.scalar(value, kind), rounds)

    def words(codes: NDArray[np.int32], known: tuple[str, ...]) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(known, pa.string()))

    def lists(values: NDArray[Any]) -> Any:
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)))

    columns = {
        "treatment": words(np.zeros(rounds, np.int32), (treatment,)),
        "replication": constant(replication, pa.int32()),
        "round": pa.array(numbers),
        "record": words(trace.record, game.records),
        "task": words(trace.task, game.tasks),
        "node": pa.array(trace.node),
        "committee": lists(trace.committee),
        "scores": lists(trace.scores),
        "consensus": pa.array(trace.consensus),
        "truth": pa.array(trace.truth),
        "inference_reward": pa.array(trace.inference_reward),
        "evaluator_rewards": lists(trace.evaluator_rewards),
    }
    return pa.table([columns[name] for name in ROUNDS.names], schema=ROUNDS)


def majority_probability(evaluators: int, malicious: int, committee_size: int) -> float:
    """Return the chance that more than half of a committee is malicious.

    P(X > K / 2), X hypergeometric: K drawn without replacement from M of whom ``malicious`` are.

    >>> round(majority_probability(20, 6, 3), 3)
    0.202
    """
    honest = evaluators - malicious
    least = committee_size // 2 + 1
    if malicious < least:
        return 0.0
    log_gamma = scipy.special.gammaln

    def choose(n: int, k: int) -> float:
        return float(log_gamma(n + 1) - log_gamma(k + 1) - log_gamma(n - k + 1))

    whole = choose(evaluators, committee_size)
    return math.fsum(
        math.exp(choose(malicious, x) + choose(honest, committee_size - x) - whole)
        for x in range(least, min(committee_size, malicious) + 1)
        if committee_size - x <= honest
    )


def adversary_measures(
    game: Game,
    sums: NDArray[np.float64],
    counters: NDArray[np.int64],
    weights: int,
    rounds: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """Return pay by honesty, malicious majorities, the saturation of trust, thin comparisons.

    One value for each replication: ``sums`` has the shape (replications, nodes, 8), ``counters``
    (replications, 6); ``weights`` is the number of trust weights there are. Pay per job is missing
    where nobody of its kind had a job.
    """
    evaluators = sums[:, game.population.inference_count :]
    malicious = game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0
    expected = majority_probability(malicious.size, int(malicious.sum()), game.rules.committee_size)
    saturated_round = counters[:, Counter.SATURATED_ROUND]
    return {
        "honest_reward_mean": _pay(evaluators[:, ~malicious]),
        "malicious_reward_mean": _pay(evaluators[:, malicious]),
        "malicious_majority": counters[:, Counter.MAJORITY] / rounds,
        "malicious_majority_expected": np.full(len(sums), expected),
        "saturated_share": counters[:, Counter.SATURATED] / weights,
        "saturated_round": np.where(saturated_round >= 0, saturated_round, math.nan),
        "thin_comparisons": counters[:, Counter.THIN].astype(float),
    }


def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over nodes of values of shape (replications, nodes).

    Each row is summed on its own and in one order: without the copy, the order in which NumPy adds,
    and with it the last bit, would depend on the number of rows.

    >>> total(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [3.0, 7.0]
    """
    sums: NDArray[np.float64] = np.ascontiguousarray(values).sum(axis=1)
    return sums


def _pay(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the reward per job of the nodes together, one value for each replication."""
    jobs = total(rows[..., NodeSum.JOBS])
    pay: NDArray[np.float64] = np.full_like(jobs, np.nan)
    np.divide(total(rows[..., NodeSum.REWARD]), jobs, out=pay, where=jobs > 0)
    return pay


def distribution_measures(game: Game, memory: Memory) -> dict[str, float]:
    """Return Spearman's correlation of consensus and truth, and reward quantiles by kind.

    Those of a role are missing where a round does not know yet what it pays.
    """
    found = np.empty(len(MEASURES))
    measure_histograms(memory.histograms, found)
    measures = dict(zip(MEASURES, found.tolist(), strict=True))
    if game.rules.counted != Counted.NOTHING:
        measures |= dict.fromkeys(EVALUATOR_QUANTILES, math.nan)
    if game.rules.counts_answers:
        measures |= dict.fromkeys(INFERENCE_QUANTILES, math.nan)
    return measures
