"""``poq validate``: says whether scenario files are right, and where they are wrong."""

from __future__ import annotations

from typing import Annotated

import typer

from poq_abm.cli.options import Plugins
from poq_abm.errors import InputError

__all__ = ["validate"]


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files or library names.")],
    plugin: Plugins = None,
) -> None:
    """Check scenario files against the schema and their profiles; report every mistake."""
    from poq_abm.cli.plan import gap_lines, warn  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    wrong = 0
    for file in files:
        try:
            plan = Plan.load(file)
        except InputError as error:
            wrong += 1
            typer.echo(str(error), err=True)
        else:
            warn(plan)
            count = len(plan.treatments)
            typer.echo(f"{file}: valid, {count} treatment{'s' * (count > 1)}")
            for line in gap_lines(plan):
                typer.echo(line)
    if wrong:
        raise typer.Exit(2)
