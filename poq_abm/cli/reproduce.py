"""``poq reproduce``: published figures beside what the simulation gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import Jobs, refuse_idle
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    from poq_abm.analysis.reproduction import Check

__all__ = ["reproduce"]

#: the studies, and the options that each heeds besides its seed
STUDIES = {
    "cost-aware": ("replications", "jobs"),
    "robust": ("replications", "jobs"),
    "otr": ("replications",),
}
_USUAL = {"cost-aware": 100, "robust": 20, "otr": 20}  # replications
_LEAST = {"cost-aware": 2, "robust": 10, "otr": 10}  # fewer leave intervals without a sign

COST_AWARE_NOTE = """\
The profile `published` was fitted to Table 4 and Figure 4: `solved for`. Agreement shows that the
mechanism is computed as published; it is a check of the calibration and no independent evidence for
the figures. The coefficients alpha = 1 and beta = 0.3 are assumed: the paper does not state them,
and Table 4 fixes only alpha Q - beta C. With alpha = 1, all of these fit it exactly:"""

ROBUST_NOTE = """\
Of arXiv 2601.21189 only the abstract and three formulas are known to us. Claims are checked as
signs of paired differences on synthetic evaluators; consequences follow by hand from the formulas.
Noise, sabotage, trimming and weighting are our reconstruction, and all constants are our defaults.
Task inversion is built into its profile: that check shows what it does, not that it occurs. Where
the claim of better alignment does not hold (symmetric noise of our size), the row says
`contradicted`. `reproduced` here means: by synthetic evaluators, not by the paper's."""

OTR_NOTE = """\
Of arXiv 2512.20176 the abstract is known to us, and what its authors' blog says; its theorems and
its simulation are not. Most claims hold because an input was solved for so that they do, or is the
claim itself; where two ask for different inputs, one is contradicted under that of the other, with
the arithmetic. Consequences hold the simulation to our own formulas and are no figures of the
paper. Our defaults are those of `poq run verification_trilemma`, where nothing is chosen to agree.
Proof cost and proof time are inferred; watchers, stakes and the window are assumed. Every tolerance
that covers chance is 4.5 standard errors: a correct simulation misses any of them under any of 8
seeds with a chance of about 0.1%."""


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
    if study not in STUDIES:
        raise InputError(f"unknown study {study!r}; {nearest(study, STUDIES)}")
    refuse_idle(context, study, STUDIES)
    count = _USUAL[study] if replications is None else replications
    if count < _LEAST[study]:
        raise InputError(
            f"--replications {count}: {study} needs {_LEAST[study]} or more for its intervals"
        )
    from poq_abm.cli.progress import announce_compilation  # noqa: PLC0415
    from poq_abm.cli.tables import print_checks  # noqa: PLC0415

    announce_compilation()
    if study == "robust":
        checks, note = _robust(count, seed, jobs), ROBUST_NOTE
    elif study == "otr":
        checks, note = _otr(count, seed), OTR_NOTE
    else:
        checks, note = _cost_aware(count, seed, jobs), COST_AWARE_NOTE
    print_checks(checks)
    typer.echo(note)
    if study == "cost-aware":
        _print_family()
    typer.echo(f"{len(checks)} figures: {_counted(checks)}.")
    kinds = list(dict.fromkeys(check.figure for check in checks))
    for kind in kinds if len(kinds) > 1 else ():
        own = [check for check in checks if check.figure == kind]
        typer.echo(f"  {kind}, {len(own)}: {_counted(own)}.")
    if missed := sum(not check.as_documented for check in checks):
        typer.echo(f"{missed} of them are not as documented (in capitals).")
        raise typer.Exit(1)


def _print_family() -> None:
    """Print the coefficients that Table 4 does not tell apart, and what each implies."""
    from poq_abm.profile.published_figures import coefficient_family  # noqa: PLC0415

    for row in coefficient_family():
        symbol, what = ("F", "quality") if row.role == "inference" else ("M", "closeness")
        means = ", ".join(f"{name} {value:.3f}" for name, value in row.implied.items())
        ruled_out = "" if row.admissible else " (no scores have such means)"
        typer.echo(f"  beta_{symbol} = {row.beta:g}: mean {what} {means}{ruled_out}")


def _counted(checks: list[Check]) -> str:
    from poq_abm.analysis.reproduction import status_counts  # noqa: PLC0415

    return ", ".join(f"{count} {status}" for status, count in status_counts(checks).items())


def _robust(replications: int, seed: int, jobs: int) -> list[Check]:
    from poq_abm.analysis.robust import robust_checks  # noqa: PLC0415

    return robust_checks(replications, jobs, seed)


def _otr(replications: int, seed: int) -> list[Check]:
    from poq_abm.analysis.otr import otr_checks  # noqa: PLC0415

    return otr_checks(replications, seed)


def _cost_aware(replications: int, seed: int, jobs: int) -> list[Check]:
    from poq_abm.analysis.reproduction import cost_aware_checks  # noqa: PLC0415
    from poq_abm.experiment.running import run  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415
    from poq_abm.scenario import load  # noqa: PLC0415

    scenario = load("cost_aware_poq", [f"replications={replications}", f"seed={seed}"])
    profile = load_profile(scenario.profile)
    results = run(scenario, n_jobs=jobs, profile=profile)
    return cost_aware_checks(results.nodes, profile)
