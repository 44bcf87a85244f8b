"""The page itself: one HTML file that opens from disk and asks no network for anything."""

from __future__ import annotations

import base64
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from poq_abm.analysis.figure_style import write
from poq_abm.analysis.questions import AnalysisRequest, figures
from poq_abm.analysis.stored_run import StoredRun, open_results
from poq_abm.errors import InputError
from poq_abm.experiment.files import write_text
from poq_abm.report.assumptions import assumptions
from poq_abm.report.facts import FILTERS, facts
from poq_abm.report.provenance import provenance, reproduction
from poq_abm.report.tables import Heading, Table, TableCell, comparisons, result_tables
from poq_abm.scenario.checks.idle import idle_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["embedded", "rendered", "report_page", "write_page", "write_report"]

MOST_BYTES = 400_000  #: vector graphics that are larger go into the page as PNG


def write_report(folder: str | os.PathLike[str], out: Path | None = None) -> Path:
    """Write the report of a results folder; default: ``report.html`` inside it.

    Raises
    ------
    InputError
        If the folder is no run, or the file cannot be written.
    """
    return write_page(report_page(folder), out or Path(folder) / "report.html")


def write_page(text: str, path: Path) -> Path:
    """Write a page, with the folder it lies in, or say what keeps it from being written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def report_page(folder: str | os.PathLike[str]) -> str:
    """Return the report of a results folder, as HTML.

    Raises
    ------
    InputError
        If the folder is no run, or one that has not stored anything yet.
    """
    run = open_results(folder)
    scenario = run.scenario.to_yaml()
    return rendered(
        "page.html.jinja",
        **facts(run),
        name=run.name,
        question=run.scenario.question,
        notes=[*run.notes, *_idle(run)],
        scenario=scenario,
        scenario_file=f"data:text/yaml;base64,{base64.b64encode(scenario.encode()).decode()}",
        register=_register(run),
        tables=result_tables(run),
        comparisons=comparisons(run),
        pictures=_pictures(run),
        failures=run.results.failures,
        provenance=provenance(run),
        again=reproduction(run),
        version=version("poq-abm"),
    )


def rendered(template: str, **told: Any) -> str:
    """Return a template of the page filled with what is told."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  (only here)

    environment = Environment(
        loader=PackageLoader("poq_abm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= FILTERS
    return environment.get_template(template).render(told)


def _idle(run: StoredRun) -> list[str]:
    """Return which settings did nothing."""
    idle = idle_settings(run.scenario, run.scenario.treatments())
    return [f"{found.path} did nothing: {found.message}" for found in idle.warnings]


def _register(run: StoredRun) -> Table:
    columns = [Heading("status"), Heading("about"), Heading("statement"), Heading("source")]
    rows = [[TableCell(text, text) for text in line] for line in assumptions(run)]
    return Table("Assumption register", columns, rows, [])


class _Picture(NamedTuple):
    """A figure as the page holds it."""

    kind: str
    title: str
    shows: str
    data: str  #: a data URI


def _pictures(run: StoredRun) -> list[_Picture]:
    """Return the figures that fit a run; those that cannot be drawn of it are left out."""
    found: list[_Picture] = []
    asked = [(kind, settings) for kind in figures().values() for settings in kind.fits(run)]
    with tempfile.TemporaryDirectory() as folder:
        for kind, settings in asked:
            try:
                figure = kind.draw(AnalysisRequest.of(run, **settings))
            except InputError:
                continue
            data = embedded(figure, Path(folder) / str(len(found)))
            shows = kind.shows.split(" (")[0]
            found.append(_Picture(kind.name, figure.get_suptitle(), shows, data))
    return found


def embedded(figure: Figure, stem: Path) -> str:
    """Return a figure as a data URI, as it is written beside ``stem``."""
    (path,) = write(figure, stem, ["svg"])
    if path.stat().st_size > MOST_BYTES:
        (path,) = write(figure, stem, ["png"])
    kind = "image/svg+xml" if path.suffix == ".svg" else "image/png"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
