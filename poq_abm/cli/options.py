"""Arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.errors import InputError

if TYPE_CHECKING:
    from poq_abm.experiment.executor import Workers

__all__ = [
    "AsCsv",
    "AsJson",
    "BackendName",
    "ComputeCost",
    "EngineName",
    "Jobs",
    "Plugins",
    "Replications",
    "ResampleProfile",
    "Rounds",
    "ScenarioArgument",
    "Scheduler",
    "Seed",
    "Settings",
    "refuse_idle",
    "shipped_names",
    "workers_of",
]


def shipped_names(begun: str) -> list[str]:
    """Return what a shell may complete the name of a scenario to."""
    from poq_abm.scenario.library import scenario_names  # noqa: PLC0415

    return [name for name in scenario_names() if name.startswith(begun)]


ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A name from `poq scenarios`, or a file.",
        autocompletion=shipped_names,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Set any field; may be repeated."),
]
Replications = Annotated[int | None, typer.Option(help="Independent repetitions.")]
ResampleProfile = Annotated[
    bool,
    typer.Option(
        "--resample-profile",
        help="Play on resampled records too, for intervals with the calibration's error.",
    ),
]
Rounds = Annotated[int | None, typer.Option(help="Rounds of one replication.")]
Seed = Annotated[int | None, typer.Option(help="Key of every random draw.")]
Jobs = Annotated[int, typer.Option(min=1, help="Workers; the results do not depend on them.")]
BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="threading|loky|dask",
        help="Kind of worker; default: threads, or processes for the agents.",
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, as tcp://HOST:PORT.")
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        help="A module with rules or metrics of your own; may be repeated.",
    ),
]
ComputeCost = Annotated[
    float,
    typer.Option(
        help="Tokens that running a model of cost C = 1 takes for a job; lazy nodes save it."
    ),
]


def _alone(context: typer.Context, wanted: bool) -> bool:
    """Refuse a second encoding before anything is played."""
    if wanted and any(context.params.get(name) for name in ("as_json", "as_csv")):
        raise InputError("--json and --csv: choose one")
    return wanted


AsJson = Annotated[bool, typer.Option("--json", callback=_alone, help="Print every table as JSON.")]
AsCsv = Annotated[
    bool, typer.Option("--csv", callback=_alone, help="Print the (first) table as CSV.")
]
EngineName = Annotated[
    str, typer.Option(metavar="compiled|agents", help="Who plays; the results are the same bits.")
]


def refuse_idle(context: typer.Context, kind: str, takes: Mapping[str, Collection[str]]) -> None:
    """Refuse an option that was given and does nothing for the kind of thing that was asked for.

    ``takes`` says by kind which parameters it heeds; parameters that no kind names belong to the
    verb and always act. What was left at its default was not given.

    Raises
    ------
    InputError
        For the first idle option; the message names the kinds that take it.
    """
    declared = {name for names in takes.values() for name in names}
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        # By its name: Typer brings a click of its own, whose enumeration is another.
        given = source is not None and source.name == "COMMANDLINE"
        if given and name in declared and name not in takes[kind]:
            able = [one for one, names in takes.items() if name in names]
            verb = f"poq {context.info_name}"
            raise InputError(
                f"{parameter.opts[0]} does nothing in `{verb} {kind}`; "
                f"{', '.join(able)} take{'s' * (len(able) == 1)} it"
            )


def workers_of(jobs: int, backend: str | None, scheduler: str | None) -> Workers:
    """Return the workers asked for, or raise."""
    from poq_abm.experiment.executor import Workers, backend_of  # noqa: PLC0415

    if scheduler is not None and backend != "dask":
        raise InputError("--scheduler does nothing without --backend dask")
    return Workers(jobs, backend_of(backend) if backend else None, scheduler)
