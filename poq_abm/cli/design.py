"""``poq design``: the mechanism nobody tried, and how surely it is better."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poq_abm.cli.options import AsCsv, AsJson, Jobs, Plugins, Settings
from poq_abm.errors import InputError

if TYPE_CHECKING:
    from poq_abm.analysis.design import DesignProblem, FigurePlayer, FoundDesigns

__all__ = ["design"]

DesignFile = Annotated[
    str, typer.Argument(metavar="DESIGN", help="A design that ships, or a file with `search:`.")
]
Replay = Annotated[bool, typer.Option("--replay", help="Play a certificate again and compare.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where what is played is kept.")]
Start = Annotated[
    list[Path] | None,
    typer.Option("--from", metavar="CERTIFICATE", help="Begin with its design; may be repeated."),
]
Designs = Annotated[
    int | None, typer.Option(min=1, help="How many are tried; default: as the file says.")
]
Delta = Annotated[
    float | None,
    typer.Option(
        "--select",
        metavar="DELTA",
        help="Try all choices for the first objective; differences below DELTA do not matter.",
    ),
]


def design(
    design_file: DesignFile,
    designs: Designs = None,
    replay: Replay = False,
    select: Delta = None,
    start: Start = None,
    jobs: Jobs = 1,
    settings: Settings = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    out: Out = Path("designs"),
) -> None:
    """Search for a better mechanism, decide the front on fresh keys, and certify one (extra)."""
    from poq_abm.analysis.design import load_design  # noqa: PLC0415
    from poq_abm.cli.printing import say  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    if replay and (select is not None or start or designs is not None):
        raise InputError(
            "--replay plays a certificate as it is: leave --select, --from and --designs out"
        )
    if select is not None and (start or designs is not None):
        raise InputError("--from and --designs do nothing with --select, which tries all choices")
    problem = load_design(design_file, tuple(settings or ()), designs)
    announce_compilation()
    folder = out / f"{problem.scenario.name}-{_digest(problem)}"
    try:
        with progress_bar(problem.scenario.name) as bar:
            player = _player(problem, None if replay else out, jobs, bar.played)
            if replay:
                _print_replay(problem, player, jobs, as_json=as_json, as_csv=as_csv)
                return
            if select is not None:
                rows, said = _select(problem, player, select)
            else:
                found = _search(problem, player, jobs, start or [])
    except KeyboardInterrupt:
        say(f"Interrupted. What was played is kept in {out}; the same command goes on from there.")
        raise typer.Exit(1) from None
    if select is not None:
        _print_selection(rows, said, as_json=as_json, as_csv=as_csv)
        return
    written = _write(found, folder)
    _print(found, written, as_json=as_json, as_csv=as_csv)
    if found.certified is None:
        raise typer.Exit(1)


def _digest(problem: DesignProblem) -> str:
    data = [problem.data, problem.search.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:8]


def _player(problem: DesignProblem, out: Path | None, jobs: int, told: Any) -> FigurePlayer:
    """Return who plays; designs of one scenario share what was played, whatever is searched."""
    from poq_abm.analysis.design import FigurePlayer, PlayedDesigns  # noqa: PLC0415
    from poq_abm.experiment.executor import Workers  # noqa: PLC0415

    name = f"{problem.scenario.name}.played.jsonl"
    kept = PlayedDesigns(None if out is None else out / name)
    return FigurePlayer(problem.metrics, kept, Workers(jobs), told)


def _search(
    problem: DesignProblem, player: FigurePlayer, jobs: int, start: list[Path]
) -> FoundDesigns:
    from poq_abm.analysis.design import Genetic, auditor, load_design, search_designs  # noqa: PLC0415
    from poq_abm.experiment.search import drive  # noqa: PLC0415

    first = []
    for path in start:
        said = load_design(path).certificate
        if not isinstance(said, dict) or not isinstance(said.get("design"), dict):
            raise InputError(f"{path} is no certificate of poq design")
        first.append(said["design"])
    search = search_designs(problem, Genetic(problem, first), auditor(problem.search.audit, jobs))
    return drive(search, player)


def _write(found: FoundDesigns, folder: Path) -> Path | None:
    """Write the tables, and the certificate if there is one; the same search, the same bytes."""
    from poq_abm.analysis.design import as_certificate, design_tables  # noqa: PLC0415
    from poq_abm.experiment.files import naming_the_folder, write_text  # noqa: PLC0415

    with naming_the_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in design_tables(found).items():
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
        if found.certified is None:
            return None
        path = folder / "certificate.yaml"
        write_text(path, as_certificate(found))
    return path


def _print(found: FoundDesigns, path: Path | None, *, as_json: bool, as_csv: bool) -> None:
    from poq_abm.analysis.design import design_tables, notes, paragraph  # noqa: PLC0415
    from poq_abm.cli.printing import print_data, print_frame, say  # noqa: PLC0415

    tables, said = design_tables(found), [*notes(found), paragraph(found)]
    told = {
        "notes": [line for line in said if line],
        "chosen": None if found.chosen is None else found.chosen.settings,
        "certificate": None if path is None else str(path),
    }
    if print_data(tables, as_json=as_json, as_csv=as_csv, **told):
        return
    titles = {
        "front": f"The front, on {found.fresh} fresh replications",
        "tornado": "What one field at a time does to the chosen design",
        "dominated": "Who is shown to dominate whom",
        "progress": "Share of the box of all feasible outcomes that the front covers",
    }
    for name, table in tables.items():
        if len(table):
            print_frame(
                _narrow(table), titles[name], number=".4g", keys=2 * (name == "tornado") or 1
            )
    for line in said:
        if line:
            say(line)
    if path is not None:
        typer.echo(f"Written to {path}; play it again with: poq design {path} --replay")


def _narrow(table: Any) -> Any:
    """Return a table in which every interval is one column beside its estimate."""
    import pandas as pd  # noqa: PLC0415

    columns: dict[str, Any] = {}
    for name in table:
        if name.endswith("_high") and f"{name[:-5]}_low" in table:
            continue
        if name.endswith("_low") and f"{name[:-4]}_high" in table:
            ends = zip(table[name], table[f"{name[:-4]}_high"], strict=True)
            columns[f"{name[:-4]} interval"] = [f"[{low:.3g}, {high:.3g}]" for low, high in ends]
        else:
            columns[name] = table[name]
    return pd.DataFrame(columns)


def _print_replay(
    problem: DesignProblem, player: FigurePlayer, jobs: int, *, as_json: bool, as_csv: bool
) -> None:
    import pandas as pd  # noqa: PLC0415

    from poq_abm.analysis.design import auditor, replay  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.experiment.search import drive  # noqa: PLC0415

    other = drive(replay(problem, auditor(problem.search.audit, jobs)), player)
    found = pd.DataFrame(other, columns=["figure", "certificate", "played"])
    if not print_data({"differences": found}, as_json=as_json, as_csv=as_csv):
        for name, expected, played in other:
            typer.echo(f"{name}: the certificate says {expected!r}, played {played!r}")
        if not other:
            typer.echo("Played again: every figure of the certificate is as it says.")
    if other:
        raise typer.Exit(1)


def _select(problem: DesignProblem, player: FigurePlayer, delta: float) -> tuple[Any, str]:
    from poq_abm.analysis.design import select_design  # noqa: PLC0415
    from poq_abm.experiment.search import drive  # noqa: PLC0415

    return drive(select_design(problem, delta), player)


def _print_selection(rows: Any, said: str, *, as_json: bool, as_csv: bool) -> None:
    from poq_abm.cli.printing import print_data, print_frame, say  # noqa: PLC0415

    if not print_data({"candidates": rows}, as_json=as_json, as_csv=as_csv, selected=said):
        print_frame(rows, number=".4g")
        say(said)
