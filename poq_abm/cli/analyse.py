"""``poq analyse``: a results folder as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from poq_abm.cli.options import Plugins, refuse_idle
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from poq_abm.analysis.reading import Opened

__all__ = ["analyse"]


class Asked(NamedTuple):
    """One table: what it says, and which options it heeds."""

    says: str
    takes: tuple[str, ...]


_NODES = ("treatment", "role", "group")
_AMOUNTS = (*_NODES, "by", "amount", "over")
#: what can be asked
TABLES = {
    "rewards": Asked(
        "distribution of rewards over nodes: moments, quantiles, Gini, Theil, HHI, Nakamoto",
        _AMOUNTS,
    ),
    "lorenz": Asked("Lorenz curves, point by point", _AMOUNTS),
    "alignment": Asked("rank correlation of reward with what a node is worth", _NODES),
    "explain": Asked(
        "every node's reward, or profit in an economy, split into what it was paid for", _NODES
    ),
    "difference": Asked(
        "the same for the difference of two treatments (--treatment, --against)",
        (*_NODES, "against"),
    ),
    "queries": Asked(
        "verification protocols: every measure of every treatment, with its interval",
        ("treatment",),
    ),
    "quality": Asked(
        "quality and latency of inference groups, and which are efficient", ("treatment", "group")
    ),
}


def analyse(
    context: typer.Context,
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
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
) -> None:
    """Say what a stored run means: distributions, alignment, and what rewards were paid for."""
    from poq_abm.analysis.reading import open_results, select  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    if table == "list":
        for name, one in TABLES.items():
            typer.echo(f"{name:<11} {one.says}")
        return None
    if table not in TABLES:
        raise InputError(f"no table {table!r}; {nearest(table, TABLES)}")
    refuse_idle(context, table, {name: one.takes for name, one in TABLES.items()})
    if not folder:
        raise InputError(f"poq analyse {table} needs a results folder")
    load_plugins(plugin)  # what was paid depends on what the behaviours report
    opened = open_results(folder)
    if table == "queries":
        found = select(opened.results.query_summary(every=True), treatment=treatment)
        return _print(found, opened.notes, csv=csv)
    _needs_rounds(opened, folder)
    if table == "difference":
        found = _difference(opened, treatment, against)
        found = select(found, role=role, group=group)
    else:
        from_accounts = amount in ("reward", "profit") or over == "operators"
        explains = table == "explain" and "accounts" in opened.results.tables
        paid = (table in ("rewards", "lorenz") and from_accounts) or explains
        rows = opened.results.accounts if paid else opened.results.nodes
        nodes = select(rows, treatment=treatment, role=role, group=group)
        found = _table(table, opened, nodes, role, by or ["role"], (amount, over))
    return _print(found, opened.notes, csv=csv)


def _print(found: pd.DataFrame, notes: Iterable[str], *, csv: bool) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    if csv:
        typer.echo(found.to_csv(index=False), nl=False)
    else:
        typer.echo(found.to_string(index=False, float_format=lambda value: f"{value:.6g}"))


def _needs_rounds(opened: Opened, folder: str) -> None:
    if "queries" in opened.results.tables:
        raise InputError(
            f"{folder} holds a run of verification protocols: nobody in it is paid for rounds; "
            "`poq analyse queries`, `poq compare` and `poq plot` take such a folder"
        )


def _table(
    name: str,
    opened: Opened,
    nodes: pd.DataFrame,
    role: str | None,
    by: list[str],
    held: tuple[str, str],
) -> pd.DataFrame:
    from poq_abm.analysis.alignment import reward_alignment  # noqa: PLC0415
    from poq_abm.analysis.rewards import lorenz_curves, reward_distribution  # noqa: PLC0415
    from poq_abm.analysis.sweeps import quality_against_cost  # noqa: PLC0415

    amount, over = held
    if name == "rewards":
        return reward_distribution(nodes, by=by, amount=amount, over=over)  # type: ignore[arg-type]
    if name == "lorenz":
        return lorenz_curves(nodes, by=by, amount=amount, over=over)  # type: ignore[arg-type]
    if name == "alignment":
        trace = opened.results.rounds if "rounds" in opened.results.tables else None
        return reward_alignment(nodes, role=role or "inference", rounds=trace)  # type: ignore[arg-type]
    if name == "explain":
        return _explained(opened, nodes)
    treatments = nodes["treatment"].astype(str).unique()
    if len(treatments) > 1:
        raise InputError(f"{len(treatments)} treatments; name one, --treatment {treatments[0]!r}")
    return quality_against_cost(nodes)


def _difference(opened: Opened, a: str | None, b: str | None) -> pd.DataFrame:
    from poq_abm.analysis.ledger import explain_difference  # noqa: PLC0415

    if a is None or b is None:
        raise InputError("a difference needs two treatments: --treatment A --against B")
    economy = "accounts" in opened.results.tables
    nodes = opened.results.accounts if economy else opened.results.nodes
    nodes = nodes[nodes["treatment"].astype(str).isin([a, b])]
    known = [str(name) for name in opened.results.treatments["treatment"]]
    for name in (a, b):
        if name not in known:
            raise InputError(f"no treatment {name!r}; {nearest(name, known)}")
    return explain_difference(_explained(opened, nodes), a, b)


def _explained(opened: Opened, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger of rewards, or of profits where the rows are an economy's accounts."""
    from poq_abm.analysis.ledger import explain  # noqa: PLC0415
    from poq_abm.analysis.profit_ledger import explain_profit  # noqa: PLC0415
    from poq_abm.analysis.reading import scenarios_of  # noqa: PLC0415

    scenarios = scenarios_of(opened.results)
    if "accounts" in opened.results.tables:
        return explain_profit(rows, scenarios)
    return explain(rows, scenarios)
