"""``poq scenarios``: the library, one line each, and the schema of a file."""

from __future__ import annotations

from textwrap import fill
from typing import Annotated

import typer

from poq_abm.cli.options import AsCsv, AsJson, Plugins

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
        _print_schema(plugin)
        return
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.printing import output_console, print_data  # noqa: PLC0415
    from poq_abm.scenario import load, scenario_names  # noqa: PLC0415

    names = scenario_names()
    listed = pd.DataFrame({"name": names, "question": [load(name).question for name in names]})
    if print_data({"scenarios": listed}, as_json=as_json, as_csv=as_csv):
        return
    width, room = output_console().width, max(map(len, names)) + 2
    for name, question in listed.itertuples(index=False):
        typer.echo(fill(question, width, initial_indent=name.ljust(room),
                        subsequent_indent=" " * room))  # fmt: skip


def _print_schema(plugin: list[str] | None) -> None:
    import json  # noqa: PLC0415

    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415
    from poq_abm.scenario.schema.key_reference import json_schema  # noqa: PLC0415

    load_plugins(plugin)
    typer.echo(json.dumps(json_schema(), indent=2))
