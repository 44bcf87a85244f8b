"""``poq calibrate``: from real models and evaluators to a profile, stage by stage."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from poq_abm.cli.options import AsCsv, AsJson, Plugins
from poq_abm.errors import InputError

__all__ = ["calibrate"]

calibrate = typer.Typer(
    name="calibrate",
    help="Measure real models and evaluators, and write the profile agents draw from.",
    no_args_is_help=True,
)

Configuration = Annotated[
    Path, typer.Argument(metavar="CONFIGURATION", help="The YAML file of the calibration.")
]
Show = Annotated[
    bool, typer.Option("--show", help="Show each output, score or verdict as it comes.")
]
Resend = Annotated[
    bool,
    typer.Option(
        "--resend",
        help="Ask servers again for what was on its way when a run was killed; it may be paid "
        "for twice.",
    ),
]
Stage = Callable[..., Any]

#: verb, module and function of every stage, in their order
STAGES = {
    "corpus": ("calibration.corpus.record_samples", "build_corpus"),
    "generate": ("calibration.models.generation", "generate"),
    "score": ("calibration.models.scoring", "score"),
    "judge": ("calibration.judge.judging", "judge"),
    "efficiency": ("calibration.latency.measurement", "measure"),
    "build": ("calibration.profile.building", "build"),
}
_ASKING = ("generate", "score", "judge", "efficiency")  # stages that may ask servers


class _Report:
    """Writes lines to the error stream, above a bar where one is drawn; ``shows`` outputs too."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415

        self.console = Console(stderr=True)
        self.shows = False

    def __call__(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _reporting(show: bool) -> _Report:
    report = _Report()
    report.shows = show
    return report


def _configuration(path: Path, plugin: list[str] | None) -> Any:
    """Return a configuration, which may name metrics of one's own."""
    from calibration.configuration import load_configuration  # noqa: PLC0415

    if plugin:
        from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

        load_plugins(plugin)
    return load_configuration(path)


def _play(stage: str, calibration: Any, report: _Report, *, resend: bool = False) -> Any:
    module, function = STAGES[stage]
    work: Stage = getattr(import_module(module), function)
    return work(calibration, report, **({"resend": True} if resend and stage in _ASKING else {}))


@contextlib.contextmanager
def _working_in(out: Path) -> Iterator[None]:
    """Keep other calibrations out of a folder, and turn an interrupt into a message.

    Every stage has written what it did when it is interrupted.
    """
    import filelock  # noqa: PLC0415

    from calibration.workspace import naming  # noqa: PLC0415

    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(out / ".lock", blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise InputError(f"another calibration is working in {out}; wait for it") from None
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command goes on where it stopped.", err=True)
        raise typer.Exit(130) from None
    finally:
        lock.release()


@calibrate.command()
def run(
    configuration: Configuration,
    show: Show = False,
    resend: Resend = False,
    plugin: Plugins = None,
) -> None:
    """Do every stage that is not done yet, and write the profile."""
    report = _reporting(show)
    calibration = _configuration(configuration, plugin)
    _check(calibration)
    with _working_in(calibration.out):
        for stage in STAGES:
            if stage == "judge" and calibration.judge is None:
                continue
            report(f"== {stage}")
            made = _play(stage, calibration, report, resend=resend)
    typer.echo(f"Profile: {made}")


@calibrate.command()
def check(configuration: Configuration, plugin: Plugins = None) -> None:
    """Read the configuration and look for every file and model it names; nothing is computed."""
    calibration = _configuration(configuration, plugin)
    _check(calibration)
    typer.echo(f"{calibration.name}: everything it names is there")


@calibrate.command()
def doctor(
    configuration: Annotated[
        Path | None, typer.Argument(metavar="CONFIGURATION", help="A YAML file, or none.")
    ] = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say what is installed, which servers answer, and what is left to pay and to wait for."""
    import pandas as pd  # noqa: PLC0415

    from calibration.doctor import examine  # noqa: PLC0415
    from poq_abm.cli.printing import print_data  # noqa: PLC0415

    calibration = None if configuration is None else _configuration(configuration, plugin)
    findings = []
    for finding in examine(calibration):
        findings.append({"is_fine": finding.is_fine, "finding": finding.text})
        if not (as_json or as_csv):  # at once: servers take their time
            typer.echo(f"{'   ' if finding.is_fine else '!! '}{finding.text}")
    print_data({"findings": pd.DataFrame(findings)}, as_json=as_json, as_csv=as_csv)
    if not all(finding["is_fine"] for finding in findings):
        raise InputError("what is marked !! (is_fine: false) has to be mended first")


def _check(calibration: Any) -> None:
    from calibration.models.checkpoints import check_models  # noqa: PLC0415
    from calibration.models.endpoint_answers import check_endpoints  # noqa: PLC0415

    missing = [str(source.path) for source in calibration.corpus if not source.path.is_file()]
    if missing:
        raise InputError(f"no such corpus file: {', '.join(missing)}")
    check_endpoints([*calibration.endpoints, *calibration.asked_evaluators])
    check_models(calibration)
    if calibration.judge is not None:
        from calibration.judge.judging import check_judge  # noqa: PLC0415

        check_judge(calibration)


def _work(
    name: str,
    configuration: Path,
    plugin: list[str] | None,
    *,
    show: bool = False,
    resend: bool = False,
) -> Any:
    calibration = _configuration(configuration, plugin)
    with _working_in(calibration.out):
        return _play(name, calibration, _reporting(show), resend=resend)


@calibrate.command()
def corpus(configuration: Configuration, plugin: Plugins = None) -> None:
    """Draw the records and bring them into one form."""
    _work("corpus", configuration, plugin)


@calibrate.command()
def generate(
    configuration: Configuration,
    show: Show = False,
    resend: Resend = False,
    plugin: Plugins = None,
) -> None:
    """Let every inference model answer every record."""
    _work("generate", configuration, plugin, show=show, resend=resend)


@calibrate.command()
def score(
    configuration: Configuration,
    show: Show = False,
    resend: Resend = False,
    plugin: Plugins = None,
) -> None:
    """Let every evaluator score every answer."""
    _work("score", configuration, plugin, show=show, resend=resend)


@calibrate.command()
def efficiency(
    configuration: Configuration, resend: Resend = False, plugin: Plugins = None
) -> None:
    """Measure latency, throughput, memory and energy of every model."""
    _work("efficiency", configuration, plugin, resend=resend)


@calibrate.command()
def build(configuration: Configuration, plugin: Plugins = None) -> None:
    """Make the profile of what the other stages left."""
    typer.echo(f"Profile: {_work('build', configuration, plugin)}")


@calibrate.command()
def judge(
    configuration: Configuration,
    again: Annotated[bool, typer.Option("--again", help="Ask again what was refused.")] = False,
    show: Show = False,
    resend: Resend = False,
    plugin: Plugins = None,
) -> None:
    """Let the judge score a sample of the answers."""
    calibration = _configuration(configuration, plugin)
    if calibration.judge is None:
        raise InputError(f"{configuration} names no judge")
    from calibration.judge.judging import judge as ask  # noqa: PLC0415

    with _working_in(calibration.out):
        ask(calibration, _reporting(show), again=again, resend=resend)


_Scores = Annotated[
    list[Path],
    typer.Argument(
        metavar="SCORES...", help="CSV, TSV, JSON, JSONL, Parquet or .xlsx, also with .gz."
    ),
]
_Scale = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COL=LOW:HIGH",
        help="Scale of a column, mapped to points of 10; or COL=per_task, COL=whole_set.",
    ),
]
_Normalise = Annotated[
    str,
    typer.Option(
        metavar="auto|per_task|whole_set",
        help="Evaluators to map by minimum and maximum: those without a scale, or all.",
    ),
]


@calibrate.command("import")
def import_(
    scores: _Scores,
    out: Annotated[Path, typer.Option(help="Folder of the profile.")],
    record: Annotated[
        str | None, typer.Option(metavar="COL[,COL]", help="Columns of the record's id.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of the model; also file, folder.")
    ] = None,
    truth: Annotated[str | None, typer.Option(metavar="COL", help="Column of the truth.")] = None,
    evaluators: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Columns of scores.")
    ] = None,
    task: Annotated[str | None, typer.Option(metavar="COL", help="Column of the task.")] = None,
    judge: Annotated[str | None, typer.Option(metavar="COL", help="Column of the judge.")] = None,
    scale: _Scale = None,
    normalise: _Normalise = "auto",
    missing: Annotated[
        list[str] | None,
        typer.Option(metavar="MARK", help="What marks a missing score, such as -1."),
    ] = None,
    incomplete: Annotated[
        str, typer.Option(metavar="refuse|drop", help="Records that lack a number or a row.")
    ] = "refuse",
    long: Annotated[
        str | None,
        typer.Option(metavar="COL,COL", help="Annotator and score, where each has its own row."),
    ] = None,
    costs: Annotated[
        Path | None, typer.Option(help="Table with node and latency_ms; default: equal latencies.")
    ] = None,
) -> None:
    """Make a profile of scores somebody already has."""
    from calibration.profile.importing import ImportSettings, import_table  # noqa: PLC0415

    settings = ImportSettings(
        record=record,
        model=model,
        task=task,
        truth=truth,
        evaluators=[name.strip() for name in (evaluators or "").split(",") if name.strip()],
        judge=judge,
        scales=scale or [],
        normalise=normalise,
        missing=missing or [],
        incomplete=incomplete,
        long=long,
        costs=costs,
    )
    made = import_table(scores, out, settings, report=typer.echo)
    typer.echo(f"Profile: {made}")


@calibrate.command()
def smooth(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="Name or folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the smoothed profile.")],
    records: Annotated[int, typer.Option(min=2, help="Records of each task.")] = 2000,
    seed: Annotated[int, typer.Option(help="Key of every draw.")] = 1,
) -> None:
    """Draw more records than were measured, from a copula fitted to those that were."""
    from calibration.profile.smoothing import smooth as smoothed  # noqa: PLC0415

    typer.echo(f"Profile: {smoothed(profile, out, records=records, seed=seed)}")


@calibrate.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the demonstration.")] = Path("demo"),
) -> None:
    """Run every stage on tiny models made on the spot; the scores mean nothing."""
    from calibration.demo import demo as run_demo  # noqa: PLC0415
    from poq_abm.profile import read_profile  # noqa: PLC0415

    with _working_in(out):
        made = run_demo(out, _Report())
    profile = read_profile(made)
    people = {"inference": profile.models, "evaluators": profile.evaluators}
    settings = [
        f"--set 'population.{role}=[{', '.join(f'{{model: {name}}}' for name in names)}]'"
        for role, names in people.items()
    ]
    typer.echo(f"Profile: {made}")
    typer.echo(
        f"Try: poq run cost_aware_poq --set profile={made} \\\n  " + " \\\n  ".join(settings)
    )
