"""``poq reproduce``: published figures beside what the simulation gives."""

from __future__ import annotations

from typing import Annotated

import typer

from poq_abm.cli.options import Jobs
from poq_abm.errors import InputError, nearest

__all__ = ["reproduce"]

STUDIES = ("cost-aware",)

NOTE = """\
The profile `published` was fitted to Table 4 and Figure 4. Agreement shows that the mechanism is
computed as published; it is a check of the calibration and no independent evidence for the figures.
The coefficients alpha = 1 and beta = 0.3 are inferred: the paper does not state them."""


def reproduce(
    study: Annotated[str, typer.Argument(help="Which study: cost-aware.")],
    replications: Annotated[int, typer.Option(min=2, help="Independent repetitions.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Key of every random draw.")] = 1,
    jobs: Jobs = 1,
) -> None:
    """Recompute every number of a published study; exit code 1 if one misses its tolerance."""
    if study not in STUDIES:
        raise InputError(f"unknown study {study!r}; {nearest(study, STUDIES)}")
    from poq_abm.analysis.reproduction import cost_aware_checks  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation  # noqa: PLC0415
    from poq_abm.cli.tables import print_checks  # noqa: PLC0415
    from poq_abm.experiment.results import run  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415
    from poq_abm.scenario import load  # noqa: PLC0415

    announce_compilation()
    scenario = load("cost_aware_poq", [f"replications={replications}", f"seed={seed}"])
    profile = load_profile(scenario.profile)
    results = run(scenario, n_jobs=jobs, profile=profile)
    checks = cost_aware_checks(results.nodes, profile)
    print_checks(checks)
    typer.echo(NOTE)
    missed = sum(not check.passes for check in checks)
    typer.echo(f"{len(checks) - missed} of {len(checks)} figures agree.")
    if missed:
        raise typer.Exit(1)
