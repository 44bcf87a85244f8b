"""Result tables as a terminal shows them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from poq_abm.analysis.reproduce.checks import Check
from poq_abm.experiment.calibration_error import WIDENED
from poq_abm.experiment.estimates import shown
from poq_abm.scenario.schema.precision import Precision

MOST_TREATMENTS = 24  # more make a table that nobody reads

__all__ = [
    "MOST_TREATMENTS",
    "output_console",
    "print_calibration_error",
    "print_checks",
    "print_economy",
    "print_posterior",
    "print_precision",
    "print_queries",
    "print_summary",
]


def output_console() -> Console:
    """Return a console on the output stream, wide where no terminal sets the width."""
    console = Console()
    # A pipe or a file has no width; do not fold a table for a reader that is not there.
    return console if console.is_terminal else Console(width=180)


def print_summary(summary: pd.DataFrame, title: str, left_out: int) -> None:
    """Print ``Results.summary()`` of some treatments in the manner of the published Table 4."""
    swept = left_out > 0 or len(summary["treatment"].unique()) > 1
    console, widened = output_console(), WIDENED[0] in summary
    roomy = not widened or console.width >= _ROOMY
    table = Table(
        title=title,
        title_justify="left",
        caption=_OF_CALIBRATION if widened else None,
        caption_justify="left",
        box=box.HEAVY_HEAD if roomy else box.HORIZONTALS,
        padding=(0, 1) if roomy else 0,
    )
    if swept:
        table.add_column("treatment", overflow="fold")
    for column in ("role", "group"):
        table.add_column(column)
    columns = ["nodes"] if roomy else []
    columns += ["tokens per job" if roomy else "tokens\nper job", "95% interval"]
    columns += _CALIBRATION if widened else ()
    columns += ["latency ms", "cost C", "jobs"] if roomy else []
    for column in columns:
        table.add_column(column, justify="right")
    for _, group in summary.groupby("treatment", sort=False, observed=True):
        for row in group.to_dict("records"):
            table.add_row(*_cells(row, swept, widened=widened, roomy=roomy))
        table.add_section()
    console.print(table)
    if left_out:
        console.print(f"{left_out} more treatments: Results.summary() has them all.")
    if (summary["latency_source"] == "estimated").any():
        console.print("* estimated: not measured on this hardware (docs/how-to/hardware.md).")
    if int(summary["replications"].min()) < 2:
        console.print("One replication: no interval can be given.")


def _cells(row: dict[Hashable, object], swept: bool, *, widened: bool, roomy: bool) -> list[str]:
    nodes = f"{round(_figure(row['nodes']), 1):,g}"
    cells = [
        *([str(row["treatment"])] if swept else []),
        str(row["role"]),
        str(row["group"]),
        *([nodes] if roomy else []),
        *_shown(row, "reward_mean", "reward_low", "reward_high"),
        *(_calibration(row, "reward_mean") if widened else []),
    ]
    if not roomy:
        return cells
    return [
        *cells,
        _number(row["latency_ms"], 1) + ("*" if row["latency_source"] == "estimated" else ""),
        _number(row["cost"], 3),
        f"{row['jobs_mean']:,.0f}",
    ]


_CALIBRATION = ("95% with\ncalibration", "its share of\nthe variance")
_OF_CALIBRATION = (
    "95% interval: the luck of the mechanism, on the records as measured. With calibration: "
    "had other records been measured, too. Its share: what more records would remove, and more "
    "replications would not."
)


def _calibration(row: Mapping[Hashable, object], mean: str) -> list[str]:
    """Return the interval with the calibration's error, and what that has of its variance."""
    _, interval = _shown(row, mean, *WIDENED[:2])
    share, low, high = (_figure(row[name]) for name in WIDENED[2:])
    known = not math.isnan(share)
    return [interval, f"{share:.0%} [{100 * low:.0f}, {100 * high:.0f}]" if known else "-"]


def print_calibration_error(summary: pd.DataFrame, mean: str) -> None:
    """Print how far measures would move had other records been measured, where that is known."""
    if WIDENED[0] not in summary:
        return
    table = Table(title="With the error of the calibration", title_justify="left",
                  caption=_OF_CALIBRATION, caption_justify="left")  # fmt: skip
    swept = len(summary["treatment"].unique()) > 1
    for column in (["treatment"] if swept else []) + ["measure"]:
        table.add_column(column, overflow="fold")
    for column in ("estimate", "95% interval", *_CALIBRATION):
        table.add_column(column, justify="right")
    varying = summary[summary["low"] < summary["high"]]
    for row in varying.to_dict("records"):
        cells = [str(row["treatment"])] if swept else []
        ends = _shown(row, mean, "low", "high")
        table.add_row(*cells, str(row["measure"]), *ends, *_calibration(row, mean))
    output_console().print(table)


