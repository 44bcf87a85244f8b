"""The result tables: their columns, types and units, and what values can be."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from poq_abm.experiment.estimates import COUNT, POSITIVE, UNBOUNDED, Range
from poq_abm.simulation.epochs.record import GROUP_COLUMNS, NETWORK_COLUMNS, NODE_COLUMNS
from poq_abm.simulation.histograms import QUANTILES, RewardKind
from poq_abm.simulation.node_table import NODES
from poq_abm.simulation.queries.query_tables import QUERIES, QUERY_TRACE
from poq_abm.simulation.table_columns import KEYS, WORD, column

__all__ = [
    "ACCOUNTS",
    "ECONOMY_MEASURES",
    "EPOCHS",
    "NETWORK",
    "NODES",
    "RANGES",
    "REPLICATIONS",
    "RESAMPLED",
    "ROUNDS",
    "SCHEMAS",
    "TRACES",
    "TRUST",
    "range_of",
    "ranges_of",
]

#: what values of a unit can be; amounts of money and tokens may be of either sign
RANGES = {
    "0-1": Range(0.0, 1.0),
    "-1 to 1": Range(-1.0, 1.0),
    "score 0-10": Range(0.0, 10.0),
    "score -10 to 10": Range(-10.0, 10.0),
    **dict.fromkeys(
        ("comparisons", "controllers", "epoch", "epochs", "nodes", "operators", "queries", "round",
         "rounds", "watchers"),
        COUNT,
    ),
    **dict.fromkeys(
        ("ms", "queries per s", "nats", "ratio", "s", "s per query", "scores per query", "weight"),
        POSITIVE,
    ),
    "C": POSITIVE,  # mean costs lie in [0, 1]; what a job is charged for its realised time may not
}  # fmt: skip

#: columns that follow from the scenario by a formula: no sample stands behind them
_WORKED_OUT = frozenset(["malicious_majority_expected"])

#: columns whose amounts are never negative, whatever their unit
_NEVER_NEGATIVE = frozenset(
    [
        "alpha_evaluator",
        "alpha_inference",
        "beta_evaluator",
        "beta_inference",
        "bounty_usd",
        "burned",
        "burned_usd",
        "busy",
        "capital",
        "capital_locked_usd",
        "capital_usd",
        "closeness_paid",
        "compute_usd",
        "attestation_usd",
        "cost",
        "cost_in_money",
        "cost_usd",
        "dispute_usd",
        "emissions",
        "evaluation_usd",
        "fees",
        "fined",
        "forfeited",
        "paid",
        "paid_usd",
        "penalty",
        "penalty_usd",
        "percentile_error",
        "points_sd",
        "posting_usd",
        "price",
        "proof_usd",
        "quality_paid",
        "received",
        "recheck_usd",
        "reward_sd",
        "sd",
        "slashed",
        "stake",
        "total_usd",
    ]
)


def range_of(name: str, unit: str) -> Range:
    """Return the range of a column's values, and of their means: what its unit allows.

    >>> range_of("correlation", "-1 to 1")
    Range(low=-1.0, high=1.0, whole=False, known=False)
    >>> range_of("malicious_majority_expected", "0-1").known
    True
    >>> range_of("stake", "tokens").low, range_of("profit", "tokens").low
    (0.0, -inf)
    """
    within = RANGES.get(unit, POSITIVE if name in _NEVER_NEGATIVE else UNBOUNDED)
    return within._replace(known=True) if name in _WORKED_OUT else within


def ranges_of(summary: pd.DataFrame) -> list[Range]:
    """Return the range of the measure of every row of a summary, by its name and its unit."""
    return [range_of(*row) for row in zip(summary["measure"], summary["unit"], strict=True)]


#: columns of replications.parquet that an economy fills: name, unit, meaning
ECONOMY_MEASURES = (
    ("halted_epoch", "epoch", "first epoch in which too few nodes were left; missing if never"),
    ("dropped_share", "0-1", "queries that would have waited too long"),
    ("deviating_share", "0-1", "nodes there in the last epoch that do anything but play honestly"),
    ("profit_mean", "tokens per node and epoch", "over nodes and epochs in which they were there"),
    ("welfare", "tokens", "sum over epochs"),
    (
        "deviation_gain",
        "tokens per node and epoch",
        "profit of nodes that deviate, less that of the same nodes in the honest twin, over all "
        "epochs",
    ),
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
        column(
            "thin_comparisons",
            pa.float64(),
            "comparisons",
            "of evaluators, or inference nodes, on too few records to be paid for, by batch",
        ),
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
        column(
            "inference_reward",
            pa.float64(),
            "tokens",
            "paid to the inference node; where it is paid by batch, the charge for cost alone",
        ),
        column(
            "evaluator_rewards",
            pa.list_(pa.float64()),
            "tokens",
            "paid to the evaluators; where they are paid by batch, the charge for cost alone",
        ),
    ]
)

_SOURCE = "measured, or estimated from other hardware; of groups, where they began"
NETWORK = "network"  #: the group that stands for all nodes together

#: one row per treatment x replication x epoch x group, and one for the network
EPOCHS = pa.schema(
    [
        *KEYS,
        column("epoch", pa.int32(), "", "number of the epoch, from 0"),
        column("role", WORD, "", "inference or evaluator; `network` for all nodes together"),
        column("group", WORD, "", "label of the population group; `network` for all"),
        column("latency_source", WORD, "", _SOURCE),
        *(column(name, pa.float64(), unit, meaning) for name, unit, meaning in GROUP_COLUMNS),
        *(
            column(name, pa.float64(), unit, f"{meaning}; network rows only")
            for name, unit, meaning in NETWORK_COLUMNS
        ),
    ]
)

#: one row per treatment x replication x node, over all epochs
ACCOUNTS = pa.schema(
    [
        *KEYS,
        column("node", pa.int32(), "", "node id, as in nodes.parquet"),
        column("role", WORD, "", "inference or evaluator"),
        column("group", WORD, "", "label of the population group"),
        column("operator", pa.int32(), "", "id of its operator's first node"),
        column("behaviour", WORD, "", "what it does at the end"),
        column("model", WORD, "", "model it runs at the end"),
        column("hardware", WORD, "", "hardware it runs on at the end"),
        column("latency_source", WORD, "", _SOURCE),
        *(column(name, pa.float64(), unit, meaning) for name, unit, meaning in NODE_COLUMNS),
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
RESAMPLED = "resampled_"  #: begins the names of the tables of what resampled profiles gave
SCHEMAS |= {
    f"{RESAMPLED}{name}": SCHEMAS[name] for name in ("nodes", "replications", "queries", "epochs")
}
TRACES = ("rounds", "query_trace")  #: tables that are written as they come
