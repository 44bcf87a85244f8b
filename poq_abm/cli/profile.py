"""``poq profile ...``: what a population draws from, looked at without playing it."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["profile"]

profile = typer.Typer(
    name="profile",
    help="List, show, compare and validate profiles: the tables that agents draw from.",
    no_args_is_help=True,
)

Which = Annotated[
    str, typer.Argument(metavar="PROFILE", help="A name from `poq profile list`, or a folder.")
]


@profile.command("list")
def list_() -> None:
    """List the profiles that ship, with their size and one sentence on each."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.profile import load_profile, profile_names  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "records", "models", "evaluators", "what it is"):
        table.add_column(heading)
    for name in profile_names():
        loaded = load_profile(name)
        sizes = (f"{size:,}" for size in loaded.scores.shape)
        table.add_row(name, *sizes, escape(str(loaded.provenance.get("summary", ""))))
    output_console().print(table)


@profile.command()
def show(
    name: Which,
    resamples: Annotated[
        int, typer.Option(min=20, help="Bootstrap resamples behind every interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Key of the resamples.")] = 1,
) -> None:
    """Show tasks, sizes, models, evaluators, costs, correlations and where variance comes from."""
    from poq_abm.analysis.evaluator_correlation import correlation_table  # noqa: PLC0415
    from poq_abm.analysis.quality_latency import quality_against_latency  # noqa: PLC0415
    from poq_abm.analysis.variance import variance_shares  # noqa: PLC0415
    from poq_abm.cli import profile_tables as tables  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415

    loaded = load_profile(name)
    tables.print_head(loaded)
    tables.print_costs(loaded)
    correlations = correlation_table(loaded, resamples=resamples, seed=seed)
    tables.print_correlations(correlations.dropna(subset="correlation"))
    tables.print_qualities(quality_against_latency(loaded, resamples=resamples, seed=seed))
    tables.print_shares(
        variance_shares(loaded, resamples=resamples, seed=seed).dropna(subset="share")
    )
    typer.echo(f"Intervals: 95%, records resampled {resamples:,} times within their tasks.")


@profile.command()
def compare(first: Which, second: Which) -> None:
    """Say what differs between two profiles: names, records, means, cells and costs."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415
    from poq_abm.profile.differences import differences  # noqa: PLC0415

    found = differences(load_profile(first), load_profile(second))
    if not found:
        typer.echo("The profiles are the same.")
        return
    table = Table()
    for heading in ("what differs", first, second):
        table.add_column(escape(heading), overflow="fold")
    for difference in found:
        table.add_row(*map(escape, difference))
    output_console().print(table)


@profile.command()
def validate(
    folders: Annotated[
        list[str], typer.Argument(metavar="PROFILE...", help="Folders, or names that ship.")
    ],
) -> None:
    """Check profile folders; report every fault."""
    from poq_abm.profile.profile import folder_of  # noqa: PLC0415
    from poq_abm.profile.validity import profile_faults  # noqa: PLC0415

    wrong = 0
    for name in folders:
        faults = profile_faults(folder_of(name))
        for fault in faults:
            typer.echo(f"{name}: {fault}", err=True)
        if faults:
            wrong += 1
        else:
            typer.echo(f"{name}: valid")
    if wrong:
        raise typer.Exit(2)
