"""``poq converge``: whether the answer moves with more rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from poq_abm.cli.options import (
    AsCsv,
    AsJson,
    Jobs,
    Plugins,
    Replications,
    Rounds,
    ScenarioArgument,
    Seed,
    Settings,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["converge"]

MOST_MEASURES = 10  # more make a table that nobody reads


def converge(
    scenario: ScenarioArgument,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="METRIC", help="What may move; may be repeated."),
    ] = None,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say whether the answer moves with more rounds: half, as many and twice as many."""
    from poq_abm.analysis.convergence import convergence, verdict  # noqa: PLC0415
    from poq_abm.cli.printing import print_data, say  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    plan = Plan.load(scenario, [*(settings or []), *overrides])
    announce_compilation()
    with progress_bar(plan.scenario.name) as bar:
        found = convergence(plan.scenario, metric, n_jobs=jobs, progress=bar.played)
    sentence = verdict(found, plan.scenario.rounds)
    if not print_data({"measures": found}, as_json=as_json, as_csv=as_csv, verdict=sentence):
        _print(found, plan.scenario.rounds, len(metric or []) or MOST_MEASURES)
        say(sentence)


def _print(found: pd.DataFrame, rounds: int, most: int) -> None:
    """Print the measures that moved most beside their intervals, and how many are not shown."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.printing import print_frame  # noqa: PLC0415

    share = found["to_twice"].abs() / found["half_width"]
    ordered = found.assign(share=share).sort_values(["to_twice_moved", "share"], ascending=False)
    rows = [_cells(row, rounds) for row in ordered.head(most).to_dict("records")]
    title = f"{rounds // 2:,}, {rounds:,} and {2 * rounds:,} rounds on common keys"
    caption = (
        "± half the 95% interval over replications. Change: paired, with its 95% interval; * shown "
        "to have moved (all of them together at 95%, Holm)."
    )
    print_frame(pd.DataFrame(rows), title, caption=caption)
    if len(found) > len(rows):
        typer.echo(f"{len(found) - len(rows)} measures that moved less: --csv has them all.")


def _cells(row: dict[Any, Any], rounds: int) -> dict[str, str]:
    from poq_abm.experiment.estimates import shown  # noqa: PLC0415

    half = row["half_width"]
    mean, _ = shown(row["once"], row["once"] - half, row["once"] + half)
    cells = {"measure": row["metric"],
             f"at {rounds:,}": f"{mean} ±{half:.2g}"}  # fmt: skip
    for step, heading in (("to_once", f"from {rounds // 2:,}"), ("to_twice", f"to {2 * rounds:,}")):
        change, interval = shown(*(row[f"{step}{end}"] for end in ("", "_low", "_high")), sign="+")
        cells[heading] = change + "*" * bool(row[f"{step}_moved"])
        cells[f"interval {heading}"] = interval
    return cells
