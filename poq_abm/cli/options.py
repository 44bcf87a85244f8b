"""Arguments that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "EngineName",
    "Jobs",
    "Plugins",
    "Replications",
    "Rounds",
    "ScenarioArgument",
    "Seed",
    "Settings",
]

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A name from `poq scenarios`, or a file.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Set any field; may be repeated."),
]
Replications = Annotated[int | None, typer.Option(help="Independent repetitions.")]
Rounds = Annotated[int | None, typer.Option(help="Rounds of one replication.")]
Seed = Annotated[int | None, typer.Option(help="Key of every random draw.")]
Jobs = Annotated[int, typer.Option(min=1, help="Workers; the results do not depend on them.")]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin", metavar="MODULE", help="A module with behaviours of your own; may be repeated."
    ),
]
EngineName = Annotated[
    str, typer.Option(metavar="compiled|agents", help="Who plays; the results are the same bits.")
]
