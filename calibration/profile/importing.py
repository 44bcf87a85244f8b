"""A profile from logs somebody already has: one row per record and model, any column names."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.profile.costs import imported_costs
from calibration.profile.joint import check_joint, write_with_findings
from calibration.profile.scales import (
    SCOPES,
    Scale,
    described_ranges,
    described_scales,
    fit_ranges,
    infer_scale,
    points_of,
    read_scales,
)
from calibration.profile.score_logs import ScoreLog, read_logs
from calibration.workspace import NAME, naming
from poq_abm.errors import InputError, nearest
from poq_abm.profile import ProfileDescription
from poq_abm.profile.validity import SCORE_COLUMNS

__all__ = ["INCOMPLETE", "NORMALISE", "ImportSettings", "import_table", "simple_name"]

#: ``auto`` maps what fits no scale by minimum and maximum per task, the others all evaluators.
NORMALISE = ("auto", *SCOPES)
#: What becomes of records without a number or a row.
INCOMPLETE = ("refuse", "drop")
_TASK = "all"  # the one task of a table without tasks
_NO_TRUTH = "The truth is not known: what needs it is missing from every result."
_SHOWN = 5


@dataclass(frozen=True)
class _ColumnRoles:
    """Which column of the file is what; a record may take several columns to name."""

    record: tuple[str, ...]
    model: str
    task: str | None
    truth: str | None
    evaluators: tuple[str, ...]
    judge: str | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold names."""
        return (*self.record, self.model, *([] if self.task is None else [self.task]))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that hold numbers, each once."""
        named = (self.truth, *self.evaluators, self.judge)
        return tuple(dict.fromkeys(column for column in named if column is not None))


@dataclass
class _Import:
    """What is known of a table on its way into a profile, and what has to be said of it."""

    log: ScoreLog
    columns: _ColumnRoles
    notes: list[str] = field(default_factory=list)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportSettings:
    """Which column of a table of scores is what, and how its numbers become points of 10.

    ``record`` may name several columns (``question_id,turn``). One column may be truth, evaluator
    and judge at once. Without a ``truth`` the profile knows none, and what needs one is left out or
    refused (:attr:`poq_abm.profile.Profile.knows_truth`). A log of a common tool
    (:data:`calibration.profile.score_logs.LAYOUTS`) has columns by default. ``long`` names the
    columns ``annotator,score`` of a table with one row per annotator.

    Every column of numbers is mapped to points of 10. Its scale is the one in ``scales``
    (``{"cosine": "0:1", "likert": "1:5"}``), else that of marks like ``8/10``, else inferred from
    its values by the rule of :mod:`calibration.profile.scales`; where the values may be on several,
    it has to be stated. An evaluator that fits no scale, that ``scales`` gives ``per_task`` or
    ``whole_set``, or every one under another ``normalise`` than ``auto``, is mapped by minimum and
    maximum. Each mapping is reported, and kept in the profile.

    ``missing`` are marks of missing scores beside the usual ones. A record that lacks a number or a
    model's row is an error, or left out and reported with ``incomplete="drop"``. ``costs`` is a
    table with the columns ``node`` and ``latency_ms`` or ``latency_s`` (and any other cost column);
    without it all latencies are equal and assumed.
    """

    record: str | None = None
    model: str | None = None
    task: str | None = None
    truth: str | None = None
    evaluators: Sequence[str] = ()
    judge: str | None = None
    scales: Iterable[str] | Mapping[str, str] = ()
    normalise: str = "auto"
    missing: Sequence[str] = ()
    incomplete: str = "refuse"
    long: str | None = None
    costs: str | Path | None = None


def import_table(
    path: str | Path | Sequence[str | Path],
    out: str | Path,
    settings: ImportSettings | None = None,
    *,
    name: str | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write the profile that a table of scores makes, and return its folder.

    ``path`` is a file that :func:`calibration.corpus.rows.read_table` reads, or several of them,
    with one row per record and model. Names become those a profile allows (``M8`` is ``m8``) and
    keep the label they had.

    Raises :class:`~poq_abm.errors.InputError` for whatever is wrong with file, columns or rows, and
    when ``out`` exists. Nothing is written then.
    """
    settings = settings or ImportSettings()
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(one) for one in path]
    out = Path(out)
    _check_places(paths, out, settings)
    log = read_logs(paths, settings.long)
    work = _Import(log, _columns(log, settings), list(log.notes))
    joint, transform = _points(work, settings)
    costs, cost_notes = imported_costs(
        settings.costs, work.labels["models"], work.labels["evaluators"]
    )
    description = ProfileDescription(
        name=simple_name(name or out.name, "profile"),
        tasks=_labelled(work, "tasks"),
        models=_labelled(work, "models"),
        evaluators=_labelled(work, "evaluators"),
        normalisation=transform,
        hardware=list(dict.fromkeys(costs["hardware"])),
        provenance=_provenance(paths, joint, work, transform, cost_notes),
    )
    made = write_with_findings(out, description, joint, costs)
    unknown = [_NO_TRUTH] if work.columns.truth is None else []
    for line in (*work.notes, *unknown, *_mappings(transform), *cost_notes["measured"]):
        report(line)
    return made


