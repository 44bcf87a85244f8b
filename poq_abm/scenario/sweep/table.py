"""Treatments from a table: ``sweep: {from: FILE.csv}``, a column for each field that is set.

A table is read when a scenario is loaded and becomes a ``list``, so that what is played, hashed and
stored says its values and needs no file. Lines that begin with ``#`` are comments.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from poq_abm.scenario.checks.problems import Finding, KeyPath, shown
from poq_abm.scenario.sweep.axes import MAX_TREATMENTS

__all__ = ["TABLE_PATH", "with_table"]

TABLE_PATH: KeyPath = ("sweep", "from")
_LIST: KeyPath = ("sweep", "list")


def with_table(data: dict[str, Any], folder: Path | None) -> tuple[dict[str, Any], list[Finding]]:
    """Return the data of a scenario with the table of its sweep written out, and what is wrong.

    ``folder`` is where a relative path starts.

    >>> with_table({"sweep": {"rounds": [1, 2]}}, None)
    ({'sweep': {'rounds': [1, 2]}}, [])
    """
    sweep = data.get("sweep")
    if not isinstance(sweep, dict) or "from" not in sweep:
        return data, []
    rest = {key: value for key, value in sweep.items() if key != "from"}
    without = {**data, "sweep": rest}
    if "list" in rest:
        return without, [(_LIST, "a sweep has a list or a table (from), not both")]
    named = sweep["from"]
    if not isinstance(named, str) or not named:
        return without, [(TABLE_PATH, f"must be the path of a CSV table, got {shown(named)}")]
    path = (folder or Path()) / Path(named).expanduser()
    try:
        rows = list(_rows(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return without, [(TABLE_PATH, f"cannot read the table {named!r}: {error}")]
    except ValueError as error:
        return without, [(TABLE_PATH, f"{named}: {error}")]
    return {**data, "sweep": {"list": rows, **rest}}, []


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table by column, values read as YAML reads them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(line for line in file if line.strip() and not line.startswith("#"))
        names = next(reader, [])
        if not any(names):
            raise ValueError("the table has no columns")
        if len(set(names)) < len(names):
            raise ValueError("two columns have one name")
        count = 0
        for row in reader:
            count += 1
            if len(row) != len(names):
                raise ValueError(f"row {count} has {len(row)} values, not {len(names)}")
            if count > MAX_TREATMENTS:
                raise ValueError(f"more than {MAX_TREATMENTS:,} rows")
            yield {name: _value(text) for name, text in zip(names, row, strict=True)}
        if not count:
            raise ValueError("the table has no rows")


def _value(text: str) -> Any:
    """Return a cell as a number, a word, true, false or null.

    >>> [_value(text) for text in ("0.3", "5", "median", "true", "1e-3")]
    [0.3, 5, 'median', True, 0.001]
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    value = yaml.safe_load(text)
    return value if isinstance(value, str | bool | None) else text
