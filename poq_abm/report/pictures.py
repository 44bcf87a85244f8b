"""The figures that fit a run, inside the page."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poq_abm.analysis.sweeps import literal_values
from poq_abm.errors import InputError
from poq_abm.figures.kinds import KINDS, Request, draw
from poq_abm.figures.style import write
from poq_abm.report.subject import Subject
from poq_abm.simulation.playable import SYNTHETIC

__all__ = ["Picture", "pictures"]

MOST_BYTES = 400_000  #: vector graphics that are larger go into the page as PNG
_DUST = 1e-12  # a measure that varies less over treatments is not moved by the sweep
MOST_CURVES = 6  #: treatments in one picture


class Picture(NamedTuple):
    """A figure as the page holds it."""

    kind: str
    title: str
    shows: str
    data: str  #: a data URI


def pictures(subject: Subject) -> list[Picture]:
    """Return the figures that fit a run; kinds that cannot be drawn of it are left out."""
    found: list[Picture] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, settings in _fitting(subject):
            try:
                figure = draw(kind, Request(str(subject.folder), **settings))
            except InputError:
                continue
            stem = Path(folder) / str(len(found))
            (path,) = write(figure, stem, ["svg"])
            if path.stat().st_size > MOST_BYTES:
                (path,) = write(figure, stem, ["png"])
            shows = KINDS[kind].shows.split(" (")[0]
            found.append(Picture(kind, figure.get_suptitle(), shows, _uri(path)))
    return found


def _uri(path: Path) -> str:
    kind = "image/svg+xml" if path.suffix == ".svg" else "image/png"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _fitting(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kinds worth trying, with what they are asked for."""
    if subject.has_queries:
        yield "trilemma", {}
        return
    first = subject.treatments[0]
    if subject.is_swept:
        yield from _of_a_sweep(subject)
    else:
        yield "figure6", {}
        yield "costs", {}
        yield "violins", {}
        yield "frontier", {}
    if len(subject.treatments) <= MOST_CURVES:
        yield "lorenz", {"role": "inference"}
    if subject.has_economy:
        for metric in ("nodes", "profit"):
            if subject.results.epochs.groupby("group", observed=True)[metric].nunique().max() > 1:
                yield "economy", {"metric": metric}
    if "trust" in subject.results.tables:
        yield "trust", {} if len(subject.treatments) <= MOST_CURVES else {"treatment": first}
    if subject.values("profile") != [SYNTHETIC] and not subject.profiles[1]:
        yield "figure4", {}
        yield "figure5", {}


def _of_a_sweep(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    treatments = subject.results.treatments
    axes = [axis for axis in subject.axes if treatments[axis].astype(str).nunique() > 1]
    metrics: tuple[str, ...] = ("inference_reward_mean", "evaluator_reward_mean")
    if "malicious.share" in axes:
        metrics = ("bias", "reward_gap")
    means = subject.results.replications.groupby("treatment", observed=True)[list(metrics)].mean()
    known = [name for name in metrics if means[name].notna().any()]
    metrics = tuple(name for name in known if float(np.ptp(means[name].dropna())) > _DUST)
    if len(axes) == 1:
        for metric in metrics:
            yield "lines", {"x": axes[0], "metric": metric}
        if len(subject.treatments) <= MOST_CURVES:
            yield "forest", {}
        return
    x, y = ("malicious.share", next(a for a in axes if a != "malicious.share")) \
        if "malicious.share" in axes else (axes[0], axes[1])  # fmt: skip
    where = _middle(subject, [axis for axis in axes if axis not in (x, y)])
    if metrics:
        yield "lines", {"x": x, "y": y, "metric": metrics[0], "where": where}
    for metric in metrics:
        yield "heatmap", {"x": x, "y": y, "metric": metric, "where": where}
    if x == "malicious.share":
        yield "phases", {"y": y, "where": where}


def _middle(subject: Subject, axes: list[str]) -> dict[str, str]:
    """Fix the axes that are not shown: at what the scenario itself says, or at their middle."""
    fixed = {}
    for axis in axes:
        texts = list(dict.fromkeys(literal_values(subject.results.treatments[axis])))
        value: Any = subject.scenario
        for part in axis.split("."):
            value = getattr(value, part, None)
        own = f"{value:g}" if isinstance(value, int | float) else str(value)
        fixed[axis] = own if own in texts else texts[len(texts) // 2]
    return fixed
