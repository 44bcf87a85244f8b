"""``poq scenarios``: the library, one line each."""

from __future__ import annotations

from rich.table import Table

__all__ = ["scenarios"]


def scenarios() -> None:
    """List the scenarios that ship, with the question each one answers."""
    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.scenario import load, scenario_names  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False)
    for name in scenario_names():
        table.add_row(name, load(name).question)
    output_console().print(table)
