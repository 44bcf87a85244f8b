"""The page itself: one HTML file that opens from disk and asks no network for anything."""

from __future__ import annotations

import base64
import os
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import poq_abm
from poq_abm.analysis.stored_run import StoredRun, open_results
from poq_abm.errors import InputError
from poq_abm.experiment.files import write_text
from poq_abm.report.assumptions import assumptions
from poq_abm.report.comparisons import comparisons
from poq_abm.report.figures import pictures
from poq_abm.report.methods import methods
from poq_abm.report.odd import Element, odd
from poq_abm.report.provenance import provenance, reproduction
from poq_abm.report.tables import Cell, Column, Table, result_tables
from poq_abm.scenario.checks.idle import idle_settings

__all__ = ["report_page", "write_report"]


def write_report(folder: str | os.PathLike[str], out: Path | None = None) -> Path:
    """Write the report of a results folder; default: ``report.html`` inside it.

    Raises
    ------
    InputError
        If the folder is no run, or the file cannot be written.
    """
    path = out or Path(folder) / "report.html"
    text = report_page(folder)
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
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415  (only here)

    run = open_results(folder)
    here = files("poq_abm.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string((here / "page.html").read_text(encoding="utf-8"))
    scenario = run.scenario.to_yaml()
    return template.render(
        name=run.name,
        question=run.scenario.question,
        notes=[*run.notes, *_idle(run)],
        style=(here / "style.css").read_text(encoding="utf-8"),
        script=(here / "sort.js").read_text(encoding="utf-8"),
        scenario=scenario,
        scenario_file=f"data:text/yaml;base64,{base64.b64encode(scenario.encode()).decode()}",
        register=_register(run),
        tables=result_tables(run),
        comparisons=comparisons(run),
        pictures=pictures(run),
        methods=methods(run),
        odd=[(part, list(elements)) for part, elements in groupby(odd(run), _part)],
        failures=run.results.failures,
        provenance=provenance(run),
        again=reproduction(run),
        version=poq_abm.__version__,
    )


def _idle(run: StoredRun) -> list[str]:
    """Return which settings did nothing."""
    idle = idle_settings(run.scenario, run.scenario.treatments())
    return [f"{found.path} did nothing: {found.message}" for found in idle.warnings]


def _part(element: Element) -> str:
    return element.part


def _register(run: StoredRun) -> Table:
    columns = [Column("status"), Column("about"), Column("statement"), Column("source")]
    rows = [[Cell(text, text) for text in line] for line in assumptions(run)]
    return Table("Assumption register", columns, rows, [])
