"""What nodes cost, from a table that comes with imported scores, or assumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from calibration.files import naming
from calibration.joint import assumed_costs, cost_frame
from poq_abm.errors import InputError, nearest
from poq_abm.profile.layout import COST_COLUMNS, COST_KEYS

__all__ = ["UNNAMED", "costs_of"]

UNNAMED = "unnamed"  #: hardware that a cost table does not name
NONE = "none"  #: hardware of costs that nobody measured


def costs_of(
    path: str | Path | None, models: Mapping[str, str], evaluators: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the cost table and what to say of it, as lists under ``measured`` and ``assumed``.

    ``models`` and ``evaluators`` are names with their labels; the file may use either. It has the
    columns ``node`` and ``latency_ms``, any other cost column, and ``hardware`` where that is
    known. It gives costs for every node of a role or for none: cost is relative inside a class.
    """
    roles = {"inference": models, "evaluator": evaluators}
    given = _read(path) if path is not None else pd.DataFrame({"node": [], "hardware": []})
    by_label = {
        key: (role, name)
        for role, named in roles.items()
        for name, label in named.items()
        for key in (label, name)
    }
    for node in given["node"].unique():
        if node not in by_label:
            raise InputError(
                f"costs: there is no model or evaluator {node!r}; {nearest(node, by_label)}"
            )
    given = given.assign(
        role=[by_label[node][0] for node in given["node"]],
        node=[by_label[node][1] for node in given["node"]],
    )
    parts, notes = [], {"measured": list[str](), "assumed": list[str]()}
    for role, named in roles.items():
        own = given[given["role"] == role]
        missing = [name for name in named if name not in set(own["node"])]
        if len(own) and missing:
            raise InputError(
                f"costs: no row for {role} node {missing[0]!r}; give all {role} nodes or none"
            )
        if len(own):
            parts.append(cost_frame(own))
            notes["measured"].append(f"Latencies of the {role} nodes, by whoever wrote the file.")
        else:
            names = {"inference": (list(named), []), "evaluator": ([], list(named))}[role]
            parts.append(assumed_costs(*names, NONE))
            notes["assumed"].append(f"Latencies of the {role} nodes: not known, set equal.")
    return pd.concat(parts, ignore_index=True), notes


def _read(path: str | Path) -> pd.DataFrame:
    path = Path(path)
    try:
        with naming(path, "read"):
            table = pd.read_csv(path, dtype={"node": "str", "hardware": "str"})
    except ValueError as error:
        raise InputError(f"{path.name} is not readable CSV: {error}") from error
    known = [column for column in COST_COLUMNS if column != "role"]
    for column in table.columns:
        if column not in known:
            raise InputError(f"{path.name}: unknown column {column!r}; {nearest(column, known)}")
    for column in ("node", "latency_ms"):
        if column not in table.columns:
            raise InputError(f"{path.name}: there is no column {column!r}")
    for column in (c for c in COST_COLUMNS[len(COST_KEYS) :] if c in table.columns):
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{path.name}: column {column!r} must hold numbers")
    if "hardware" not in table.columns:
        table["hardware"] = UNNAMED
    return table.assign(hardware=table["hardware"].fillna(UNNAMED))
