"""``poq reproduce``: published figures beside what the simulation gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import Jobs, refuse_idle
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    from poq_abm.analysis.reproduce.checks import Check

__all__ = ["reproduce"]


def reproduce(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help="cost-aware, robust or otr.")],
    replications: Annotated[
        int | None,
        typer.Option(min=2, help="Independent repetitions; default: 100, or 20 (robust, otr)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Key of every random draw.")] = 1,
    jobs: Jobs = 1,
) -> None:
    """Recompute every number of a published study; exit code 1 if one is not as documented."""
    from poq_abm.analysis.reproduce.checks import published_studies  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation  # noqa: PLC0415
    from poq_abm.cli.tables import print_checks  # noqa: PLC0415

    studies = published_studies()
    if study not in studies:
        raise InputError(f"unknown study {study!r}; {nearest(study, studies)}")
    refuse_idle(context, study, {name: one.takes for name, one in studies.items()})
    chosen = studies[study]
    count = chosen.usual if replications is None else replications
    if count < chosen.least:
        raise InputError(
            f"--replications {count}: {study} needs {chosen.least} or more for its intervals"
        )
    announce_compilation()
    checks = chosen.checks(count, seed, jobs)
    print_checks(checks)
    typer.echo(chosen.note())
    typer.echo(f"{len(checks)} figures: {_counted(checks)}.")
    kinds = list(dict.fromkeys(check.figure for check in checks))
    for kind in kinds if len(kinds) > 1 else ():
        own = [check for check in checks if check.figure == kind]
        typer.echo(f"  {kind}, {len(own)}: {_counted(own)}.")
    if missed := sum(not check.as_documented for check in checks):
        typer.echo(f"{missed} of them are not as documented (in capitals).")
        raise typer.Exit(1)


def _counted(checks: list[Check]) -> str:
    from poq_abm.analysis.reproduce.checks import status_counts  # noqa: PLC0415

    return ", ".join(f"{count} {status}" for status, count in status_counts(checks).items())
