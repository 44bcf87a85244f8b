"""Charts as SVG text: pictures of a few thousand characters that a browser draws at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from html import escape

import numpy as np
from numpy.typing import NDArray

from poq_abm.page.controls import Shown
from poq_abm.page.played_rounds import PlayedRounds
from poq_abm.page.samples import Curve, shared_places
from poq_abm.page.views import cloud, reward_curves, trust_curves

__all__ = [
    "DASHES",
    "PALETTE",
    "charts",
    "cloud_chart",
    "limits_of",
    "limits_of_numbers",
    "line_chart",
    "ticks",
]


#: seaborn's palette for colour-blind readers, in an order of falling contrast
PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#949494", "#56b4e9")


DASHES = ("", "7 3", "2 3", "9 3 2 3")


_PLAYS = 16  # whose room is remembered


_DOTS = ("dot", "square")  # what tells tasks apart besides colour


_WIDTH, _HEIGHT = 560, 300


_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 534, 12, 248  # of the field that is drawn in


Floats = NDArray[np.float64]


Range = tuple[float, float]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers between two others, at most ``most`` of them.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    rough = span / (most - 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * f for f in (1, 2, 2.5, 5, 10) if unit * f >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def line_chart(
    name: str,
    title: str,
    unit: str,
    curves: Sequence[Curve],
    rounds: int,
    limits: Range,
    before: Sequence[Curve] = (),
    across_label: str = "round",
) -> str:
    """Return a chart of curves over rounds, or epochs, 0 to ``rounds``, with their 95% bands.

    ``name`` tells the chart from others in the page; ``limits`` are those of the vertical axis;
    ``before`` are curves to compare with, drawn thin.
    """
    across = (0.0, float(rounds))
    drawn = [
        f'<path class="before" d="{_path(curve.x, curve.y, across, limits)}" fill="none" '
        f'stroke="{_ink(curve)[0]}" stroke-width="1" stroke-opacity="0.6"/>'
        for curve in before
    ]
    for curve in curves:
        colour, _ = _ink(curve)
        band = _band(curve, across, limits)
        if band:
            drawn.append(f'<path d="{band}" fill="{colour}" fill-opacity="0.18"/>')
    for curve in curves:
        colour, dash = _ink(curve)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        drawn.append(
            f'<path class="curve" d="{_path(curve.x, curve.y, across, limits)}" fill="none" '
            f'stroke="{colour}" stroke-width="2"{dashed}>'
            f"<title>{escape(curve.label)}</title></path>"
        )
    legend = [(curve.label, *_ink(curve)) for curve in curves]
    if before:
        legend.append(("thin: as written", "#57606a", "thin"))
    return _figure(name, title, across_label, unit, across, limits, "".join(drawn), legend)


def _ink(curve: Curve) -> tuple[str, str]:
    """Return the colour and the dash of a curve; 32 places have each their own two."""
    again, place = divmod(curve.place, len(PALETTE))
    return PALETTE[place], DASHES[(place + again) % len(DASHES)]


def cloud_chart(
    name: str,
    title: str,
    consensus: Floats,
    truth: Floats,
    task: NDArray[np.int32],
    tasks: Sequence[str],
    places: Mapping[str, int],
) -> str:
    """Return a chart of consensus against truth, a dot a round, with the line where both agree.

    ``places`` of tasks give them their colours and shapes.
    """
    field = (0.0, 10.0)
    ends = np.array(field)
    drawn = [
        f'<path d="{_path(ends, ends, field, field)}" stroke="currentColor" stroke-opacity="0.45" '
        'stroke-dasharray="4 4" fill="none"><title>consensus = truth</title></path>'
    ]
    xs, ys = _across(truth, field), _up(consensus, field)
    known = np.isfinite(xs)  # of a truth that nobody knows nothing is drawn
    cells = (xs[known].tolist(), ys[known].tolist(), task[known].tolist())
    for x, y, which in zip(*cells, strict=True):
        place = places[tasks[which]]
        colour = PALETTE[place % len(PALETTE)]
        shape = (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"'
            if place % 2 == 0
            else f'<rect x="{x - 2.6:.1f}" y="{y - 2.6:.1f}" width="5.2" height="5.2"'
        )
        drawn.append(f'{shape} fill="{colour}" fill-opacity="0.5"/>')
    legend = [(one, PALETTE[places[one] % len(PALETTE)], _DOTS[places[one] % 2]) for one in tasks]
    axes = ("truth (points of 10)", "consensus (points of 10)")
    return _figure(name, title, *axes, field, field, "".join(drawn), legend)


def _across(values: Floats, limits: Range) -> Floats:
    span = (limits[1] - limits[0]) or 1.0
    return _LEFT + (np.asarray(values, np.float64) - limits[0]) / span * (_RIGHT - _LEFT)


def _up(values: Floats, limits: Range) -> Floats:
    span = (limits[1] - limits[0]) or 1.0
    return _BOTTOM - (np.asarray(values, np.float64) - limits[0]) / span * (_BOTTOM - _TOP)


def _path(x: Floats, y: Floats, across: Range, limits: Range) -> str:
    """Return the path through the points, lifted where one is missing."""
    parts, lifted = [], True
    for px, py in zip(_across(x, across).tolist(), _up(y, limits).tolist(), strict=True):
        if not math.isfinite(py):
            lifted = True
            continue
        parts.append(f"{'M' if lifted else 'L'}{px:.1f} {py:.1f}")
        lifted = False
    if len(parts) == 1:  # a single point is a short stroke
        parts.append("h3")
    return "".join(parts)


def _band(curve: Curve, across: Range, limits: Range) -> str:
    known = np.isfinite(curve.low) & np.isfinite(curve.high)
    if known.sum() < 2:
        return ""
    x = curve.x[known]
    there = _path(x, curve.high[known], across, limits)
    back = _path(x[::-1], curve.low[known][::-1], across, limits)
    return f"{there}L{back[1:]}Z"


def _figure(
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    across: Range,
    limits: Range,
    drawn: str,
    legend: Sequence[tuple[str, str, str]],
) -> str:
    keys = "".join(
        f"<span>{_key(colour, dash)}{escape(label)}</span>" for label, colour, dash in legend
    )
    return (
        f'<figure class="poq-chart" data-chart="{escape(name)}"><figcaption>{escape(title)}'
        f'</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">'
        f'<clipPath id="field-{escape(name)}"><rect x="{_LEFT}" y="{_TOP - 4}" '
        f'width="{_RIGHT - _LEFT + 4}" height="{_BOTTOM - _TOP + 8}"/></clipPath>'
        f"{_axes(x_label, y_label, across, limits)}"
        f'<g clip-path="url(#field-{escape(name)})">{drawn}</g></svg>'
        f'<div class="poq-legend">{keys}</div></figure>'
    )


def _key(colour: str, mark: str) -> str:
    """Return the sign of a line or a dot in the legend; a mark is a kind of dot, or dashes."""
    if mark == "dot":
        sign = f'<circle cx="12" cy="6" r="4" fill="{colour}"/>'
    elif mark == "square":
        sign = f'<rect x="8" y="2" width="8" height="8" fill="{colour}"/>'
    else:
        width, dash = (1, "") if mark == "thin" else (2.5, mark)
        sign = f'<path d="M1 6H23" stroke="{colour}" stroke-width="{width}" '
        sign += f'stroke-dasharray="{dash}"/>'
    return f'<svg width="24" height="12" aria-hidden="true">{sign}</svg>'


def _axes(x_label: str, y_label: str, across: Range, limits: Range) -> str:
    parts = []
    for value in ticks(*limits, most=6):
        y = float(_up(np.array([value]), limits)[0])
        parts.append(
            f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="currentColor" stroke-opacity="0.12"/>'
            f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in ticks(*across, most=6):
        x = float(_across(np.array([value]), across)[0])
        parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{value:,g}</text>')
    middle = (_TOP + _BOTTOM) / 2
    parts.append(
        f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="currentColor" '
        'stroke-opacity="0.6"/>'
        f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
        f'<text transform="translate(17 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>"
    )
    return "".join(parts)


_ROLES = {
    "inference": "Inference nodes: reward per job",
    "evaluator": "Evaluators: reward per job",
}


def charts(shown: Shown) -> dict[str, str]:
    """Return the charts by name, as SVG in HTML.

    Curves of what was written, where another scenario was played, are drawn thin behind the others.
    """
    played: PlayedRounds = shown.played
    rounds, length = played.rounds, shown.length
    found = {}
    places = {role: _places(shown.in_order, role) for role in _ROLES}
    for role, title in _ROLES.items():
        before = reward_curves(shown.written, role, length) if shown.moved else []
        found[role] = line_chart(
            shown.named(role), shown.titled(title), "reward per job",
            _placed(reward_curves(played, role, length), places[role]), rounds,
            _joint([_reward_room(one, role) for one in shown.plays]),
            _placed(before, places[role]),
        )  # fmt: skip
    update = played.scenario.mechanism.trust.update
    found["trust"] = line_chart(
        shown.named("trust"), shown.titled(f"Evaluators: mean trust weight (update: {update})"),
        "weight", _placed(trust_curves(played, length), places["evaluator"]), rounds,
        _joint([_trust_room(one) for one in shown.plays]),
        _placed(trust_curves(shown.written, length) if shown.moved else [], places["evaluator"]),
    )  # fmt: skip
    found["consensus"] = cloud_chart(
        shown.named("consensus"),
        shown.titled("Consensus against truth (latest 400 rounds of one replication)"),
        *cloud(played, length), played.game.tasks,
        shared_places([[(task, task) for task in one.game.tasks] for one in shown.in_order]),
    )  # fmt: skip
    return found


def _places(plays: Sequence[PlayedRounds], role: str) -> dict[str, int]:
    """Return the places of a role's classes, the same in every play."""
    classes = [[one for one in played.classes if one.role == role] for played in plays]
    return shared_places([[(one.label, one.name) for one in each] for each in classes])


