"""``poq profile ...``: what a population draws from, looked at without playing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poq_abm.cli.options import AsCsv, AsJson
from poq_abm.errors import InputError

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
def list_(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the profiles that ship, with their size and one sentence on each."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.printing import print_data, print_frame  # noqa: PLC0415
    from poq_abm.profile import load_profile, profile_names  # noqa: PLC0415

    rows = []
    for loaded in map(load_profile, profile_names()):
        sizes = dict(zip(("records", "models", "evaluators"), loaded.scores.shape, strict=True))
        said = str(loaded.provenance.get("summary", ""))
        rows.append({"name": loaded.name, **sizes, "what it is": said})
    listed = pd.DataFrame(rows)
    if not print_data({"profiles": listed}, as_json=as_json, as_csv=as_csv):
        print_frame(listed)


@profile.command()
def show(
    name: Which,
    resamples: Annotated[
        int, typer.Option(min=20, help="Bootstrap resamples behind every interval.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Key of the resamples.")] = 1,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show tasks, sizes, models, evaluators, costs, correlations and where variance comes from."""
    from poq_abm.analysis.evaluator_correlation import correlation_table  # noqa: PLC0415
    from poq_abm.analysis.quality_latency import quality_against_latency  # noqa: PLC0415
    from poq_abm.analysis.variance import variance_shares  # noqa: PLC0415
    from poq_abm.cli import profile_tables as tables  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415

    loaded = load_profile(name)
    correlations = correlation_table(loaded, resamples=resamples, seed=seed)
    qualities = quality_against_latency(loaded, resamples=resamples, seed=seed)
    shares = variance_shares(loaded, resamples=resamples, seed=seed)
    found = {
        "costs": loaded.costs,
        "correlations": correlations.dropna(subset="correlation"),
        "qualities": qualities,
        "variance_shares": shares.dropna(subset="share"),
    }
    told = {"name": loaded.name, "hash": loaded.content_hash, "provenance": loaded.provenance}
    if print_data(found, as_json=as_json, as_csv=as_csv, **told):
        return
    tables.print_head(loaded)
    tables.print_costs(loaded)
    tables.print_correlations(found["correlations"])
    tables.print_qualities(qualities)
    tables.print_shares(found["variance_shares"])
    typer.echo(f"Intervals: 95%, records resampled {resamples:,} times within their tasks.")


@profile.command()
def compare(first: Which, second: Which, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Say what differs between two profiles: names, records, means, cells and costs."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.printing import print_data, print_frame  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415
    from poq_abm.profile.differences import differences  # noqa: PLC0415

    sides = [load_profile(first), load_profile(second)]
    found = pd.DataFrame(differences(*sides), columns=["what differs", first, second])
    if print_data({"differences": found}, as_json=as_json, as_csv=as_csv):
        return
    if found.empty:
        typer.echo("The profiles are the same.")
    else:
        print_frame(found)


@profile.command()
def composite(
    source: Which,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the profile is written.")],
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="EVALUATOR=W", help="Its weight (all 1 without any); repeat."),
    ] = None,
    tau: Annotated[
        float, typer.Option(help="Correlation on planted records that a column must exceed.")
    ] = 0.0,
    by_task: Annotated[
        bool, typer.Option("--by-task", help="Audit, and weigh, task by task.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Key of which records are planted.")] = 1,
) -> None:
    """Write a profile whose evaluators include a composite of those that pass an audit."""
    from poq_abm.analysis.composite import COMPOSITE, write_composite  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415

    weights = dict(_weight(text) for text in weight or [])
    made = write_composite(source, folder, weights=weights, tau=tau, by_task=by_task, seed=seed)
    typer.echo(str(load_profile(made).provenance["inferred"][-1]))
    typer.echo(f"{made}: play it with `profile: {made}` and evaluators of `model: {COMPOSITE}`")


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise InputError(f"--weight {text}: write EVALUATOR=NUMBER") from None


@profile.command()
def validate(
    folders: Annotated[
        list[str], typer.Argument(metavar="PROFILE...", help="Folders, or names that ship.")
    ],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Check profile folders; report every fault."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.profile.profile import folder_of  # noqa: PLC0415
    from poq_abm.profile.validity import profile_faults  # noqa: PLC0415

    found = [(name, fault) for name in folders for fault in profile_faults(folder_of(name))]
    faults = pd.DataFrame(found, columns=["profile", "fault"])
    if not print_data({"faults": faults}, as_json=as_json, as_csv=as_csv):
        for name in folders:
            own = [fault for of, fault in found if of == name]
            for fault in own:
                typer.echo(f"{name}: {fault}", err=True)
            if not own:
                typer.echo(f"{name}: valid")
    if found:
        raise typer.Exit(2)