def _check_places(paths: Sequence[Path], out: Path, settings: ImportSettings) -> None:
    if out.exists():
        raise InputError(f"{str(out)!r} exists; a profile is never overwritten")
    _known(settings.normalise, NORMALISE, "no way to normalise")
    _known(settings.incomplete, INCOMPLETE, "no treatment of incomplete records")
    for path in paths:
        if not path.is_file():
            raise InputError(f"there is no file {str(path)!r}")


def _points(work: _Import, settings: ImportSettings) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the joint table with every number in points of 10, and the transform that made it."""
    layout = work.log.layout
    stated = read_scales(settings.scales)
    _check_columns(work, stated)
    joint, marked = _joint(work, (*settings.missing, *(layout.missing if layout else ())))
    joint = _complete(work, joint, settings.incomplete)
    _check(work, joint)
    usual = read_scales(layout.scales) if layout else {}
    return joint, _map(work, joint, {**marked, **usual, **stated}, settings.normalise)


def simple_name(label: str, kind: str) -> str:
    """Return a label in the letters that a profile allows, without accents.

    >>> simple_name("GPT-4 (judge)", "evaluator"), simple_name("Modèle", "model")
    ('gpt_4_judge', 'modele')
    """
    name = _plain(label)
    if not NAME.fullmatch(name):
        raise InputError(f"the {kind} {label[:80]!r} has no letter or digit to make a name of")
    return name


def _plain(label: str) -> str:
    bare = unicodedata.normalize("NFKD", label)
    letters = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9_]+", "_", letters.lower()).strip("_")[:80]


def _known(said: str, known: Sequence[str], what: str) -> None:
    if said not in known:
        raise InputError(f"{what} is called {said!r}; {nearest(said, known)}")


def _columns(log: ScoreLog, settings: ImportSettings) -> _ColumnRoles:
    """Return the columns that are named or, in a layout that is recognised, usual."""
    record, model, truth = settings.record, settings.model, settings.truth
    task, evaluators = settings.task, tuple(settings.evaluators)
    if log.layout is not None:
        score = log.layout.score
        record, model = record or log.layout.record, model or log.layout.model
        task = task or log.layout.task
        evaluators = evaluators or ((score,) if score else ())
    needed = {"record": record, "model": model, "evaluators": evaluators}
    unnamed = [name for name, said in needed.items() if not said]
    if not record or not model or not evaluators:
        raise InputError(
            f"{log.name}: say which column is what with {', '.join(f'--{n}' for n in unnamed)}; "
            f"there are {', '.join(map(repr, list(log.frame.columns)[:12]))}"
        )
    is_one = record in log.frame.columns
    parts = (record,) if is_one else tuple(part.strip() for part in record.split(","))
    return _ColumnRoles(parts, model, task, truth, evaluators, settings.judge)


def _check_columns(work: _Import, stated: Mapping[str, Any]) -> None:
    """Raise with every column that is missing, named twice, or given a scale and not used."""
    log, columns = work.log, work.columns
    faults = []
    for column in dict.fromkeys((*columns.texts, *columns.numbers)):
        if column not in log.frame.columns:
            hint = nearest(column, map(str, log.frame.columns))
            faults.append(f"there is no column {column!r}; {hint}")
    texts, evaluators = list(columns.texts), list(columns.evaluators)
    both = [c for c in texts if c in columns.numbers]
    names = [*columns.record, columns.model]  # a task may be part of a record's name
    names += [] if columns.task in columns.record else texts[len(names) :]
    twice = [c for part in (names, evaluators) for c in part if part.count(c) > 1]
    faults += [f"column {c!r} is named twice" for c in dict.fromkeys([*both, *twice])]
    faults += [
        f"--scale names {column!r}, no column of numbers; {nearest(column, columns.numbers)}"
        for column in stated
        if column not in columns.numbers
    ]
    if faults:
        raise InputError("\n".join(f"{log.name}: {fault}" for fault in faults))


def _joint(work: _Import, missing: Sequence[str]) -> tuple[pd.DataFrame, dict[str, Scale]]:
    """Return the joint table under the names of a profile, and the scales that marks state."""
    log, columns = work.log, work.columns
    task = pd.Series(_TASK, index=log.frame.index)
    texts = {
        "task": task if columns.task is None else log.texts([columns.task]),
        "model": log.texts([columns.model]),
    }
    joint = pd.DataFrame({"record": log.texts(columns.record)})
    for kind, labels in texts.items():
        names = _names(work, labels.dropna().unique(), kind, ())
        joint[kind] = labels.map(names)
    taken = (*SCORE_COLUMNS, *work.labels["models"])
    names = _names(work, columns.evaluators, "evaluator", taken)
    marked = {}
    values = {}
    for column in columns.numbers:
        values[column], top = log.numbers(column, missing)
        if not math.isnan(top):
            marked[column] = Scale(0.0, top, "marked")
    joint["truth"] = math.nan if columns.truth is None else values[columns.truth]
    for label, name in names.items():
        joint[name] = values[label]
    joint["judge"] = math.nan if columns.judge is None else values[columns.judge]
    return joint.reset_index(drop=True), marked


def _names(work: _Import, labels: Iterable[str], kind: str, taken: Sequence[str]) -> dict[str, str]:
    """Return the name of each label; one that is taken gets a number, one without letters too."""
    names: dict[str, str] = {}
    for position, label in enumerate(labels, start=1):
        usual = _plain(label)
        plain = usual if NAME.fullmatch(usual) else f"{kind}_{position}"
        if plain in taken:
            plain = f"{plain}_{kind}"
        name, number = plain, 2
        while name in (*taken, *names.values()):
            name, number = f"{plain[:76]}_{number}", number + 1
        if name != usual:
            work.notes.append(f"The {kind} {label!r} is called {name}.")
        names[label] = name
    work.labels[f"{kind}s"] = {name: label for label, name in names.items()}
    return names


def _labelled(work: _Import, kind: str) -> dict[str, dict[str, str]]:
    return {name: {"label": label} for name, label in work.labels[kind].items()}


def _complete(work: _Import, joint: pd.DataFrame, incomplete: str) -> pd.DataFrame:
    """Return the records that have a row for every model and every number but the judge's."""
    numbers = [*([] if work.columns.truth is None else ["truth"]), *work.labels["evaluators"]]
    needed = ["task", "model", *numbers]
    lacking = joint.loc[joint[needed].isna().any(axis=1), "record"].dropna()
    models = joint.groupby("record")["model"].nunique()
    short = set(models.index[models < joint["model"].nunique()]) | set(lacking)
    if not short:
        return joint
    said = f"{len(short):,} of {len(models):,} records lack a number or a model's row"
    if incomplete == "refuse":
        try:
            _check(work, joint)
        except InputError as error:
            hint = f"{work.log.name}: {said}; --incomplete drop leaves them out"
            raise InputError(f"{error}\n{hint}") from None
    kept = joint[~joint["record"].isin(short) & joint["record"].notna()].reset_index(drop=True)
    if kept.empty:
        _check(work, joint)
        raise InputError(f"{work.log.name}: every record lacks a number or a model's row")
    shown = ", ".join(map(repr, sorted(short)[:_SHOWN])) + (", ..." if len(short) > _SHOWN else "")
    work.notes.append(f"Left out: {said}: {shown}.")
    for kind in ("task", "model"):
        found, labels = set(kept[kind]), work.labels[f"{kind}s"]
        work.labels[f"{kind}s"] = {n: label for n, label in labels.items() if n in found}
    return kept


