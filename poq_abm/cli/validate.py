"""``poq validate``: says whether scenario files are right, and where they are wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poq_abm.cli.options import AsCsv, AsJson, Plugins, Settings
from poq_abm.errors import InputError

if TYPE_CHECKING:
    from poq_abm.scenario.checks.problems import Problem

__all__ = ["validate"]


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files or library names.")],
    settings: Settings = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Check scenario files against the schema and their profiles; report every mistake."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.plan import gap_lines, warn  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415
    from poq_abm.scenario.checks.problems import Place, Problem, ScenarioError  # noqa: PLC0415

    load_plugins(plugin)
    for_program = as_json or as_csv
    checked: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    for file in files:
        try:
            plan = Plan.load(file, settings or [])
        except InputError as error:
            alone = [Problem(Place(file), "", str(error))]
            problems += _rows(
                "mistake", error.problems if isinstance(error, ScenarioError) else alone
            )
            checked.append({"file": file, "valid": False, "treatments": None})
            if not for_program:
                typer.echo(str(error), err=True)
        else:
            count = len(plan.treatments)
            problems += _rows("warning", plan.warnings)
            checked.append({"file": file, "valid": True, "treatments": count})
            if not for_program:
                warn(plan)
                typer.echo(f"{file}: valid, {count} treatment{'s' * (count > 1)}")
                for line in gap_lines(plan):
                    typer.echo(line)
    columns = ["kind", "file", "line", "path", "message"]
    found = pd.DataFrame(problems, columns=columns).astype({"line": "Int64"})
    tables = {"problems": found, "files": pd.DataFrame(checked)}
    print_data(tables, as_json=as_json, as_csv=as_csv)
    if not all(row["valid"] for row in checked):
        raise typer.Exit(2)


def _rows(kind: str, problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as rows of a table."""
    return [
        {"kind": kind, "file": one.place.file, "line": one.place.line, "path": one.path,
         "message": one.message}
        for one in problems
    ]  # fmt: skip
