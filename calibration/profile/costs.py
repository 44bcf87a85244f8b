"""What nodes cost: by the efficiency stage, generation logs, an imported table, or assumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.configuration import Calibration
from calibration.latency.measurement import read_measurement
from calibration.models.scoring import scores
from calibration.models.spending import money
from calibration.profile.score_logs import read_logs
from calibration.stage_settings import AskedEvaluatorSpec, EndpointSpec
from calibration.workspace import Workspace, read_stamp
from poq_abm.errors import InputError, nearest
from poq_abm.profile.validity import COST_COLUMNS, COST_KEYS, MONEY_COLUMNS

__all__ = [
    "EVALUATOR_LATENCY_MS",
    "MODEL_LATENCY_MS",
    "UNNAMED",
    "Costs",
    "assumed_costs",
    "imported_costs",
    "measured_costs",
]

#: Latencies of nodes nobody timed. Equal ones cost nothing: cost is relative inside a node class.
MODEL_LATENCY_MS = 1000.0
EVALUATOR_LATENCY_MS = 1.0


def assumed_costs(models: Sequence[str], evaluators: Sequence[str], hardware: str) -> pd.DataFrame:
    """Return equal latencies for nodes that nobody timed; all that is not known is NaN.

    >>> assumed_costs(["m"], ["e"], "none")["latency_ms"].tolist()
    [1000.0, 1.0]
    """
    rows = [
        *(("inference", model, hardware, MODEL_LATENCY_MS) for model in models),
        *(("evaluator", evaluator, hardware, EVALUATOR_LATENCY_MS) for evaluator in evaluators),
    ]
    return cost_frame(pd.DataFrame(rows, columns=[*COST_KEYS, "latency_ms"]))


def cost_frame(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a cost table with all its columns, numbers as numbers and NaN where nothing is known.

    >>> cost_frame(pd.DataFrame({"role": ["inference"], "latency_ms": [1]})).shape
    (1, 11)
    """
    columns = [*COST_COLUMNS, *MONEY_COLUMNS]
    numbers = dict.fromkeys(columns[len(COST_KEYS) :], "float64")
    return costs.reindex(columns=columns).astype(numbers)


Report = Callable[[str], None]
Row = dict[str, Any]
_NONE = "none"


@dataclass
class Costs:
    """A cost table, its hardware with descriptions, and what to say of it in the provenance."""

    table: pd.DataFrame
    hardware: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: list[str] = field(default_factory=list)
    inferred: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)


def measured_costs(
    calibration: Calibration, made: Mapping[str, Mapping[str, Row]], report: Report
) -> Costs:
    """Return the costs of all nodes; ``made`` holds the generation rows of each model.

    A node is priced at the smallest batch size it was timed at; all its batch sizes stay in
    ``batches``. Inside a node class cost is relative, so that one source serves a whole class: the
    efficiency stage if it timed every node, else (inference nodes) the seconds in the generation
    logs, else equal latencies, which are assumed.
    """
    found = [read_measurement(path) for path in Workspace(calibration.out).efficiencies()]
    costs = Costs(pd.DataFrame())
    models = [spec.name for spec in calibration.models]
    evaluators = [spec.name for spec in calibration.evaluators]
    tables = []
    for role, nodes in (("inference", models), ("evaluator", evaluators)):
        own = [row for row in found if row["role"] == role and row["node"] in nodes]
        untimed = [node for node in nodes if node not in {row["node"] for row in own}]
        if not untimed:
            tables.append(_timed(role, own, costs))
            continue
        report(
            f"{role} nodes: no timing of {', '.join(untimed)}; `poq calibrate efficiency` makes it"
        )
        if role == "inference":
            tables.append(_from_logs(calibration, made, costs))
        else:
            tables.append(assumed_costs([], nodes, _NONE))
            costs.hardware.setdefault(_NONE, {"description": "latencies were not measured"})
            costs.assumed.append("Latencies of the evaluators: not measured, set equal.")
    costs.table = pd.concat(tables, ignore_index=True)
    for spec in calibration.endpoints:
        _price(spec, "inference", list(made[spec.name].values()), costs)
    for asked in calibration.asked_evaluators:
        _price(asked, "evaluator", list(scores(calibration, asked).values()), costs)
    return costs


def _price(
    spec: EndpointSpec | AskedEvaluatorSpec, role: str, rows: list[Row], costs: Costs
) -> None:
    """Put the money of an answer into the cost table: mean tokens times the prices of today."""
    usd = [money(spec, row.get("input_tokens"), row.get("output_tokens")) for row in rows]
    known = [each for each in usd if each is not None]
    if not known or len(known) < len(usd):
        why = "no prices" if spec.usd_per_million_input is None else "the server counts no tokens"
        costs.assumed.append(f"Money per answer of {spec.name}: not known, {why}.")
        return
    own = (costs.table["role"] == role) & (costs.table["node"] == spec.name)
    costs.table.loc[own, "usd_per_answer"] = math.fsum(known) / len(known)
    costs.measured.append(
        f"Money per answer of {spec.name}: tokens as its server counts them, at "
        f"{spec.usd_per_million_input:g} and {spec.usd_per_million_output:g} dollars per million "
        f"of input and output."
    )