def _check(work: _Import, joint: pd.DataFrame) -> None:
    """Raise with every fault of the joint table, and what may tell repeated rows apart."""
    try:
        check_joint(joint, list(work.labels["evaluators"]), work.log.name)
    except InputError as error:
        if not joint.duplicated(["record", "model"]).any():
            raise
        ours = ",".join(work.columns.record)
        raise InputError(
            f"{error}\n{work.log.name}: of repeated rows keep one, or name the column that tells "
            f"them apart with --record {ours},COLUMN, or with --long where it is who scored"
        ) from None


def _map(
    work: _Import, joint: pd.DataFrame, known: Mapping[str, Scale | str], normalise: str
) -> dict[str, Any]:
    """Bring every column of numbers to points of 10, in place; return the transform."""
    named = {"truth": work.columns.truth, **work.labels["evaluators"], "judge": work.columns.judge}
    columns = {name: column for name, column in named.items() if column is not None}
    faults: list[str] = []
    scales: dict[str, dict[str, Any]] = {}
    ways: dict[str, str] = {}
    for name, column in columns.items():
        is_evaluator = name in work.labels["evaluators"]
        said = known.get(column)
        if is_evaluator and said is None and normalise != "auto":
            said = normalise
        values = joint[name].to_numpy(dtype=np.float64)
        if np.isnan(values).all():
            continue  # a judge of nothing
        try:
            scale = _scale_of(values, column, said, is_evaluator)
        except InputError as error:
            faults.append(f"{work.log.name}: {error}")
            continue
        if isinstance(scale, Scale):
            joint[name] = scale.points(values)
            scales[name] = {
                "column": column,
                "minimum": scale.low,
                "maximum": scale.high,
                "known": scale.known,
                "values": [float(np.nanmin(values)), float(np.nanmax(values))],
            }
        else:
            ways[name] = scale
    if faults:
        raise InputError("\n".join(dict.fromkeys(faults)))
    return {"method": "scales", "scales": scales, **_stretched(joint, ways)}


