"""Last stage: everything that was measured, joined into one profile."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration import normalising
from calibration.building_provenance import describe_evaluator, describe_model, provenance_of
from calibration.configuration import Calibration
from calibration.folders import Workspace
from calibration.generation import outputs
from calibration.joint import check_joint, finish
from calibration.judging import read_judgements
from calibration.measured_costs import measured_costs
from calibration.records import Record, read_corpus
from calibration.scoring import scores
from calibration.truth import truth_score
from poq_abm.errors import InputError
from poq_abm.profile import read_profile

__all__ = ["build"]

Report = Callable[[str], None]
Row = dict[str, Any]


def build(calibration: Calibration, report: Report, *, caveats: Sequence[str] = ()) -> Path:
    """Write the profile of a calibration and return its folder, ``profile`` in the workspace.

    Every record needs an output of every model and a score of it by every evaluator; the judge may
    be missing, in part or whole. A profile that is already there and says the same is left as it
    is; another one is kept under a name that ends in its hash. ``caveats`` are added to the
    provenance, after those of the configuration.

    Raises :class:`~poq_abm.errors.InputError` when a stage before is not finished, naming it, and
    for every fault of :func:`calibration.joint.check_joint`.
    """
    workspace = Workspace(calibration.out)
    records = read_corpus(workspace.corpus)
    made = {spec.name: outputs(calibration, spec, records) for spec in calibration.models}
    for model, rows in made.items():
        _require_all([r.id for r in records if r.id not in rows], len(records), model, "generate")
    joint = _joint(calibration, records, made)
    judged = _judge(calibration, joint, report)
    names = [spec.name for spec in calibration.evaluators]
    check_joint(joint, names, "the measured table")
    tasks = joint["task"].tolist()
    values = {name: list(zip(tasks, joint[name].tolist(), strict=True)) for name in names}
    transform = normalising.fit(values, calibration.scoring.normalise)
    for name, pairs in values.items():
        joint[name] = [normalising.apply(transform, name, task, value) for task, value in pairs]
    costs = measured_costs(calibration, made, report)
    for line in normalising.described(transform):
        report(line)
    parts = {
        "name": calibration.name,
        "scores_table": joint,
        "costs_table": costs.table,
        "tasks": list(dict.fromkeys(record.task for record in records)),
        "models": {spec.name: describe_model(workspace, spec) for spec in calibration.models},
        "evaluators": {
            spec.name: describe_evaluator(workspace, spec) for spec in calibration.evaluators
        },
        "normalisation": transform,
        "hardware": costs.hardware,
    }
    told = [*calibration.caveats, *caveats]
    provenance = provenance_of(calibration, records, judged, costs, transform, told)
    return _publish(workspace, provenance, parts, report)


def _require_all(missing: Sequence[str], wanted: int, whose: str, stage: str) -> None:
    if missing:
        raise InputError(
            f"{whose}: {len(missing):,} of {wanted:,} outputs are missing, the first for record "
            f"{missing[0]!r}; run `poq calibrate {stage}`"
        )


def _joint(
    calibration: Calibration, records: Sequence[Record], made: Mapping[str, Mapping[str, Row]]
) -> pd.DataFrame:
    """Return record, task, model, truth and the evaluators' values as they are."""
    cells = [(record, model) for record in records for model in made]
    joint = pd.DataFrame(
        {
            "record": [record.id for record, _ in cells],
            "task": [record.task for record, _ in cells],
            "model": [model for _, model in cells],
            "truth": [
                truth_score(made[m][r.id]["output"], r.references, calibration.truth)
                for r, m in cells
            ],
            "judge": np.nan,
        }
    )
    for spec in calibration.evaluators:
        rows = scores(calibration, spec)
        missing = [record.id for record, model in cells if (record.id, model) not in rows]
        _require_all(missing, len(cells), spec.name, "score")
        joint[spec.name] = [float(rows[record.id, model]["value"]) for record, model in cells]
    return joint


def _judge(calibration: Calibration, joint: pd.DataFrame, report: Report) -> dict[str, int]:
    """Put the judge's scores where there are any; return how many judged and how many refused."""
    rows = read_judgements(calibration)
    known = {(row["record"], row["model"]): row["score"] for row in rows if "score" in row}
    cells = zip(joint["record"], joint["model"], strict=True)
    joint["judge"] = [float(known.get(cell, np.nan)) for cell in cells]
    counts = {"judged": len(known), "refused": len(rows) - len(known)}
    if calibration.judge is not None and not known:
        report("no judgement yet: the profile has no judge; run `poq calibrate judge`")
    elif counts["refused"]:
        report(f"the judge refused {counts['refused']} of {len(rows)} outputs; they have no score")
    return counts


def _publish(
    workspace: Workspace, provenance: Mapping[str, Any], parts: Mapping[str, Any], report: Report
) -> Path:
    """Write the profile, moving one that says something else out of the way first."""
    folder = workspace.profile
    try:
        room = tempfile.TemporaryDirectory(dir=workspace.out, prefix=".profile-")
    except OSError as error:
        raise InputError(f"cannot write {workspace.out}: {error.strerror or error}") from error
    with room as place:
        new = finish(Path(place) / folder.name, provenance, **parts)
        if folder.exists():
            before, now = read_profile(folder).content_hash, read_profile(new).content_hash
            if before == now:
                report(f"{folder}: already built")
                return folder
            kept = folder.with_name(f"{folder.name}_{before[:12]}")
            if kept.exists():
                raise InputError(f"{kept} is in the way; move it or remove {folder}")
            folder.rename(kept)
            report(f"the profile that was there is kept as {kept.name}")
        new.rename(folder)
    report(f"{folder}: {len(parts['scores_table']):,} rows")
    return folder
