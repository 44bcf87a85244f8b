"""How columns of result tables are described, and how their keys and words are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["KEYS", "WORD", "coded", "column", "keys", "table", "words"]

WORD = pa.dictionary(pa.int32(), pa.string())


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