_OF_QUERIES = {
    "dishonest_stands": "dishonest\nand paid",
    "cheating_share": "rational\ncheat",
    "detected_share": "dishonest\ncaught",
    "provisional_p50_s": "answer\np50, s",
    "provisional_p95_s": "answer\np95, s",
    "economic_p50_s": "final\np50, s",
    "total_usd": "cost, USD\nper query",
    "throughput_per_s": "queries\nper s",
    "truth_mean": "truth\n0-10",
}
_ROOMY = 130  # columns of a terminal that all of them need
_LESS = ("detected_share", "provisional_p95_s", "throughput_per_s")  # left out where it is narrower
_SKEW = 1.25  # an interval's longer half over its shorter: more is told by both ends
_READING = (
    "dishonest and paid: share of queries whose dishonest answer is paid for and never undone. "
    "rational cheat: share of rational nodes' queries that they answer dishonestly. dishonest "
    "caught: share of all dishonest answers. answer, final: time until the user has an answer, and "
    "until nothing can undo it. truth: quality of the answers that users get. in 3 of 20: so many "
    "replications had any."
)


def print_queries(summary: pd.DataFrame, title: str, left_out: int) -> None:
    """Print ``Results.query_summary()`` of some treatments, a row for each."""
    console = output_console()
    roomy = console.width >= _ROOMY
    kept = {name: said for name, said in _OF_QUERIES.items() if roomy or name not in _LESS}
    table = Table(
        title=f"{title}; estimate ± half of its 95% interval, or the interval where it is skew",
        title_justify="left",
        caption=_READING,
        caption_justify="left",
        box=box.HEAVY_HEAD if roomy else box.HORIZONTALS,
    )
    table.add_column("treatment", overflow="fold")
    for heading in kept.values():
        table.add_column(heading, justify="right", overflow="fold")
    for treatment, group in summary.groupby("treatment", sort=False, observed=True):
        rows = {row["measure"]: row for row in group.to_dict("records")}
        cells = [_estimate(rows[measure]) for measure in kept]
        table.add_row(str(treatment).replace(",", ", "), *cells)
    console.print(table)
    if not roomy:
        console.print("A wider terminal shows more columns.")
    if left_out:
        console.print(f"{left_out} more treatments: `poq analyse queries FOLDER`.")
    if int(summary["replications"].max()) < 2:
        console.print("One replication: no interval can be given.")


def _estimate(row: Mapping[Hashable, object]) -> str:
    """Return an estimate and its interval, as precise as the interval and no more.

    The half of it where both are alike, and in how many replications a share was above 0 where that
    is some of them, and no more than half.

    >>> _estimate({"mean": 0.950213, "low": 0.9498, "high": 0.950637})
    '0.95021 ±0.00042'
    >>> share = {"unit": "0-1", "replications": 20, "occurred": 3}
    >>> _estimate({"mean": 0.068, "low": 0.012, "high": 0.197, **share})
    '0.07 [0.01, 0.20] in 3 of 20'
    >>> _estimate({"mean": 0.0, "low": 0.0, "high": 9.2e-6}), _estimate({**share, "mean": 1.0,
    ...     "low": 0.99982, "high": 1.0, "occurred": 20})
    ('0 [0, 9.2e-06]', '1 [0.9998, 1]')
    >>> _estimate({"mean": 0.0, "low": 0.0, "high": 0.0})
    '0 ±0'
    >>> _estimate({"mean": 1.5, "low": math.nan, "high": math.nan})
    '1.500'
    """
    mean, low, high = (_figure(row[name]) for name in ("mean", "low", "high"))
    text, interval = shown(mean, low, high)
    is_share = row.get("unit") == "0-1"
    some = is_share and 0.0 < _figure(row["occurred"]) <= _figure(row["replications"]) / 2.0
    seen = f" in {row['occurred']} of {row['replications']}" if some else ""
    if interval == "-":
        return text + seen
    if mean == low == 0.0 < high:
        return f"0 [0, {high:.2g}]"
    if is_share and low < mean == high == 1.0:
        return f"1 [{low:.4g}, 1]"
    below, above = mean - low, high - mean
    skew = max(below, above) > _SKEW * min(below, above)
    return f"{text} {interval}{seen}" if skew else f"{text} ±{max(below, above):.2g}{seen}"


def print_economy(summary: pd.DataFrame, halted: pd.Series[float], share: float) -> None:
    """Print ``Results.economy_summary()`` of some treatments: from which economy to which."""
    title = f"The economy: first epoch, and mean of the last {share:.0%} with its 95% interval"
    table = Table(title=title, title_justify="left")
    swept = len(summary["treatment"].unique()) > 1
    if swept:
        table.add_column("treatment", overflow="fold")
    for column in ("group", "measure", "unit"):
        table.add_column(column)
    for column in ("first", "last", "95% interval", "not 0 in"):
        table.add_column(column, justify="right")
    varying = summary[(summary["first"].fillna(0.0) != 0.0) | (summary["last"].fillna(0.0) != 0.0)]
    for _, group in varying.groupby("treatment", sort=False, observed=True):
        network = group[group["group"] == "network"] if swept else group
        for row in network.to_dict("records"):
            cells = [str(row["treatment"])] if swept else []
            cells += [str(row["group"]), str(row["measure"]), str(row["unit"])]
            first, _ = _shown(row, "first", "low", "high")
            some = 0 < row["occurred"] < row["replications"]
            seen = f"{row['occurred']} of {row['replications']}" if some else ""
            table.add_row(*cells, first, *_shown(row, "last", "low", "high"), seen)
        table.add_section()
    console = output_console()
    console.print(table)
    stopped = halted.dropna()
    if len(stopped):
        console.print(
            f"The network halted in {len(stopped)} of {len(halted)} replications, between epoch "
            f"{int(stopped.min())} and epoch {int(stopped.max())}: too few nodes were left."
        )
    hidden = "; Results.economy_summary() has the groups" if swept else ""
    console.print(f"Measures that are 0 throughout are not shown{hidden}.")


