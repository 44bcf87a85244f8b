"""``poq compare``: two treatments, replication by replication."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poq_abm.cli.options import AsCsv, AsJson, Jobs, Plugins, Replications, Rounds, Seed, Settings
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.cli.sides import Side

__all__ = ["compare"]

# Columns of a terminal below which the table leaves out what matters less, and the longest line of
# a metric's name in what is left.
WIDE, WIDE_NAME = 140, 60
MIDDLE, MIDDLE_NAME = 110, 24
NARROW_NAME = 19  # `reward of inference`


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Scenario, results folder or treatment.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same, to compare with A.")],
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", metavar="METRIC", help="What to compare; may be repeated."),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option("--in", metavar="FOLDER", help="A and B are treatments stored here."),
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
    """Compare B with A over matched replications: what moved, and how surely."""
    from poq_abm.analysis.comparison import describe  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.cli.sides import matched, what_differs  # noqa: PLC0415
    from poq_abm.experiment.paired import compare_sides  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    left, right = _sides(a, b, folder, [*(settings or []), *overrides], jobs)
    matched(left, right)
    _check_metrics(metric or [], left.main)
    played_a, played_b = left.tables(), right.tables()
    table = compare_sides(played_a, played_b, metric or None)
    notes = what_differs(left, right, played_a.main, played_b.main)
    if print_data({"comparison": table}, as_json=as_json, as_csv=as_csv):
        for note in notes:
            typer.echo(note, err=True)
    else:
        # What is equal in every pair stands in the sentence; it needs no row unless asked for.
        _print(table, left.name, right.name, keep_equal=bool(metric))
        _say([describe(table, left.name, right.name), *notes])


def _check_metrics(names: list[str], table: str) -> None:
    """Refuse a misspelt column before anything is played."""
    from poq_abm.experiment.paired import REWARD_OF  # noqa: PLC0415
    from poq_abm.experiment.schemas import SCHEMAS  # noqa: PLC0415

    known = [field.name for field in SCHEMAS[table] if str(field.type) == "double"]
    for name in names:
        if name not in known and not name.startswith(REWARD_OF):
            raise InputError(f"--metric {name}: unknown metric; {nearest(name, known)}")


def _sides(
    a: str, b: str, folder: str | None, overrides: Sequence[str], jobs: int
) -> tuple[Side, Side]:
    from poq_abm.cli.sides import is_stored, open_side, sides_of_folder  # noqa: PLC0415

    if folder is not None or (is_stored(a) and is_stored(b)):
        idle = [*overrides, *(["--jobs"] if jobs != 1 else [])]
        if idle:
            raise InputError(f"stored results are compared as they are; {idle[0]} has no use here")
    if folder is not None:
        return sides_of_folder(folder, a, b)
    return open_side(a, overrides, jobs), open_side(b, overrides, jobs)


def _say(lines: list[str]) -> None:
    from poq_abm.cli.printing import output_console  # noqa: PLC0415

    for line in lines:
        output_console().print(line, markup=False, highlight=False)


def _print(comparison: pd.DataFrame, name_a: str, name_b: str, *, keep_equal: bool) -> None:
    from rich import box  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.analysis.comparison import is_equal  # noqa: PLC0415
    from poq_abm.cli.printing import output_console  # noqa: PLC0415
    from poq_abm.experiment.calibration_error import WIDENED  # noqa: PLC0415

    console = output_console()
    rows: list[dict[str, Any]] = comparison.to_dict("records")  # type: ignore[assignment]
    rows = [row for row in rows if keep_equal or not is_equal(row)]
    if not rows:
        return
    roomy = console.width >= MIDDLE
    table = Table(
        title=escape(f"A = {name_a}, B = {name_b}"),
        title_justify="left",
        caption="Each interval holds at 95%; the verdicts hold together at 95% (Holm).",
        caption_justify="left",
        box=box.HEAVY_HEAD if roomy else box.HORIZONTALS,
        padding=(0, 1) if roomy else (0, 0, 0, 1),
        pad_edge=roomy,
    )
    wide = console.width >= WIDE
    for heading in ("metric", "unit") if wide else ("metric",):
        table.add_column(heading, overflow="fold")
    for heading in ("pairs", "A", "B", "B - A") if wide else ("A", "B", "B - A"):
        table.add_column(heading, justify="right", no_wrap=True)
    gap = " " if roomy else "\n"
    widened = ["with\ncalibration"] if WIDENED[0] in comparison else []
    for heading in (f"95%{gap}interval", *widened, f"variance{gap}cut"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("moved")
    for row in rows:
        table.add_row(*map(escape, _cells(row, console.width)))
    console.print(table)


#: of a difference without width, what tells how many digits its sides have
_NO_WIDTH = ("mean_a", "low", "high")


def _cells(row: dict[str, Any], width: int) -> list[str]:
    from poq_abm.analysis.comparison import factor  # noqa: PLC0415
    from poq_abm.experiment.calibration_error import WIDENED  # noqa: PLC0415
    from poq_abm.experiment.estimates import decimals  # noqa: PLC0415

    varies = row["low"] < row["high"]
    digits = decimals(*(row[x] for x in (("difference", "low", "high") if varies else _NO_WIDTH)))
    longest = WIDE_NAME if width >= WIDE else MIDDLE_NAME if width >= MIDDLE else NARROW_NAME

    def number(name: str, sign: str = "") -> str:
        return "-" if math.isnan(row[name]) else f"{row[name]:{sign},.{digits}f}"

    def interval(low: str, high: str) -> str:
        gap = " " if width >= MIDDLE else "\n"
        return "-" if low == "-" else f"[{low},{gap}{high}]"

    cut = factor(row["variance_reduction"])
    ends = [factor(row[f"variance_reduction_{end}"]) for end in ("low", "high")]
    if width >= MIDDLE and not {"-", "infinite"} & set(ends):
        cut = f"{cut} {interval(*ends)}"
    return [
        _broken(str(row["metric"]), longest),
        *([row["unit"], f"{row['replications']:,}"] if width >= WIDE else []),
        number("mean_a"),
        number("mean_b"),
        number("difference", "+"),
        interval(number("low", "+"), number("high", "+")),
        *([interval(*(number(end, "+") for end in WIDENED[:2]))] if WIDENED[0] in row else []),
        cut,
        row["moved"],
    ]


def _broken(name: str, longest: int) -> str:
    """Break a metric's name into lines: at spaces, and after underscores in a word too long."""
    lines = [""]
    for word in re.findall(r"\S+\s?", name):
        for part in re.findall(r"[^_]*_?", word) if len(word) > longest else [word]:
            if lines[-1] and len((lines[-1] + part).rstrip()) > longest:
                lines.append("")
            lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)
