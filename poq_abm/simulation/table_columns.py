"""How columns of result tables are described, and how their keys and words are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["KEYS", "WORD", "Rows", "Words", "coded", "column", "keys", "table", "words"]

WORD = pa.dictionary(pa.int32(), pa.string())


def column(name: str, kind: Any, unit: str, meaning: str) -> Any:
    """Return the description of a column: its type, unit and meaning."""
    return pa.field(name, kind, metadata={"unit": unit, "meaning": meaning})


KEYS = [
    column("treatment", WORD, "", "id of the treatment"),
    column("replication", pa.int32(), "", "number of the replication, from 0"),
]


class Words(NamedTuple):
    """Words of a column, by their places among those known, which are all different."""

    codes: NDArray[np.integer[Any]]
    known: Sequence[str]


#: columns of equally many rows by name, whatever their shape; many arrays of Arrow cost more
Rows = Mapping[str, NDArray[Any] | Words]


def keys(rows: int, treatment: str, replications: NDArray[np.int32]) -> Rows:
    """Return the key columns of as many rows for each replication of one treatment."""
    return {
        "treatment": Words(np.zeros(rows * len(replications), np.int32), [treatment]),
        "replication": np.repeat(replications, rows),
    }


def words(values: Sequence[str], index: NDArray[np.integer[Any]]) -> Words:
    """Return the words that ``index`` picks from ``values``.

    >>> words(["b", "a", "b"], np.array([0, 1, 2]))
    Words(codes=array([1, 0, 1]), known=['a', 'b'])
    """
    known = sorted(set(values))
    return Words(np.array([known.index(value) for value in values], np.int64)[index], known)


def coded(words: Sequence[Words]) -> Any:
    """Return words, one list below the other, dictionary-encoded."""
    places: dict[str, int] = {}
    known: Sequence[str] = ()
    codes, found = [], np.empty(0, np.int32)
    for part in words:
        if part.known is not known:
            known = part.known
            found = np.array([places.setdefault(w, len(places)) for w in known], np.int32)
        codes.append(found[part.codes])
    return pa.DictionaryArray.from_arrays(
        pa.array(np.concatenate(codes)), pa.array(list(places), pa.string())
    )


def table(schema: Any, parts: Sequence[Rows]) -> Any:
    """Return a table of a schema from rows, those of one part below those of the other."""
    if not parts:
        return schema.empty_table()
    columns = ([part[name] for part in parts] for name in schema.names)
    return pa.table([_column(values) for values in columns], schema=schema)


def _column(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], Words):
        return coded(parts)
    return pa.array(np.concatenate([part.reshape(-1) for part in parts]))
