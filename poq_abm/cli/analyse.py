"""``poq analyse``: a results folder as a table."""

from __future__ import annotations

from typing import Annotated

import typer

from poq_abm.cli.options import AsCsv, AsJson, Plugins, refuse_idle
from poq_abm.errors import InputError, nearest

__all__ = ["analyse"]


def analyse(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="What to say, or `list`.")],
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="A results folder; or a profile: accuracy, cascade, composite."
        ),
    ] = "",
    treatment: Annotated[str | None, typer.Option(metavar="ID", help="Which treatment.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="ID", help="difference: the other treatment.")
    ] = None,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Nodes of one role.")] = None,
    group: Annotated[str | None, typer.Option(metavar="GROUP", help="Nodes of one group.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", help="What tells nodes apart; may be repeated."),
    ] = None,
    amount: Annotated[
        str,
        typer.Option(
            metavar="reward_total|reward_mean|reward|profit",
            help="Per run, or per job; of economies, tokens paid, or profit.",
        ),
    ] = "reward_total",
    over: Annotated[
        str, typer.Option(metavar="nodes|operators", help="Whose amounts (economies).")
    ] = "nodes",
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say what a stored run means: distributions, alignment, and what rewards were paid for."""
    from poq_abm.analysis.questions import AnalysisRequest, make, tables  # noqa: PLC0415
    from poq_abm.cli.printing import print_data, print_frame, print_listing  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    known = tables()
    if table == "list":
        says = {name: kind.says for name, kind in known.items()}
        print_listing("tables", says, "says", as_json=as_json, as_csv=as_csv)
        return
    if table not in known:
        raise InputError(f"no table {table!r}; {nearest(table, known)}")
    refuse_idle(context, table, {name: kind.takes for name, kind in known.items()})
    if not folder:
        raise InputError(f"poq analyse {table} needs a results folder")
    load_plugins(plugin)  # what was paid depends on what the behaviours report
    request = AnalysisRequest(
        folder, treatment, against, role, group, by or (), amount=amount, over=over
    )
    found = make(table, request)
    of_profile = known[table].of_profiles and not request.is_run
    for note in () if of_profile else request.run.notes:
        typer.echo(f"note: {note}", err=True)
    if not print_data({table: found}, as_json=as_json, as_csv=as_csv):
        print_frame(found)
