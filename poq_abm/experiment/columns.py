"""How the columns of result tables are described and made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from poq_abm.experiment.estimates import COUNT, POSITIVE, UNBOUNDED, Range

__all__ = ["KEYS", "RANGES", "WORD", "coded", "column", "keys", "range_of", "table", "words"]

WORD = pa.dictionary(pa.int32(), pa.string())

#: what values of a unit can be; amounts of money and tokens may be of either sign
RANGES = {
    "0-1": Range(0.0, 1.0),
    "-1 to 1": Range(-1.0, 1.0),
    "score 0-10": Range(0.0, 10.0),
    "score -10 to 10": Range(-10.0, 10.0),
    **dict.fromkeys(
        ("controllers", "epoch", "epochs", "nodes", "operators", "queries", "round", "rounds",
         "watchers"),
        COUNT,
    ),
    **dict.fromkeys(
        ("ms", "queries per s", "nats", "ratio", "s", "s per query", "weight"),
        POSITIVE,
    ),
    "C": POSITIVE,  # mean costs lie in [0, 1]; what a job is charged for its realised time may not
}  # fmt: skip

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
    Range(low=-1.0, high=1.0, whole=False)
    >>> range_of("stake", "tokens").low, range_of("profit", "tokens").low
    (0.0, -inf)
    """
    return RANGES.get(unit, POSITIVE if name in _NEVER_NEGATIVE else UNBOUNDED)


def column(name: str, kind: Any, unit: str, meaning: str) -> Any:
    """Return the description of a column: its type, unit and meaning."""
    return pa.field(name, kind, metadata={"unit": unit, "meaning": meaning})


KEYS = [
    column("treatment", WORD, "", "id of the treatment"),
    column("replication", pa.int32(), "", "number of the replication, from 0"),
]


def keys(rows: int, treatment: str, replications: NDArray[np.int32]) -> dict[str, Any]:
    """Return the key columns of as many rows for each replication of one treatment."""
    return {
        "treatment": coded(np.zeros(rows * len(replications), np.int32), [treatment]),
        "replication": np.repeat(replications, rows),
    }


def words(values: list[str], index: NDArray[np.int64]) -> Any:
    """Return the words that ``index`` picks from ``values``, dictionary-encoded."""
    known = sorted(set(values))
    codes = np.array([known.index(value) for value in values], dtype=np.int32)[index]
    return coded(codes, known)


def coded(codes: NDArray[np.int32], known: list[str]) -> Any:
    """Return words from their codes, dictionary-encoded; ``known`` are all different."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(known, pa.string()))


def table(schema: Any, columns: dict[str, Any]) -> Any:
    """Return a table of a schema from its columns, by name."""
    arrays = (columns[name] for name in schema.names)
    return pa.table(
        [a if isinstance(a, pa.Array) else pa.array(a.reshape(-1)) for a in arrays], schema=schema
    )