def _timed(role: str, found: list[Row], costs: Costs) -> pd.DataFrame:
    """Return the rows of one class out of its measurements."""
    best: dict[tuple[str, str], Row] = {}
    for row in sorted(found, key=lambda row: bool(row["weights"] == "endpoint")):
        # A server on the same hardware: the machine's own stamp says more than an address.
        costs.hardware.setdefault(row["hardware"], {"stamp": row["stamp"]})
    for row in sorted(found, key=lambda row: int(row["batch_size"])):
        best.setdefault((row["node"], row["hardware"]), row)
        costs.batches.append(
            {
                "role": role,
                "node": row["node"],
                "hardware": row["hardware"],
                "batch_size": row["batch_size"],
                "weights": row["weights"],
                "new_tokens": row["new_tokens"],
                **_spread(row["latencies_ms"]),
            }
        )
    sizes = sorted({int(row["batch_size"]) for row in best.values()})
    told = ", ".join(map(str, sizes))
    costs.measured.append(f"Latencies of the {role} nodes, at batch size {told}.")
    served = sorted({row["node"] for row in best.values() if row["weights"] == "endpoint"})
    if served:
        costs.measured.append(
            f"Latencies of {', '.join(served)}: until the server's answer was complete, the "
            "network included."
        )
    random = sorted({row["node"] for row in best.values() if row["weights"] == "random"})
    if random:
        costs.inferred.append(
            f"Latencies of {', '.join(random)}: of the architecture with random weights, every "
            "answer of the same length."
        )
    rows = [
        {
            "role": role,
            "node": node,
            "hardware": hardware,
            **_spread(row["latencies_ms"]),
            "throughput_tokens_per_s": row["throughput_tokens_per_s"],
            "peak_memory_mb": row["peak_memory_mb"],
            "energy_j": row["energy_j"],
        }
        for (node, hardware), row in best.items()
    ]
    return cost_frame(pd.DataFrame(rows))


def _from_logs(
    calibration: Calibration, made: Mapping[str, Mapping[str, Row]], costs: Costs
) -> pd.DataFrame:
    """Return the latencies of the inference nodes out of the generation logs, if they tell."""
    rows = []
    for spec in calibration.models:
        log = Workspace(calibration.out).generations(spec.name)
        stamp = read_stamp(log)
        device = "unnamed" if stamp is None else stamp.device
        timed = [row for row in made[spec.name].values() if _positive(row.get("seconds"))]
        if len(timed) < len(made[spec.name]) or not timed:
            costs.assumed.append("Latencies of the inference nodes: not measured, set equal.")
            costs.hardware.setdefault(_NONE, {"description": "latencies were not measured"})
            return assumed_costs([spec.name for spec in calibration.models], [], _NONE)
        seconds = sum(row["seconds"] / row.get("batch_size", 1) for row in timed)
        rows.append(
            {
                "role": "inference",
                "node": spec.name,
                "hardware": spec.hardware or f"generation_{device}",
                **_spread([1000.0 * row["seconds"] for row in timed]),
                "throughput_tokens_per_s": np.nan
                if any(row["output_tokens"] is None for row in timed)
                else sum(row["output_tokens"] for row in timed) / seconds,
            }
        )
    for row in rows:
        costs.hardware.setdefault(str(row["hardware"]), {"description": "timed while generating"})
    costs.inferred.append(
        "Latencies of the inference nodes: seconds until the batch was answered, noted while "
        "generating, without warm-up."
    )
    return cost_frame(pd.DataFrame(rows))


def _spread(latencies_ms: list[float]) -> dict[str, float]:
    values = np.asarray(latencies_ms, dtype=np.float64)
    return {
        "latency_ms": float(values.mean()),
        "latency_sd_ms": float(values.std(ddof=1)) if values.size > 1 else np.nan,
        "latency_p50_ms": float(np.quantile(values, 0.5)),
        "latency_p95_ms": float(np.quantile(values, 0.95)),
    }


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


UNNAMED = "unnamed"  #: hardware that a cost table does not name
_NONE = "none"  #: hardware of costs that nobody measured


def imported_costs(
    path: str | Path | None, models: Mapping[str, str], evaluators: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the cost table and what to say of it, as lists under ``measured`` and ``assumed``.

    ``models`` and ``evaluators`` are names with their labels; the file may use either. It has the
    columns ``node`` and ``latency_ms`` or ``latency_s``, any other cost column, and ``hardware``
    where that is known. It gives costs for every node of a role or for none: cost is relative
    inside a class.
    """
    roles = {"inference": models, "evaluator": evaluators}
    given = _cost_file(path) if path is not None else pd.DataFrame({"node": [], "hardware": []})
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
            parts.append(assumed_costs(*names, _NONE))
            notes["assumed"].append(f"Latencies of the {role} nodes: not known, set equal.")
    return pd.concat(parts, ignore_index=True), notes


def _cost_file(path: str | Path) -> pd.DataFrame:
    """Return the table with its numbers as such, and latencies in milliseconds."""
    path = Path(path)
    log = read_logs([path])
    table = log.frame.drop(columns=["file", "folder"])
    if "latency_s" in table.columns:
        if "latency_ms" in table.columns:
            raise InputError(f"{path.name}: give latency_ms or latency_s, not both")
        table["latency_ms"] = log.numbers("latency_s")[0] * 1000.0
        table = table.drop(columns="latency_s")
    known = [column for column in (*COST_COLUMNS, *MONEY_COLUMNS) if column != "role"]
    for column in table.columns:
        if column not in known:
            raise InputError(f"{path.name}: unknown column {column!r}; {nearest(column, known)}")
    for column in ("node", "latency_ms"):
        if column not in table.columns:
            raise InputError(f"{path.name}: there is no column {column!r}")
    for column in (c for c in known[len(COST_KEYS) - 1 :] if c in log.frame.columns):
        table[column] = log.numbers(column)[0]
    table["node"] = log.texts(["node"])
    hardware = log.texts(["hardware"]) if "hardware" in table.columns else UNNAMED
    return table.assign(hardware=hardware).fillna({"hardware": UNNAMED})
