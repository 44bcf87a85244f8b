"""``poq reproduce``: published figures beside what the simulation gives."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import AsCsv, AsJson, Jobs, refuse_idle
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.analysis.reproduce.checks import Check
    from poq_abm.analysis.reproduce.posterior import UnknownConstants

__all__ = ["reproduce"]

_DRAWS, _KEEP = 1_000_000, 200


def reproduce(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help="cost-aware, robust or otr.")],
    replications: Annotated[
        int | None,
        typer.Option(min=2, help="Independent repetitions; default: 100, or 20 (robust, otr)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Key of every random draw.")] = 1,
    jobs: Jobs = 1,
    posterior: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write what the figures leave open of constants the paper does not state, as a "
            "table for `sweep: {from: FILE.csv}`, in place of the check.",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=2, help="Draws from the prior.")] = _DRAWS,
    keep: Annotated[int, typer.Option(min=2, help="Draws kept: those that come nearest.")] = _KEEP,
    open_quality: Annotated[
        bool,
        typer.Option("--open-quality", help="With --posterior: quality is not known either."),
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Recompute every number of a published study; exit code 1 if one is not as documented."""
    from poq_abm.analysis.reproduce.checks import published_studies  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
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
    if posterior is not None:
        assert chosen.questions is not None
        _refuse_existing(posterior)
        asked = chosen.questions(max(count, 4), seed, jobs, open_quality=open_quality)
        _write_posterior(study, posterior, asked, draws, keep, seed, as_json=as_json, as_csv=as_csv)
        return
    idle = {"--draws": draws != _DRAWS, "--keep": keep != _KEEP, "--open-quality": open_quality}
    for name in [name for name, given in idle.items() if given]:
        raise InputError(f"{name} does nothing without --posterior")
    checks = chosen.checks(count, seed, jobs)
    missed = sum(not check.as_documented for check in checks)
    if not print_data({"checks": _as_frame(checks)}, as_json=as_json, as_csv=as_csv):
        print_checks(checks)
        _say(checks, chosen.note(), missed)
    if missed:
        raise typer.Exit(1)


def _as_frame(checks: list[Check]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame([{**asdict(check), "status": check.status} for check in checks])


def _say(checks: list[Check], note: str, missed: int) -> None:
    """Print how many figures are as documented, of each kind."""
    from poq_abm.cli.printing import say  # noqa: PLC0415

    for part in re.split(r"\n(?=  )", note):  # a list in it begins its lines with blanks
        say(part, indent=4 * part.startswith("  "))
    say(f"{len(checks)} figures: {_counted(checks)}.", indent=2)
    kinds = list(dict.fromkeys(check.figure for check in checks))
    for kind in kinds if len(kinds) > 1 else ():
        own = [check for check in checks if check.figure == kind]
        say(f"  {kind}, {len(own)}: {_counted(own)}.", indent=4)
    if missed:
        typer.echo(f"{missed} of them are not as documented (in capitals).")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise InputError(f"{path} exists; a posterior is never overwritten")


def _write_posterior(
    study: str,
    path: Path,
    asked: tuple[list[UnknownConstants], str],
    draws: int,
    keep: int,
    seed: int,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Sample what a study's figures leave open; write the sample, and say what they identify."""
    from poq_abm.analysis.reproduce.posterior import (  # noqa: PLC0415
        identified,
        posterior,
        write_posterior,
    )
    from poq_abm.cli.printing import print_data, say  # noqa: PLC0415
    from poq_abm.cli.tables import print_posterior  # noqa: PLC0415

    found = posterior(asked[0], draws, keep, seed, asked[1])
    write_posterior(found, path, study)
    told = identified(found)
    if print_data({"constants": told}, as_json=as_json, as_csv=as_csv):
        return
    print_posterior(told)
    say(
        f"{keep:,} of {draws:,} draws kept; the farthest misses a figure by {found.distance:.2g} "
        f"times its rounding. {found.said}"
    )
    typer.echo(f"Posterior: {path}")


def _counted(checks: list[Check]) -> str:
    from poq_abm.analysis.reproduce.checks import status_counts  # noqa: PLC0415

    return ", ".join(f"{count} {status}" for status, count in status_counts(checks).items())