def print_precision(precision: pd.DataFrame, asked: Precision) -> None:
    """Print which treatment reached the precision asked for, and with how many replications."""
    until = asked.until
    level = f"{asked.confidence:.0%} interval of each treatment alone"
    table = Table(title=f"{until.measure} within {until.width}, {level}", title_justify="left")
    table.add_column("treatment", overflow="fold")
    for column in ("replications", "mean", "half-width", "interval"):
        table.add_column(column, justify="right")
    table.add_column("precision")
    for row in precision.head(MOST_TREATMENTS).to_dict("records"):
        mean, interval = _shown(row, "mean", "low", "high")
        table.add_row(
            str(row["treatment"]),
            f"{row['replications']:,}",
            mean,
            "-" if (half := _figure(row["half_width"])) != half else f"{half:.2g}",
            interval,
            str(row["state"]),
        )
    console = output_console()
    console.print(table)
    if len(precision) > MOST_TREATMENTS:
        console.print(f"{len(precision) - MOST_TREATMENTS} more treatments in manifest.json.")


def print_checks(checks: list[Check]) -> None:
    """Print every published figure beside its observed value, its tolerance and its status."""
    console = output_console()
    roomy = console.width >= 150
    by_default = any(not math.isnan(check.default) for check in checks)
    table = Table(
        title="Published and observed",
        title_justify="left",
        box=box.HEAVY_HEAD if roomy else box.HORIZONTALS,
    )
    for column in ("figure", "item", "quantity") if roomy else ("figure",):
        table.add_column(column, overflow="fold")
    for column in ("expected", "observed", "95% interval"):
        table.add_column(column, justify="right", no_wrap=True)
    if roomy:
        table.add_column("tolerance", justify="right", no_wrap=True)
        if by_default:
            table.add_column("our defaults", justify="right", no_wrap=True)
        table.add_column("because", overflow="fold")
    table.add_column("status", no_wrap=True)
    for check in checks:
        digits = {"jobs": 0, "latency_ms": 1}.get(check.quantity, 3)
        finer = digits + (check.tolerance > 0)
        names = [check.figure, check.item, check.quantity]
        default = [_number(check.default, digits)] if by_default else []
        table.add_row(
            *(names if roomy else [", ".join(names)]),
            _number(check.expected, digits),
            _number(check.observed, digits),
            _interval(check.low, check.high, digits),
            *([_number(check.tolerance, finer), *default, check.reason] if roomy else []),
            check.status if check.as_documented else check.status.upper(),
        )
    console.print(table)
    if not roomy:
        console.print("A wider terminal shows more columns.")


def print_posterior(found: pd.DataFrame) -> None:
    """Print what published figures tell of constants that a paper does not state."""
    table = Table(title="What the figures tell", title_justify="left", box=box.HORIZONTALS)
    table.add_column("constant", overflow="fold")
    for column in ("prior", "mean", "95% interval", "narrowed", "moves with"):
        table.add_column(column, justify="right")
    for row in found.to_dict("records"):
        other = str(row["moves_with"]).rpartition(".")[2]
        table.add_row(
            str(row["constant"]).rpartition(".")[2],
            f"{_figure(row['prior_low']):g} to {_figure(row['prior_high']):g}",
            *_shown(row, "mean", "low", "high"),
            f"{_figure(row['narrowed']):.0%}",
            f"{other} ({_figure(row['correlation']):+.2f})",
        )
    output_console().print(table)


def _shown(row: Mapping[Hashable, object], mean: str, low: str, high: str) -> tuple[str, str]:
    return shown(*(_figure(row[name]) for name in (mean, low, high)))


def _figure(value: object) -> float:
    return math.nan if value is None else float(value)  # type: ignore[arg-type]


def _number(value: object, digits: int) -> str:
    number = math.nan if value is None else float(value)  # type: ignore[arg-type]
    return "-" if math.isnan(number) else f"{number:,.{digits}f}"


def _interval(low: object, high: object, digits: int) -> str:
    if low is None or math.isnan(float(low)):  # type: ignore[arg-type]
        return "-"
    return f"[{_number(low, digits)}, {_number(high, digits)}]"