def _scale_of(
    values: np.ndarray[Any, np.dtype[np.float64]],
    column: str,
    said: Scale | str | None,
    is_evaluator: bool,
) -> Scale | str:
    """Return the scale of a column, or the way to normalise it."""
    scale = infer_scale(values, column) if said is None else said
    low, high = np.nanmin(values), np.nanmax(values)
    if isinstance(scale, Scale):
        outside = scale.outside(values)
        if outside.size:
            raise InputError(
                f"column {column!r} is on {scale}, and {outside.size:,} of its values are not, "
                f"such as {outside[0]:g}"
            )
        return scale
    if is_evaluator:
        return scale or "per_task"
    raise InputError(
        f"column {column!r} lies in [{low:g}, {high:g}]; truth and judge are on a scale and never "
        f"stretched to one: state it with --scale {column}=LOW:HIGH"
    )


def _stretched(joint: pd.DataFrame, ways: Mapping[str, str]) -> dict[str, Any]:
    """Map columns by minimum and maximum, in place; return the transform of each."""
    tasks = joint["task"].tolist()
    fitted: dict[str, Any] = {}
    for name, way in ways.items():
        rows = list(zip(tasks, joint[name].tolist(), strict=True))
        transform = fit_ranges({name: rows}, way)
        joint[name] = [points_of(transform, name, task, value) for task, value in rows]
        fitted[name] = transform
    return {"min_max": fitted} if fitted else {}


def _mappings(transform: Mapping[str, Any]) -> list[str]:
    stretched = transform.get("min_max", {}).values()
    return [
        *described_scales(transform["scales"]),
        *(line for fitted in stretched for line in described_ranges(fitted)),
    ]


def _provenance(
    paths: Sequence[Path],
    joint: pd.DataFrame,
    work: _Import,
    transform: Mapping[str, Any],
    cost_notes: Mapping[str, list[str]],
) -> dict[str, Any]:
    columns = work.columns
    digests = []
    for path in paths:
        with naming(path, "read"):
            digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    judged = int(joint["judge"].notna().sum())
    truth = "" if columns.truth is None else f"Truth ({columns.truth}) and evaluators"
    measured = [
        f"{truth or 'Evaluators'} ({', '.join(columns.evaluators)}) of "
        f"{len(joint):,} outputs, by whoever wrote the file.",
        *([f"Judge ({columns.judge}) of {judged:,} outputs."] if columns.judge else []),
        *cost_notes["measured"],
    ]
    scales = transform["scales"]
    inferred = {name: entry for name, entry in scales.items() if entry["known"] == "inferred"}
    given = {name: entry for name, entry in scales.items() if name not in inferred}
    caveats = ["How these numbers came about is not known to this package.", *work.notes]
    if columns.truth is None:
        caveats.append(_NO_TRUTH)
    if columns.truth in columns.evaluators:
        caveats.append(f"The evaluator {columns.truth!r} is the truth itself.")
    return {
        "summary": f"Imported from a table of {joint['record'].nunique():,} records and "
        f"{joint['model'].nunique()} models.",
        "source": ", ".join(path.name for path in paths),
        "source_sha256": digests[0] if len(digests) == 1 else digests,
        "published": [],
        "measured": [*measured, *described_scales(given)],
        "inferred": [
            *described_scales(inferred),
            *(
                line
                for fitted in transform.get("min_max", {}).values()
                for line in described_ranges(fitted)
            ),
        ],
        "assumed": cost_notes["assumed"],
        "caveats": caveats,
    }
