"""A profile as a terminal shows it: sizes, costs, correlations, qualities, variance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import typer

from poq_abm.cli.printing import print_frame, say
from poq_abm.profile import Profile
from poq_abm.profile.validity import MONEY_COLUMNS

__all__ = ["print_correlations", "print_costs", "print_head", "print_qualities", "print_shares"]

_INTERVAL = "95% interval"
_SAID = ("published", "measured", "inferred", "assumed", "caveats")


def print_head(loaded: Profile) -> None:
    """Print name, hash, sizes, and what is published, measured, inferred and assumed."""
    records, models, evaluators = loaded.scores.shape
    typer.echo(f"{loaded.name}  {loaded.content_hash}")
    if "summary" in loaded.provenance:
        say(str(loaded.provenance["summary"]))
    judged = int((~np.isnan(loaded.judge)).sum())
    say(
        f"{records:,} records x {models:,} models x {evaluators:,} evaluators; "
        f"{judged:,} of {loaded.judge.size:,} outputs judged"
    )
    sizes = np.bincount(loaded.task_of_record, minlength=len(loaded.tasks))
    tasks = ", ".join(f"{t} ({n:,} records)" for t, n in zip(loaded.tasks, sizes, strict=True))
    say(f"tasks: {tasks}", indent=2)
    say(f"models: {', '.join(loaded.models)}", indent=2)
    say(f"evaluators: {', '.join(loaded.evaluators)}", indent=2)
    for word in _SAID:
        sentences = loaded.provenance.get(word) or []
        for number, sentence in enumerate([sentences] if isinstance(sentences, str) else sentences):
            say(f"{word if number == 0 else '':>9}  {sentence}", indent=11)


def print_costs(loaded: Profile) -> None:
    """Print what each node costs on each hardware; columns that nobody filled are left out."""
    columns = ["latency_ms", "latency_p50_ms", "latency_p95_ms", "throughput_tokens_per_s"]
    columns += ["peak_memory_mb", "energy_j", *MONEY_COLUMNS]
    told = set(loaded.costs.columns[loaded.costs.notna().any()])
    known = [column for column in columns if column in told]
    digits = {column: 6 if column in MONEY_COLUMNS else 2 for column in known}
    rows = [
        [row["role"], row["node"], row["hardware"], *(_number(row[c], digits[c]) for c in known)]
        for row in loaded.costs.to_dict("records")
    ]
    places = sorted(set(loaded.costs["hardware"]))
    if len(places) == 1:  # the same in every row: said once
        rows = [[*row[:2], *row[3:]] for row in rows]
        _print(f"Costs on {places[0]}", ["role", "node"], known, rows)
    else:
        _print("Costs", ["role", "node", "hardware"], known, rows)


def print_correlations(table: pd.DataFrame) -> None:
    """Print the table of :func:`poq_abm.analysis.evaluator_correlation.correlation_table`."""
    rows = [
        [row["task"], row["evaluator"], row["against"], f"{row['rows']:,}", *_triple(row, 3)]
        for row in table.to_dict("records")
    ]
    _print(
        f"Correlation of evaluators with {' and '.join(dict.fromkeys(table['against']))}",
        ["task", "evaluator", "against"],
        ["outputs", "correlation", _INTERVAL],
        rows,
    )


def print_qualities(table: pd.DataFrame) -> None:
    """Print the table of :func:`poq_abm.analysis.quality_latency.quality_against_latency`."""
    places = sorted(set(table["hardware"].astype(str)))
    names = [name for name in ("truth", "judge", "consensus") if table[name].notna().any()]
    rows = [
        [
            row["model"],
            *([str(row["hardware"])] if len(places) > 1 else []),
            _number(row["latency_ms"], 1),
            *(part for name in names for part in _triple(row, 2, name)),
            *([_number(row["truth_per_second"], 3)] if "truth" in names else []),
        ]
        for row in table.to_dict("records")
    ]
    numbers = ["latency ms", *(part for name in names for part in (name, _INTERVAL))]
    which = ["model", "hardware"] if len(places) > 1 else ["model"]
    title = "Quality against latency" + (f" on {places[0]}" if len(places) == 1 else "")
    numbers += ["truth per second"] if "truth" in names else []
    _print(title, which, numbers, rows)


def print_shares(table: pd.DataFrame) -> None:
    """Print the table of :func:`poq_abm.analysis.variance.variance_shares`, a line a quantity."""
    rows = []
    for (task, quantity), part in table.groupby(["task", "quantity"], sort=False):
        shares = [cell for row in part.to_dict("records") for cell in _triple(row, 2, "share")]
        rows.append([str(task), str(quantity), *shares])
    numbers = [h for source in ("record", "model", "residual") for h in (source, _INTERVAL)]
    _print("Share of variance", ["task", "quantity"], numbers, rows)


def _triple(row: dict[Any, Any], digits: int, name: str = "correlation") -> list[str]:
    """Return a value and its interval as a table shows them."""
    ends = ("low", "high") if name in ("correlation", "share") else (f"{name}_low", f"{name}_high")
    low, high = (_number(row[end], digits) for end in ends)
    return [_number(row[name], digits), "-" if "-" in (low, high) else f"[{low}, {high}]"]


def _print(title: str, names: list[str], numbers: list[str], rows: list[list[str]]) -> None:
    if rows:
        print_frame(pd.DataFrame(rows, columns=[*names, *numbers]), title, keys=len(names))


def _number(value: object, digits: int) -> str:
    number = float(value)  # type: ignore[arg-type]
    return "-" if math.isnan(number) else f"{number:,.{digits}f}"
