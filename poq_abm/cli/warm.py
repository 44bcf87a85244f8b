"""``poq warm``: compiles, once, whatever code the scenarios that ship are played by."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.errors import InputError

if TYPE_CHECKING:
    from poq_abm.experiment.study import Engine

__all__ = ["warm"]

_FEW_ROUNDS = 50_000  # more take agents and a trace longer than the code takes to compile
#: one of each kind of game first, so that workers do not compile the same loops side by side
_FIRST = ("cost_aware_poq", "entry_exit", "adversary_sweep", "hybrid_poq_otr", "trust_saturation")


def warm(
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Processes that compile side by side.")
    ] = os.cpu_count() or 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the compiled code is kept, for NUMBA_CACHE_DIR to name when it is used.",
        ),
    ] = None,
) -> None:
    """Compile all code that plays rounds, so that no later run has to wait for it.

    Every scenario that ships is played once, and nothing of it is kept but the compiled code. What
    is compiled already is not compiled again.
    """
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {str(out)!r}: {error}") from error
        os.environ["NUMBA_CACHE_DIR"] = str(out.resolve())
    from concurrent.futures import ProcessPoolExecutor, as_completed  # noqa: PLC0415
    from multiprocessing import get_context  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from poq_abm.compiler import cache_folder  # noqa: PLC0415

    names = _names()
    console = Console(stderr=True)
    # Processes begun afresh read the folder's name before they import Numba.
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool,
    ):
        task = bar.add_task("compiling", total=len(names))
        for played in as_completed([pool.submit(_play, name) for name in names]):
            bar.update(task, advance=1, description=f"compiled for {played.result()}")
    kept = out or cache_folder()
    where = f"kept in {kept}" if kept else "not kept: no folder for it can be written"
    typer.echo(f"The compiled code of {len(names)} scenario{'s' * (len(names) > 1)} is {where}")


def _names() -> list[str]:
    from poq_abm.scenario import scenario_names  # noqa: PLC0415

    return [*_FIRST, *(name for name in scenario_names() if name not in _FIRST)]


def _play(name: str) -> str:
    """Play a scenario that ships once, with a trace where it is short; return its name."""
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.experiment.running import run  # noqa: PLC0415
    from poq_abm.scenario import load  # noqa: PLC0415

    scenario = load(name)
    kinds: list[tuple[Engine, bool]] = [("compiled", False)]
    if Plan.of(scenario).rounds <= _FEW_ROUNDS * scenario.most_replications:
        kinds += [("compiled", True), ("agents", False)]
    for engine, trace in kinds:
        run(scenario, replications=1, engine=engine, trace=trace)
    return name
