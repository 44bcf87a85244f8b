"""Result tables as a terminal shows them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from poq_abm.analysis.reproduce.checks import Check
from poq_abm.cli.printing import print_frame, say
from poq_abm.experiment.calibration_error import WIDENED
from poq_abm.experiment.estimates import shown
from poq_abm.scenario.schema.precision import Precision

if TYPE_CHECKING:
    from poq_abm.experiment.results import Results

MOST_TREATMENTS = 24  # more make a table that nobody reads

__all__ = [
    "MOST_TREATMENTS",
    "print_axes",
    "print_calibration_error",
    "print_checks",
    "print_economy",
    "print_posterior",
    "print_precision",
    "print_queries",
    "print_summary",
]


def print_summary(summary: pd.DataFrame, title: str, left_out: int) -> None:
    """Print ``Results.summary()`` of some treatments in the manner of the published Table 4."""
    swept = left_out > 0 or len(summary["treatment"].unique()) > 1
    widened = WIDENED[0] in summary
    rows = [_of_group(row, swept, widened=widened) for row in summary.to_dict("records")]
    caption = _OF_CALIBRATION if widened else ""
    print_frame(pd.DataFrame(rows), title, keys=2 + swept, caption=caption)
    if left_out:
        say(f"{left_out} more treatments: Results.summary() has them all.")
    if (summary["latency_source"] == "estimated").any():
        say("* estimated: not measured on this hardware (docs/how-to/hardware.md).")
    if int(summary["replications"].min()) < 2:
        say("One replication: no interval can be given.")


def _of_group(row: dict[Hashable, object], swept: bool, *, widened: bool) -> dict[str, str]:
    reward, interval = _shown(row, "reward_mean", "reward_low", "reward_high")
    estimated = "*" if row["latency_source"] == "estimated" else ""
    return {
        **({"treatment": str(row["treatment"])} if swept else {}),
        "role": str(row["role"]),
        "group": str(row["group"]),
        "nodes": f"{round(_figure(row['nodes']), 1):,g}",
        "tokens per job": reward,
        "95% interval": interval,
        **(_calibration(row, "reward_mean") if widened else {}),
        "latency ms": _number(row["latency_ms"], 1) + estimated,
        "cost C": _number(row["cost"], 3),
        "jobs": f"{row['jobs_mean']:,.0f}",
    }


_OF_CALIBRATION = (
    "95% interval: the luck of the mechanism, on the records as measured. With calibration: "
    "had other records been measured, too. Its share: what more records would remove, and more "
    "replications would not."
)


def _calibration(row: Mapping[Hashable, object], mean: str) -> dict[str, str]:
    """Return the interval with the calibration's error, and what that has of its variance."""
    _, interval = _shown(row, mean, *WIDENED[:2])
    share, low, high = (_figure(row[name]) for name in WIDENED[2:])
    known = not math.isnan(share)
    return {
        "95% with calibration": interval,
        "its share of the variance": (
            f"{share:.0%} [{100 * low:.0f}, {100 * high:.0f}]" if known else "-"
        ),
    }


def print_calibration_error(summary: pd.DataFrame, mean: str) -> None:
    """Print how far measures would move had other records been measured, where that is known."""
    if WIDENED[0] not in summary:
        return
    swept = len(summary["treatment"].unique()) > 1
    rows = []
    for row in summary[summary["low"] < summary["high"]].to_dict("records"):
        estimate, interval = _shown(row, mean, "low", "high")
        rows.append(
            {
                **({"treatment": str(row["treatment"])} if swept else {}),
                "measure": str(row["measure"]),
                "estimate": estimate,
                "95% interval": interval,
                **_calibration(row, mean),
            }
        )
    title = "With the error of the calibration"
    print_frame(pd.DataFrame(rows), title, keys=1 + swept, caption=_OF_CALIBRATION)


_OF_QUERIES = {
    "dishonest_stands": "dishonest and paid",
    "cheating_share": "rational cheat",
    "detected_share": "dishonest caught",
    "provisional_p50_s": "answer p50, s",
    "provisional_p95_s": "answer p95, s",
    "economic_p50_s": "final p50, s",
    "total_usd": "cost, USD per query",
    "throughput_per_s": "queries per s",
    "truth_mean": "truth 0-10",
}
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
    rows = []
    for treatment, group in summary.groupby("treatment", sort=False, observed=True):
        of = {row["measure"]: row for row in group.to_dict("records")}
        cells = {said: _estimate(of[measure]) for measure, said in _OF_QUERIES.items()}
        rows.append({"treatment": str(treatment).replace(",", ", "), **cells})
    title = f"{title}; estimate ± half of its 95% interval, or the interval where it is skew"
    print_frame(pd.DataFrame(rows), title, caption=_READING)
    if left_out:
        say(f"{left_out} more treatments: `poq analyse queries FOLDER`.")
    if int(summary["replications"].max()) < 2:
        say("One replication: no interval can be given.")


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


