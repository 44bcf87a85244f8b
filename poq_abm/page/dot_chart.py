"""Charts of estimates side by side: a row each, a dot with the line of its 95% interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from poq_abm.page.charts import PALETTE, limits_of_numbers, ticks

__all__ = ["Dot", "DotAxis", "DotRows", "dot_chart"]

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 560, 150, 534, 24, 8


class Dot(NamedTuple):
    """An estimate: its mean and the ends of its interval, NaN where there is none."""

    mean: float
    low: float
    high: float


class DotAxis(NamedTuple):
    """What dots are drawn along: a unit, and whether by powers of ten."""

    unit: str
    by_powers: bool = False
    least: float = 0.0  #: by powers, what lies below is drawn here
    spelt: Callable[[float], str] = "{:g}".format


DotRows = Mapping[str, Sequence[Dot]]  #: the dots of every row, by its label


def dot_chart(
    name: str,
    title: str,
    axis: DotAxis,
    rows: DotRows,
    written: DotRows,
    *beside: DotRows,
    moved: bool = False,
    series: Sequence[str] = (),
) -> str:
    """Return a chart with a row for each label, and in it a dot for each of the ``series``.

    Where anything ``moved``, dots of what was ``written`` are drawn hollow to compare with. The
    axis has room for all, and for those of another chart ``beside`` this one.
    """
    every = (rows, written, *beside)
    place = _Across.of(axis, [dot for one in every for dots in one.values() for dot in dots])
    before = written if moved else {}
    bottom = _TOP + _ROW * len(rows)
    drawn = [_grid(place, bottom)]
    for row, (label, dots) in enumerate(rows.items()):
        middle = _TOP + _ROW * (row + 0.5)
        drawn.append(f'<text x="{_LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">'
                     f"{escape(label)}</text>")  # fmt: skip
        for number, dot in enumerate(dots):
            y = middle + 6.0 * (number - (len(dots) - 1) / 2.0)
            colour = PALETTE[number % len(PALETTE)]
            old = before.get(label, ())
            if number < len(old) and math.isfinite(old[number].mean):
                drawn.append(f'<circle class="before" cx="{place(old[number].mean):.1f}" '
                             f'cy="{y:.1f}" r="5" fill="none" stroke="{colour}"/>')  # fmt: skip
            told = f"{label}, {series[number]}" if series else label
            drawn.append(_dot(dot, place, y, colour, told))
    middle = (_LEFT + _RIGHT) / 2
    drawn.append(f'<text x="{middle}" y="{bottom + 40}" text-anchor="middle">'
                 f"{escape(axis.unit)}</text>")  # fmt: skip
    keys = "".join(
        f'<span><svg width="12" height="12" aria-hidden="true"><circle cx="6" cy="6" r="4" '
        f'fill="{PALETTE[number % len(PALETTE)]}"/></svg>{escape(one)}</span>'
        for number, one in enumerate(series)
    )
    if before:
        keys += (
            '<span><svg width="12" height="12" aria-hidden="true"><circle cx="6" cy="6" r="4.5" '
            'fill="none" stroke="#57606a"/></svg>hollow: as written</span>'
        )
    return (
        f'<figure class="poq-chart" data-chart="{escape(name)}"><figcaption>{escape(title)}'
        f'</figcaption><svg viewBox="0 0 {_WIDTH} {bottom + 48}" role="img" '
        f'aria-label="{escape(title)}">{"".join(drawn)}</svg>'
        f'<div class="poq-legend">{keys}</div></figure>'
    )


@dataclass(frozen=True)
class _Across:
    """Where values lie across the chart."""

    axis: DotAxis
    low: float
    high: float

    @classmethod
    def of(cls, axis: DotAxis, dots: Sequence[Dot]) -> _Across:
        """Return an axis on which all dots and their intervals find room."""
        values = [_on(axis, end) for dot in dots for end in dot if math.isfinite(end)]
        return cls(axis, *limits_of_numbers(values))

    def __call__(self, value: float) -> float:
        """Return the place of a value, at an end where it lies beyond."""
        share = (_on(self.axis, value) - self.low) / (self.high - self.low)
        return _LEFT + min(1.0, max(0.0, share)) * (_RIGHT - _LEFT)

    def marks(self) -> list[float]:
        """Return the values that have a tick: by powers of ten, whole ones, if any is there."""
        if not self.axis.by_powers:
            return ticks(self.low, self.high, most=5)
        whole = range(math.ceil(self.low), math.floor(self.high) + 1)
        return [10.0**power for power in whole[:: max(1, len(whole) // 5)]]


def _on(axis: DotAxis, value: float) -> float:
    return math.log10(max(value, axis.least)) if axis.by_powers else value


def _grid(place: _Across, bottom: float) -> str:
    parts = []
    for mark in place.marks():
        x = place(mark)
        parts.append(
            f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="currentColor" stroke-opacity="0.12"/>'
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{escape(place.axis.spelt(mark))}</text>"
        )
    return "".join(parts) + (
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_RIGHT}" fill="none" stroke="currentColor" '
        'stroke-opacity="0.6"/>'
    )


def _dot(dot: Dot, place: _Across, y: float, colour: str, label: str) -> str:
    """Return the dot of an estimate and the line of its interval; nothing where there is none."""
    if not math.isfinite(dot.mean):
        return ""
    line = ""
    if math.isfinite(dot.low) and math.isfinite(dot.high):
        line = (f'<path d="M{place(dot.low):.1f} {y:.1f}H{place(dot.high):.1f}" '
                f'stroke="{colour}" stroke-width="2"/>')  # fmt: skip
    return (
        f'{line}<circle class="curve" cx="{place(dot.mean):.1f}" cy="{y:.1f}" r="4" '
        f'fill="{colour}"><title>{escape(label)}</title></circle>'
    )
