"""``poq scenarios``: the library, one line each, and the schema of a file."""

from __future__ import annotations

from typing import Annotated

import typer

from poq_abm.cli.options import AsCsv, AsJson, Plugins
from poq_abm.errors import InputError

__all__ = ["scenarios"]


def scenarios(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a scenario file instead.")
    ] = False,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List the scenarios that ship, with the question each one answers."""
    if schema:
        if as_json or as_csv:
            raise InputError(
                "--schema prints JSON Schema and nothing else: leave --json, --csv out"
            )
        _print_schema(plugin)
        return
    if plugin:
        raise InputError("--plugin does nothing without --schema, which has its rules")
    from poq_abm.cli.printing import print_listing  # noqa: PLC0415
    from poq_abm.scenario import load, scenario_names  # noqa: PLC0415

    asked = {name: load(name).question for name in scenario_names()}
    print_listing("scenarios", asked, "question", as_json=as_json, as_csv=as_csv)


def _print_schema(plugin: list[str] | None) -> None:
    import json  # noqa: PLC0415

    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415
    from poq_abm.scenario.schema.key_reference import json_schema  # noqa: PLC0415

    load_plugins(plugin)
    typer.echo(json.dumps(json_schema(), indent=2))
