"""What every node did and earned: the table of nodes, and what points came to once settled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.simulation.game import Game
from poq_abm.simulation.ledger import Column
from poq_abm.simulation.population import Population
from poq_abm.simulation.table_columns import KEYS, WORD, column, keys, table, words

__all__ = ["NODES", "Settled", "node_table", "settled_by_round", "spread_of_points"]

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


class Settled(NamedTuple):
    """What points came to for every node; arrays of shape (replications, nodes)."""

    reward: NDArray[np.float64]  #: tokens paid, less what audits took back
    spread: NDArray[np.float64]  #: sum over jobs of (tokens of the job - their mean)^2
    cost: NDArray[np.float64]  #: mean C charged per job; what stands there without a job is ignored
    latency_ms: NDArray[np.float64]  #: the same of the mean latency
    presence: NDArray[np.float64]  #: share of the run in which the node took part


def settled_by_round(game: Game, sums: NDArray[np.float64]) -> Settled:
    """Return what points came to in a plain run: everybody is there, and a point is a token."""
    nodes = game.nodes
    one = np.ones(sums.shape[:-1])
    return Settled(
        reward=sums[..., Column.REWARD],
        spread=spread_of_points(game, sums),
        cost=one * np.concatenate([nodes.inference_cost, nodes.evaluator_cost]),
        latency_ms=one * game.population.latency_ms,
        presence=one,
    )


def spread_of_points(game: Game, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each node's sum over jobs of (points - their mean)^2, from what its ledger holds."""
    jobs, points = sums[..., Column.JOBS], sums[..., Column.REWARD]
    # The constant about which the ledger takes each node's second moment.
    anchor = np.concatenate([game.nodes.inference_anchor, game.nodes.evaluator_anchor])
    mean = np.divide(points, jobs, out=np.full_like(points, np.nan), where=jobs > 0)
    distance = mean - anchor
    spread: NDArray[np.float64] = sums[..., Column.SPREAD] - jobs * distance**2
    return spread


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
    population = game.population
    jobs = sums[..., Column.JOBS]
    means = _over(sums, jobs[..., None])
    inference = population.role_is("inference")
    times = len(replications)
    columns = {
        **keys(population.size, treatment, replications),
        "node": np.tile(np.arange(population.size, dtype=np.int32), times),
        **_group_words(population, times),
        "presence": settled.presence,
        "jobs": jobs.astype(np.int64),
        "reward_total": settled.reward,
        "reward_mean": _over(settled.reward, jobs),
        "reward_sd": _sd(settled.spread, jobs),
        "points_total": sums[..., Column.REWARD],
        "points_mean": means[..., Column.REWARD],
        "points_sd": _sd(spread_of_points(game, sums), jobs),
        "consensus_mean": means[..., Column.CONSENSUS],
        "truth_mean": means[..., Column.TRUTH],
        "closeness_mean": np.where(inference, np.nan, means[..., Column.CLOSENESS]),
        "cost": np.where(jobs > 0, settled.cost, np.nan),
        "latency_ms": np.where(jobs > 0, settled.latency_ms, np.nan),
    }
    return table(NODES, columns)


def _sd(spread: NDArray[np.float64], jobs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return standard deviations over jobs, with n - 1; NaN below two jobs."""
    return np.sqrt(np.maximum(_over(spread, jobs - 1.0), 0.0))


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