def print_axes(results: Results, *, alone: bool) -> None:
    """Print what each axis of a sweep moves by itself.

    ``alone`` says that every treatment has been shown: then only what more than one axis adds is.
    """
    from poq_abm.analysis import axis_effects as effects  # noqa: PLC0415

    found = effects.axis_effects(results)
    axes = list(dict.fromkeys(found["axis"]))
    if alone and len(axes) < 2:
        return
    for axis in axes:
        measures = effects.telling(found, axis)
        rows = []
        for measure, part in found[found["axis"] == axis].groupby("measure", sort=False):
            if measure in measures:
                rows += [_along_axis(axis, row) for row in part.to_dict("records")]
        rows.sort(key=lambda row: measures.index(row["measure"]))
        over = effects.averaged_over(found, axis)
        title = f"What {axis} moves{': ' * bool(over)}{over}"
        if rows:
            print_frame(pd.DataFrame(rows), title, keys=2)
        else:
            say(f"{axis} is not shown to move anything.")
    say(
        f"Change: against the first value, over {int(found['replications'].max())} matched "
        "replications. `poq analyse axes FOLDER` has every measure with its unit; `poq plot lines` "
        "and `heatmap` draw one."
    )


def _along_axis(axis: str, row: Mapping[Hashable, Any]) -> dict[str, str]:
    mean, _ = _shown(row, "mean", "low", "high")
    ends = (_figure(row[name]) for name in ("change", "change_low", "change_high"))
    change, interval = shown(*ends, sign="+")
    first = math.isnan(_figure(row["change"]))
    return {
        "measure": str(row["measure"]),
        axis.rpartition(".")[2]: str(row["value"]),
        "mean": mean,
        "change": "-" if first else change,
        "95% interval": "-" if first else interval,
    }


def print_economy(summary: pd.DataFrame, halted: pd.Series[float], share: float) -> None:
    """Print ``Results.economy_summary()`` of some treatments: from which economy to which."""
    swept = len(summary["treatment"].unique()) > 1
    varying = summary[(summary["first"].fillna(0.0) != 0.0) | (summary["last"].fillna(0.0) != 0.0)]
    shown_rows = varying[varying["group"] == "network"] if swept else varying
    rows = []
    for row in shown_rows.to_dict("records"):
        last, interval = _shown(row, "last", "low", "high")
        some = 0 < row["occurred"] < row["replications"]
        rows.append(
            {
                **({"treatment": str(row["treatment"])} if swept else {}),
                "group": str(row["group"]),
                "measure": str(row["measure"]),
                "unit": str(row["unit"]),
                "first": _shown(row, "first", "low", "high")[0],
                "last": last,
                "95% interval": interval,
                "not 0 in": f"{row['occurred']} of {row['replications']}" if some else "",
            }
        )
    title = f"The economy: first epoch, and mean of the last {share:.0%} with its 95% interval"
    print_frame(pd.DataFrame(rows), title, keys=2 + swept)
    stopped = halted.dropna()
    if len(stopped):
        say(
            f"The network halted in {len(stopped)} of {len(halted)} replications, between epoch "
            f"{int(stopped.min())} and epoch {int(stopped.max())}: too few nodes were left."
        )
    hidden = "; Results.economy_summary() has the groups" if swept else ""
    say(f"Measures that are 0 throughout are not shown{hidden}.")


def print_precision(precision: pd.DataFrame, asked: Precision) -> None:
    """Print which treatment reached the precision asked for, and with how many replications."""
    until, rows = asked.until, []
    for row in precision.head(MOST_TREATMENTS).to_dict("records"):
        mean, interval = _shown(row, "mean", "low", "high")
        half = _figure(row["half_width"])
        rows.append(
            {
                "treatment": str(row["treatment"]),
                "precision": str(row["state"]),
                "replications": f"{row['replications']:,}",
                "mean": mean,
                "half-width": "-" if math.isnan(half) else f"{half:.2g}",
                "interval": interval,
            }
        )
    level = f"{asked.confidence:.0%} interval of each treatment alone"
    print_frame(pd.DataFrame(rows), f"{until.measure} within {until.width}, {level}")
    if len(precision) > MOST_TREATMENTS:
        say(f"{len(precision) - MOST_TREATMENTS} more treatments in manifest.json.")


def print_checks(checks: list[Check]) -> None:
    """Print every published figure beside its observed value, its tolerance and its status."""
    by_default = any(not math.isnan(check.default) for check in checks)
    rows = []
    for check in checks:
        digits = {"jobs": 0, "latency_ms": 1}.get(check.quantity, 3)
        finer = digits + (check.tolerance > 0)
        rows.append(
            {
                "figure": check.figure,
                "item": check.item,
                "quantity": check.quantity,
                "status": check.status if check.as_documented else check.status.upper(),
                "expected": _number(check.expected, digits),
                "observed": _number(check.observed, digits),
                "95% interval": _interval(check.low, check.high, digits),
                "tolerance": _number(check.tolerance, finer),
                **({"our defaults": _number(check.default, digits)} if by_default else {}),
                "because": check.reason,
            }
        )
    print_frame(pd.DataFrame(rows), "Published and observed", keys=3)


def print_posterior(found: pd.DataFrame) -> None:
    """Print what published figures tell of constants that a paper does not state."""
    rows = []
    for row in found.to_dict("records"):
        mean, interval = _shown(row, "mean", "low", "high")
        other = str(row["moves_with"]).rpartition(".")[2]
        rows.append(
            {
                "constant": str(row["constant"]).rpartition(".")[2],
                "prior": f"{_figure(row['prior_low']):g} to {_figure(row['prior_high']):g}",
                "mean": mean,
                "95% interval": interval,
                "narrowed": f"{_figure(row['narrowed']):.0%}",
                "moves with": f"{other} ({_figure(row['correlation']):+.2f})",
            }
        )
    print_frame(pd.DataFrame(rows), "What the figures tell")


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
