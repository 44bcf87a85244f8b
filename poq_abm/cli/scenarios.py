"""``poq scenarios``: the library, one line each, and the schema of a file."""

from __future__ import annotations

from typing import Annotated

import typer

from poq_abm.cli.options import Plugins

__all__ = ["scenarios"]


def scenarios(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a scenario file instead.")
    ] = False,
    plugin: Plugins = None,
) -> None:
    """List the scenarios that ship, with the question each one answers."""
    if schema:
        _print_schema(plugin)
        return
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.scenario import load, scenario_names  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False)
    for name in scenario_names():
        table.add_row(name, load(name).question)
    output_console().print(table)


def _print_schema(plugin: list[str] | None) -> None:
    import json  # noqa: PLC0415

    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415
    from poq_abm.scenario.schema.key_reference import json_schema  # noqa: PLC0415

    load_plugins(plugin)
    typer.echo(json.dumps(json_schema(), indent=2))
