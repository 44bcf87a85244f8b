"""``poq analyse``: a results folder as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import Plugins
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.analysis.reading import Opened

__all__ = ["analyse"]

#: what can be asked, and what it says
TABLES = {
    "rewards": "distribution of rewards over nodes: moments, quantiles, Gini, Theil, HHI, Nakamoto",
    "lorenz": "Lorenz curves, point by point",
    "alignment": "rank correlation of reward with what a node is worth",
    "explain": "every node's reward split into what it was paid for",
    "difference": "the same for the difference of two treatments (--treatment, --against)",
    "queries": "verification protocols: every measure of every treatment, with its interval",
    "quality": "quality and latency of inference groups, and which are efficient",
}


def analyse(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="What to say, or `list`.")],
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A results folder.")] = "",
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
        str, typer.Option(metavar="reward_total|reward_mean", help="Per run, or per job.")
    ] = "reward_total",
    plugin: Plugins = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
) -> None:
    """Say what a stored run means: distributions, alignment, and what rewards were paid for."""
    from poq_abm.analysis.reading import open_results, select  # noqa: PLC0415
    from poq_abm.behaviour.resolving import load_plugins  # noqa: PLC0415

    if table == "list":
        for name, says in TABLES.items():
            typer.echo(f"{name:<11} {says}")
        return
    if table not in TABLES:
        raise InputError(f"no table {table!r}; {nearest(table, TABLES)}")
    if not folder:
        raise InputError(f"poq analyse {table} needs a results folder")
    load_plugins(plugin)  # what was paid depends on what the behaviours report
    opened = open_results(folder)
    if table == "queries":
        found = select(opened.results.query_summary(every=True), treatment=treatment)
    elif table == "difference":
        found = _difference(opened, treatment, against)
        found = select(found, role=role, group=group)
    else:
        nodes = select(opened.results.nodes, treatment=treatment, role=role, group=group)
        found = _table(table, opened, nodes, role, by or ["role"], amount)
    for note in opened.notes:
        typer.echo(f"note: {note}", err=True)
    if csv:
        typer.echo(found.to_csv(index=False), nl=False)
    else:
        typer.echo(found.to_string(index=False, float_format=lambda value: f"{value:.6g}"))


def _table(
    name: str, opened: Opened, nodes: pd.DataFrame, role: str | None, by: list[str], amount: str
) -> pd.DataFrame:
    from poq_abm.analysis.alignment import reward_alignment  # noqa: PLC0415
    from poq_abm.analysis.ledger import explain  # noqa: PLC0415
    from poq_abm.analysis.reading import scenarios_of  # noqa: PLC0415
    from poq_abm.analysis.rewards import lorenz_curves, reward_distribution  # noqa: PLC0415
    from poq_abm.analysis.sweeps import quality_against_cost  # noqa: PLC0415

    if name == "rewards":
        return reward_distribution(nodes, by=by, amount=amount)  # type: ignore[arg-type]
    if name == "lorenz":
        return lorenz_curves(nodes, by=by, amount=amount)  # type: ignore[arg-type]
    if name == "alignment":
        trace = opened.results.rounds if "rounds" in opened.results.tables else None
        return reward_alignment(nodes, role=role or "inference", rounds=trace)  # type: ignore[arg-type]
    if name == "explain":
        return explain(nodes, scenarios_of(opened.results))
    treatments = nodes["treatment"].astype(str).unique()
    if len(treatments) > 1:
        raise InputError(f"{len(treatments)} treatments; name one, --treatment {treatments[0]!r}")
    return quality_against_cost(nodes)


def _difference(opened: Opened, a: str | None, b: str | None) -> pd.DataFrame:
    from poq_abm.analysis.ledger import explain, explain_difference  # noqa: PLC0415
    from poq_abm.analysis.reading import scenarios_of  # noqa: PLC0415

    if a is None or b is None:
        raise InputError("a difference needs two treatments: --treatment A --against B")
    nodes = opened.results.nodes
    nodes = nodes[nodes["treatment"].astype(str).isin([a, b])]
    known = [str(name) for name in opened.results.treatments["treatment"]]
    for name in (a, b):
        if name not in known:
            raise InputError(f"no treatment {name!r}; {nearest(name, known)}")
    return explain_difference(explain(nodes, scenarios_of(opened.results)), a, b)
