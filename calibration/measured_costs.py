"""What nodes cost: from the efficiency stage, else from the generation logs, else assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from calibration.caching import read_stamp
from calibration.configuration import Calibration
from calibration.folders import Workspace
from calibration.joint import assumed_costs, cost_frame
from calibration.measurement import read_measurement

__all__ = ["Costs", "measured_costs"]

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
    return costs


def _timed(role: str, found: list[Row], costs: Costs) -> pd.DataFrame:
    """Return the rows of one class out of its measurements."""
    best: dict[tuple[str, str], Row] = {}
    for row in sorted(found, key=lambda row: int(row["batch_size"])):
        best.setdefault((row["node"], row["hardware"]), row)
        costs.hardware.setdefault(row["hardware"], {"stamp": row["stamp"]})
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
                "throughput_tokens_per_s": sum(row["output_tokens"] for row in timed) / seconds,
            }
        )
    for row in rows:
        costs.hardware.setdefault(row["hardware"], {"description": "timed while generating"})
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