def _placed(curves: Sequence[Curve], places: Mapping[str, int]) -> list[Curve]:
    return [replace(curve, place=places[curve.label]) for curve in curves]


# A move asks for the room of four plays three times over, and that of resampled ones takes long.
@lru_cache(maxsize=_PLAYS)
def _reward_room(played: PlayedRounds, role: str) -> Range:
    """Return the ends of a play's curves, however much of it is shown."""
    lengths = (played.rounds, max(1, played.rounds // 10))
    return _ends(*(reward_curves(played, role, length) for length in lengths))


@lru_cache(maxsize=_PLAYS)
def _trust_room(played: PlayedRounds) -> Range:
    return _ends(trust_curves(played, played.rounds))


def _ends(*groups: Sequence[Curve]) -> Range:
    """Return the least and the most that curves and their bands come to; NaN of none."""
    every = np.concatenate([np.concatenate([c.y, c.low, c.high]) for cs in groups for c in cs])
    known = every[np.isfinite(every)]
    return (float(known.min()), float(known.max())) if known.size else (math.nan, math.nan)


def _joint(rooms: Sequence[Range]) -> Range:
    return limits_of_numbers([end for room in rooms for end in room])


def limits_of(*groups: Sequence[Curve]) -> Range:
    """Return the range of the vertical axis, which stays while rounds are played."""
    values = [np.concatenate([c.y, c.low, c.high]) for curves in groups for c in curves]
    return limits_of_numbers(np.concatenate(values) if values else [])


def limits_of_numbers(values: Sequence[float] | Floats) -> Range:
    """Return a range with some room around numbers; of none, around 0 to 1.

    >>> limits_of_numbers([0.0, 10.0])
    (-0.5, 10.5)
    """
    every = np.asarray(values, np.float64)
    known = every[np.isfinite(every)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.1 * max(1.0, abs(high))
    return low - room, high + room
