"""``poq status`` and ``poq verify``: look at a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import AsCsv, AsJson, Plugins
from poq_abm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.experiment.verifying import RunStatus

__all__ = ["status", "verify"]

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A results folder.")]
_MOST_LINES = 20


#: what a status of a manifest means where that is not plain
_STATES = {"running": "unfinished (played now, or stopped: the same `poq run` finishes it)"}


def status(
    folder: Folder,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Print the tracebacks of what raised.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say how far the run in a results folder has come, and what failed in it."""
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.experiment.verifying import status_of  # noqa: PLC0415

    found = status_of(folder)
    manifest = found.manifest
    if traceback and as_csv:
        raise InputError("--traceback does nothing with --csv; --json has every traceback")
    if as_json or as_csv:
        told = {"name": manifest["name"], "status": found.status, "blocks": found.blocks,
                "failures": found.failures}  # fmt: skip
        print_data({"treatments": _stored(found)}, as_json=as_json, as_csv=as_csv, **told)
        return
    typer.echo(f"{manifest['name']}: {_STATES.get(found.status, found.status)}")
    if manifest.get("question"):
        typer.echo(manifest["question"])
    for line in _progress(found):
        typer.echo(line)
    for line in _precision(found):
        typer.echo(line)
    for failure in found.failures[:_MOST_LINES]:
        id_ = manifest["treatments"][failure["treatment"]]["id"]
        typer.echo(
            f"raised: replication {failure['replication']} of {id_} (seed {failure['seed']}): "
            f"{failure['error']}"
        )
        if traceback:
            typer.echo(failure["traceback"])
    if len(found.failures) > _MOST_LINES:
        typer.echo(f"... and {len(found.failures) - _MOST_LINES:,} more in manifest.json")


def _stored(found: RunStatus) -> pd.DataFrame:
    """Return how many replications are stored of each treatment."""
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame({"treatment": list(found.played), "replications": found.played.values()})


def _progress(found: RunStatus) -> list[str]:
    """Return lines on what was played."""
    asked = found.manifest["configuration"]["scenario"]["replications"]
    wanted = asked if isinstance(asked, int) else asked["at_most"]
    most = "" if isinstance(asked, int) else "at most "
    played = {name: count for name, count in found.played.items() if count is not None}
    lines = [
        f"{sum(played.values()):,} replications of {len(played):,} treatments stored, of {most}"
        f"{wanted * len(played):,}",
        f"{found.blocks:,} blocks",
    ]
    if (seconds := found.manifest.get("seconds")) is not None:
        lines.append(f"last run took {seconds:,.1f} s")
    short = [f"  {name}: {count:,}" for name, count in played.items() if count < wanted]
    if found.status == "running" and short:
        lines += ["treatments that are not whole yet:", *short[:_MOST_LINES]]
        if len(short) > _MOST_LINES:
            lines.append(f"  ... and {len(short) - _MOST_LINES:,} more")
    return lines


def _precision(found: RunStatus) -> list[str]:
    precision = found.manifest.get("precision")
    if precision is None:
        return []
    states = [entry["state"] for entry in precision]
    counts = ", ".join(f"{states.count(state):,} {state}" for state in dict.fromkeys(states))
    return [f"precision of the treatments: {counts}"]


def verify(
    folder: Folder,
    replications: Annotated[
        int, typer.Option(min=0, help="That are played again and compared bit for bit.")
    ] = 5,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Check a results folder: checksums, rows, and some replications played again."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.experiment import verifying  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    for_program, faults = as_json or as_csv, []
    for fault in verifying.verify(folder, replications):
        faults.append(fault)
        if not for_program:  # at once: playing again takes its time
            typer.echo(fault)
    if for_program:
        found = pd.DataFrame({"fault": faults}, dtype=str)
        told = {"folder": str(folder), "replications": replications}
        print_data({"faults": found}, as_json=as_json, as_csv=as_csv, **told)
    elif faults:
        count = len(faults)
        typer.echo(f"{count} fault{'s' * (count > 1)}; the same `poq run` mends them.")
    else:
        typer.echo(
            f"{folder} is whole; {replications} replications played again gave the same bits."
        )
    if faults:
        raise typer.Exit(1)
