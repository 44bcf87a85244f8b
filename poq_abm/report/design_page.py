"""A search for a mechanism as one HTML file: certificate, front, what does it, where it breaks."""

from __future__ import annotations

import base64
import math
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from poq_abm.analysis.design import FoundDesigns, as_certificate, design_tables, notes, paragraph
from poq_abm.analysis.design.figures import design_figures
from poq_abm.analysis.design.found import design_file
from poq_abm.analysis.questions import Section
from poq_abm.report.page import embedded, rendered
from poq_abm.report.tables import Table, table_of
from poq_abm.simulation.playable import profile_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["design_page"]

_ENDS = ("_low", "_high")
#: by part: its anchor and title, its figures, its tables with their titles
_PARTS: tuple[tuple[str, str, tuple[str, ...], dict[str, str]], ...] = (
    ("front", "The front", ("front",), {
        "front": "Members of the front, on fresh replications",
        "dominated": "What is shown to be dominated by which member, and what it would gain there",
    }),
    ("tornado", "What does it", ("tornado",), {
        "tornado": "What one field at a time does to the chosen design",
    }),
    ("progress", "How far the search came", ("progress", "attainment"), {
        "choices": "What was tried of each choice, on the keys of the search: designs, those that "
                   "are feasible, those that meet a constraint, and the best of the feasible",
        "ranges": "The same by quarters of each range",
        "attainment": "The front of all searches together, and the share of them that attain it",
    }),
    ("audit", "What deviators gain", ("audit",), {
        "audit": "The best deviations found, by who deviates, in tokens per job (in an economy, "
        "per epoch) of a member; intervals hold together",
    }),
    ("cases", "Where it breaks", ("cases",), {
        "boxes": "Boxes in which the choice stops being feasible, by cases that did not find them",
    }),
)  # fmt: skip


class _Picture(NamedTuple):
    """A figure as the page holds it."""

    title: str
    data: str  #: a data URI


class _Part(NamedTuple):
    """A section of the page."""

    anchor: str
    title: str
    pictures: list[_Picture]
    tables: list[Table]


def design_page(found: FoundDesigns) -> str:
    """Return what a search found, as one HTML page that asks no network for anything."""
    problem, certified = found.problem, found.certified
    certificate = "" if certified is None else as_certificate(problem, certified)
    encoded = base64.b64encode(certificate.encode()).decode()
    return rendered(
        "design.html.jinja",
        name=problem.scenario.name,
        question=problem.scenario.question,
        paragraph="" if certified is None else paragraph(problem, certified),
        certificate=f"data:text/yaml;base64,{encoded}",
        notes=notes(found),
        parts=_parts(found),
        searched=design_file(found.problem),
        provenance=_provenance(found),
        version=version("poq-abm"),
    )


def _parts(found: FoundDesigns) -> list[_Part]:
    """Return the sections that have anything to show."""
    tables, figures = design_tables(found), design_figures(found)
    confidence = found.problem.search.budget.confidence
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for anchor, title, drawn, listed in _PARTS:
            pictures = [
                _picture(figures[name], Path(folder) / name) for name in drawn if name in figures
            ]
            shown = [
                _as_table(heading, tables[name], confidence)
                for name, heading in listed.items()
                if name in tables and len(tables[name])
            ]
            if pictures or shown:
                parts.append(_Part(anchor, title, pictures, shown))
    return parts


def _picture(figure: Figure, stem: Path) -> _Picture:
    return _Picture(figure.get_suptitle(), embedded(figure, stem))


def _as_table(title: str, frame: pd.DataFrame, confidence: float) -> Table:
    """Return a table of a search as a page shows it: words, estimates with intervals, numbers."""
    means = [name for name in frame if f"{name}_low" in frame and f"{name}_high" in frame]
    ends = {f"{name}{end}" for name in means for end in _ENDS}
    numbers = [name for name in ("probability", "cases") if name in frame]
    words = [name for name in frame if name not in {*means, *ends, *numbers}]
    texts = frame.assign(**{str(name): frame[name].map(_text) for name in words})
    level = 0.95 if {"attained", "coverage"} & set(means) else confidence
    section = Section(
        title,
        texts.rename(columns=_words),
        [_words(name) for name in words],
        [(_words(name), _words(name), "") for name in numbers],
        [(_words(n), _words(f"{n}_low"), _words(f"{n}_high"), _words(n), "") for n in means],
    )
    table = table_of(section)
    for place, heading in enumerate(table.columns):
        if heading.title == "95% interval":
            table.columns[place] = heading._replace(title=f"{100.0 * level:.4g}% interval")
    return table


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _provenance(found: FoundDesigns) -> list[tuple[str, str]]:
    """Return what pins a search beside its file."""
    scenario, budget = found.problem.scenario, found.problem.search.budget
    profile = profile_of(scenario)
    return [
        ("profile", f"SHA-256 {profile.content_hash}"),
        ("seed of the scenario", str(scenario.seed)),
        ("seed of the search", str(budget.seed)),
        ("keys of the search", f"replications 0 to {budget.searched - 1}"),
        ("keys of the front", f"replications {budget.searched} to "
                              f"{budget.searched + found.fresh - 1}"),
        ("keys of the certificate", f"another seed, replications 0 to {budget.certified - 1}"),
        ("optuna", _optuna()),
    ]  # fmt: skip


def _optuna() -> str:
    try:
        return version("optuna")
    except PackageNotFoundError:
        return "none"
