"""``poq design``: the mechanism nobody tried, and how surely it is better."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poq_abm.cli.options import (
    AsCsv,
    AsJson,
    BackendName,
    Jobs,
    Plugins,
    Scheduler,
    Settings,
    workers_of,
)
from poq_abm.errors import InputError

if TYPE_CHECKING:
    from poq_abm.analysis.design import DesignProblem, FigurePlayer, FoundDesigns
    from poq_abm.experiment.executor import Workers

__all__ = ["FOUND", "design"]

FOUND = "found.json"  #: in the folder of a search, what its page is written from

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
Repeat = Annotated[
    int | None,
    typer.Option(min=1, help="Search from so many seeds, to see what most of them attain."),
]
Report = Annotated[
    bool, typer.Option("--report/--no-report", help="Draw figures, and write report.html.")
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
    repeat: Repeat = None,
    replay: Replay = False,
    select: Delta = None,
    start: Start = None,
    jobs: Jobs = 1,
    backend: BackendName = None,
    scheduler: Scheduler = None,
    settings: Settings = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    report: Report = True,
    out: Out = Path("designs"),
) -> None:
    """Search for a better mechanism, decide the front on fresh keys, and certify one (extra)."""
    from poq_abm.analysis.design import load_design  # noqa: PLC0415
    from poq_abm.cli.printing import say  # noqa: PLC0415
    from poq_abm.cli.progress import announce_compilation, progress_bar  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    searching = {"--from": start, "--designs": designs, "--repeat": repeat}
    given = [name for name, value in searching.items() if value]
    if replay and (given or settings or select is not None):
        raise InputError(
            "--replay plays a certificate as it is: leave --set, --select, "
            f"{' and '.join(searching)} out"
        )
    if select is not None and given:
        raise InputError(f"{given[0]} does nothing with --select, which tries all choices")
    workers = workers_of(jobs, backend, scheduler)
    changed = tuple(settings or ())
    problem = load_design(design_file, changed, designs=designs, searches=repeat)
    first = [_certified_design(path) for path in start or []]
    announce_compilation()
    folder = out / f"{problem.scenario.name}-{_digest(problem, first)}"
    try:
        with progress_bar(problem.scenario.name) as bar:
            player = _player(problem, None if replay else out, workers, bar.played)
            if replay:
                _print_replay(Path(design_file), problem, player, as_json=as_json, as_csv=as_csv)
                return
            if select is not None:
                rows, said = _select(problem, player, select)
            else:
                found = _search(problem, player, first)
    except KeyboardInterrupt:
        say(f"Interrupted. What was played is kept in {out}; the same command goes on from there.")
        raise typer.Exit(1) from None
    if select is not None:
        _print_selection(rows, said, as_json=as_json, as_csv=as_csv)
        return
    written = _write(found, folder, report=report)
    _print(found, written, plugin or [], as_json=as_json, as_csv=as_csv)
    if found.certified is None:
        raise typer.Exit(1)


def _certified_design(path: Path) -> dict[str, Any]:
    """Return the design that a certificate is of."""
    from poq_abm.analysis.design import load_design  # noqa: PLC0415

    said = load_design(path).certificate
    if not isinstance(said, dict) or not isinstance(said.get("design"), dict):
        raise InputError(f"{path} is no certificate of poq design")
    found: dict[str, Any] = said["design"]
    return found


def _digest(problem: DesignProblem, first: list[dict[str, Any]]) -> str:
    """Return what tells searches apart: what is searched, and the designs that one begins with."""
    from poq_abm.experiment.plan import as_before  # noqa: PLC0415

    scenario = as_before(problem.data)
    data = [scenario, problem.search.model_dump(mode="json"), *([first] if first else [])]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:8]


def _player(problem: DesignProblem, out: Path | None, workers: Workers, told: Any) -> FigurePlayer:
    """Return who plays; designs of one scenario share what was played, whatever is searched."""
    from poq_abm.analysis.design import FigurePlayer, PlayedDesigns  # noqa: PLC0415

    name = f"{problem.scenario.name}.played.jsonl"
    kept = PlayedDesigns(None if out is None else out / name)
    return FigurePlayer(problem.metrics, kept, workers, told)


def _search(
    problem: DesignProblem, player: FigurePlayer, first: list[dict[str, Any]]
) -> FoundDesigns:
    from poq_abm.analysis.design import (  # noqa: PLC0415
        Genetic,
        auditor,
        look_again,
        play_cases,
        search_designs,
    )
    from poq_abm.experiment.search import drive  # noqa: PLC0415

    audited = auditor(problem.search, player)
    found = drive(search_designs(problem, Genetic(problem, first), audited), player)
    found.begun_with = first
    others = [Genetic(problem, first, n) for n in range(1, problem.search.budget.searches)]
    drive(look_again(found, others), player)
    if problem.search.uncertainties and found.certified is not None:
        cases = drive(play_cases(problem, found.certified.settings), player)
        found.certified = replace(found.certified, cases=cases)
    return found


def _write(found: FoundDesigns, folder: Path, *, report: bool) -> Path | None:
    """Write tables, report and the certificate, if any; the same search, the same bytes."""
    from poq_abm.analysis.design import (  # noqa: PLC0415
        as_certificate,
        design_tables,
        write_found,
    )
    from poq_abm.experiment.files import naming_the_folder, write_text  # noqa: PLC0415
    from poq_abm.report.design_page import design_page  # noqa: PLC0415

    write_found(found, folder / FOUND)
    with naming_the_folder(folder):
        for name, table in design_tables(found).items():
            write_text(folder / f"{name}.csv", table.to_csv(index=False))
        if report:
            write_text(folder / "report.html", design_page(found))
        if found.certified is None:
            return None
        path = folder / "certificate.yaml"
        write_text(path, as_certificate(found.problem, found.certified))
    return path


def _print(
    found: FoundDesigns, path: Path | None, plugins: list[str], *, as_json: bool, as_csv: bool
) -> None:
    from poq_abm.analysis.design import design_tables, notes, paragraph  # noqa: PLC0415
    from poq_abm.cli.printing import print_data, print_frame, say  # noqa: PLC0415

    tables, said = design_tables(found), notes(found)
    if found.certified is not None:
        said.append(paragraph(found.problem, found.certified))
    told = {
        "notes": said,
        "chosen": None if found.chosen is None else found.chosen.settings,
        "certificate": None if path is None else str(path),
    }
    if print_data(tables, as_json=as_json, as_csv=as_csv, **told):
        return
    titles = {
        "front": f"The front, on {found.fresh} fresh replications",
        "tornado": "What one field at a time does to the chosen design",
        "dominated": "What is shown to be dominated by which member, and what it would gain there",
        "choices": "What was tried of each choice, on the keys of the search: designs, those that "
        "are feasible, those that meet a constraint, and the best of the feasible",
        "progress": "Share of the box of all feasible outcomes that the front covers",
        "attainment": "The front of all searches, and the share of them that attain it",
        "audit": "What a member gains by the best deviations found, all intervals together",
        "boxes": "Where the chosen design stops being feasible, by cases that did not find it",
    }
    progress = tables["progress"].pivot(index="designs", columns="search", values="hypervolume")
    tables["progress"] = progress.rename(columns=lambda n: f"search {n}").reset_index()
    for name, table in tables.items():
        if len(table) and name in titles:
            print_frame(
                _narrow(table),
                titles[name],
                number=".4g",
                keys=2 * (name in ("tornado", "choices", "audit")) or 1,
            )
    for line in said:
        say(line)
    if path is not None:
        own = "".join(f" --plugin {shlex.quote(name)}" for name in plugins)
        typer.echo(f"Written to {path}; it is played again, to the byte, by")
        typer.echo(f"  poq design {shlex.quote(str(path))} --replay{own}")


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
    path: Path, problem: DesignProblem, player: FigurePlayer, *, as_json: bool, as_csv: bool
) -> None:
    """Play a certificate again, and say whether it comes to the same file."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.analysis.design import as_certificate, auditor, replay  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415
    from poq_abm.experiment.search import drive  # noqa: PLC0415

    audited = auditor(problem.search, player)
    certified, other = drive(replay(problem, audited), player)
    found = pd.DataFrame(other, columns=["figure", "certificate", "played"])
    if not print_data({"differences": found}, as_json=as_json, as_csv=as_csv):
        for name, expected, played in other:
            typer.echo(f"{name}: the certificate says {expected!r}, played {played!r}")
        if not other and as_certificate(problem, certified).encode() == path.read_bytes():
            typer.echo("Played again: the certificate is the same, byte for byte.")
        elif not other:
            typer.echo("Played again: every figure is as the certificate says, up to rounding.")
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
