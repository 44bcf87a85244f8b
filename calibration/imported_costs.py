"""What nodes cost, from a table that comes with imported scores, or assumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from calibration.joint import assumed_costs, cost_frame
from calibration.score_logs import read_logs
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
    columns ``node`` and ``latency_ms`` or ``latency_s``, any other cost column, and ``hardware``
    where that is known. It gives costs for every node of a role or for none: cost is relative
    inside a class.
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
            ends = parts[-1]["latency_ms"].min(), parts[-1]["latency_ms"].max()
            notes["measured"].append(
                f"Latencies of the {role} nodes, {ends[0]:g} to {ends[1]:g} ms, by whoever wrote "
                "the file."
            )
        else:
            names = {"inference": (list(named), []), "evaluator": ([], list(named))}[role]
            parts.append(assumed_costs(*names, NONE))
            notes["assumed"].append(f"Latencies of the {role} nodes: not known, set equal.")
    return pd.concat(parts, ignore_index=True), notes


def _read(path: str | Path) -> pd.DataFrame:
    """Return the table with its numbers as such, and latencies in milliseconds."""
    path = Path(path)
    log = read_logs([path])
    table = log.frame.drop(columns=["file", "folder"])
    if "latency_s" in table.columns:
        if "latency_ms" in table.columns:
            raise InputError(f"{path.name}: give latency_ms or latency_s, not both")
        table["latency_ms"] = log.numbers("latency_s")[0] * 1000.0
        table = table.drop(columns="latency_s")
    known = [column for column in COST_COLUMNS if column != "role"]
    for column in table.columns:
        if column not in known:
            raise InputError(f"{path.name}: unknown column {column!r}; {nearest(column, known)}")
    for column in ("node", "latency_ms"):
        if column not in table.columns:
            raise InputError(f"{path.name}: there is no column {column!r}")
    for column in (c for c in COST_COLUMNS[len(COST_KEYS) :] if c in log.frame.columns):
        table[column] = log.numbers(column)[0]
    table["node"] = log.texts(["node"])
    hardware = log.texts(["hardware"]) if "hardware" in table.columns else UNNAMED
    return table.assign(hardware=hardware).fillna({"hardware": UNNAMED})
