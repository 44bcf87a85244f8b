"""Last stage: everything that was measured, joined into one profile that says what was not."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.configuration import Calibration
from calibration.corpus.records import SLOT, Record, instruction, read_corpus
from calibration.judge.judging import read_judgements, read_verdicts
from calibration.judge.pairs import order_effect, pair_scores
from calibration.models.generation import outputs
from calibration.models.scoring import scores
from calibration.models.server_keys import origin
from calibration.profile.costs import Costs, measured_costs
from calibration.profile.joint import check_joint, write_with_findings
from calibration.profile.scales import described_ranges, fit_ranges, points_of
from calibration.profile.truth import truth_score
from calibration.stage_settings import AskedEvaluatorSpec, EndpointSpec, EvaluatorSpec, ModelSpec
from calibration.workspace import Log, Workspace, digest, read_stamp, without_folder
from poq_abm.errors import InputError
from poq_abm.profile import ProfileDescription, read_profile

__all__ = ["build", "describe_evaluator", "describe_model", "provenance_of"]

Report = Callable[[str], None]
Row = dict[str, Any]


def build(calibration: Calibration, report: Report, *, caveats: Sequence[str] = ()) -> Path:
    """Write the profile of a calibration and return its folder, ``profile`` in the workspace.

    Every record needs an output of every model and a score of it by every evaluator; the judge may
    be missing, in part or whole. A profile that is already there and says the same is left as it
    is; another one is kept under a name that ends in its hash. ``caveats`` are added to the
    provenance, after those of the configuration.

    Raises :class:`~poq_abm.errors.InputError` when a stage before is not finished, naming it, and
    for every fault of :func:`calibration.profile.joint.check_joint`.
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
    transform = fit_ranges(values, calibration.scoring.normalise)
    for name, pairs in values.items():
        joint[name] = [points_of(transform, name, task, value) for task, value in pairs]
    costs = measured_costs(calibration, made, report)
    for line in described_ranges(transform):
        report(line)
    told = [*calibration.caveats, *caveats]
    description = ProfileDescription(
        name=calibration.name,
        tasks=list(dict.fromkeys(record.task for record in records)),
        models={spec.name: describe_model(workspace, spec) for spec in calibration.models},
        evaluators={
            spec.name: describe_evaluator(workspace, spec) for spec in calibration.evaluators
        },
        normalisation=transform,
        hardware=costs.hardware,
        provenance=provenance_of(calibration, records, judged, costs, transform, told),
    )
    return _publish(
        workspace,
        lambda folder: write_with_findings(folder, description, joint, costs.table),
        len(joint),
        report,
    )


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
                truth_score(made[m][r.id]["output"], r.references, calibration.metric_of(r.task))
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


def _compared(calibration: Calibration, records: Sequence[Record]) -> dict[str, Any]:
    """Return what a judge of pairs found: a score for each model and task, with its interval."""
    if calibration.judge is None or calibration.judge.mode == "score":
        return {}
    rows = read_verdicts(calibration)
    table = pair_scores(rows, records, [spec.name for spec in calibration.models])
    pairs, decided = order_effect(rows)
    return {
        "mode": calibration.judge.mode,
        "bradley_terry": [
            _without_nan({str(key): value for key, value in row.items()})
            for row in table.to_dict("records")
        ],
        "pairs_in_both_orders": pairs,
        "decided_by_order": decided,
    }


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
    workspace: Workspace, write: Callable[[Path], Path], rows: int, report: Report
) -> Path:
    """Write the profile, moving one that says something else out of the way first."""
    folder = workspace.profile
    try:
        room = tempfile.TemporaryDirectory(dir=workspace.out, prefix=".profile-")
    except OSError as error:
        raise InputError(f"cannot write {workspace.out}: {error.strerror or error}") from error
    with room as place:
        new = write(Path(place) / folder.name)
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
    report(f"{folder}: {rows:,} rows")
    return folder


def describe_model(workspace: Workspace, spec: ModelSpec | EndpointSpec) -> dict[str, Any]:
    """Return what the profile says of an inference model beside its name.

    Of an endpoint that is how many requests its answers took and how many questions had none.
    """
    if isinstance(spec, EndpointSpec):
        rows, _ = Log(workspace.generations(spec.name)).read()
        return {
            "checkpoint": spec.model,
            "endpoint": origin(spec.base_url),
            "served": without_folder(
                next((row["served"] for row in rows[::-1] if row.get("served")), "")
            ),
            "options": spec.options,
            "usd_per_million_input": spec.usd_per_million_input,
            "usd_per_million_output": spec.usd_per_million_output,
            "requests": sum(row.get("attempts") or 0 for row in rows),
            "errors": sum((row.get("attempts") or 1) - ("error" not in row) for row in rows),
        }
    return {
        "checkpoint": without_folder(spec.model),
        **_stamped(workspace.generations(spec.name)),
        "dtype": spec.dtype,
        "prompt": spec.prompt,
        "batch_size": spec.batch_size,
    }


def describe_evaluator(
    workspace: Workspace, spec: EvaluatorSpec | AskedEvaluatorSpec
) -> dict[str, Any]:
    """Return what the profile says of an evaluator beside its name."""
    own_pairs = {} if spec.pairs is None else {"pairs": spec.pairs}
    if isinstance(spec, AskedEvaluatorSpec):
        return {
            "checkpoint": spec.model,
            "endpoint": origin(spec.base_url),
            "kind": spec.kind,
            **own_pairs,
            "usd_per_million_input": spec.usd_per_million_input,
            "usd_per_million_output": spec.usd_per_million_output,
        }
    return {
        "checkpoint": without_folder(spec.model),
        **_stamped(workspace.scores(spec.name)),
        "kind": spec.kind,
        **own_pairs,
        "activation": spec.activation,
        "label": spec.label,
        "dtype": spec.dtype,
        "batch_size": spec.batch_size,
    }


def provenance_of(
    calibration: Calibration,
    records: Sequence[Record],
    judged: Mapping[str, int],
    costs: Costs,
    transform: Mapping[str, Any],
    caveats: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the provenance of a measured profile; it names no folder of this machine."""
    sizes = Counter(record.task for record in records)
    told = ", ".join(f"{count:,} of {task}" for task, count in sizes.items())
    measured = [
        f"Outputs of {len(calibration.models)} models for {len(records):,} records ({told}), at "
        f"most {calibration.generation.max_new_tokens} new tokens.",
        f"Truth: {_metrics(calibration, sizes)} times 10, the maximum over the references.",
        f"Scores of {len(calibration.evaluators)} evaluators, on pairs of {_pairs(calibration)}.",
    ]
    if calibration.judge is not None and judged["judged"]:
        measured.append(
            f"Judge scores of {judged['judged']:,} outputs by {calibration.judge.model}"
            f"{_JUDGED_BY[calibration.judge.mode]}; it refused {judged['refused']:,}."
        )
    return {
        "summary": f"Measured: {len(records):,} records, {len(calibration.models)} models, "
        f"{len(calibration.evaluators)} evaluators.",
        "source": "poq calibrate",
        "published": [],
        "measured": [*measured, *costs.measured],
        "inferred": [
            *described_ranges(transform),
            *costs.inferred,
        ],
        "assumed": [*_decoding(calibration), *costs.assumed],
        "caveats": list(caveats),
        "corpus": {
            "sources": [
                {"format": source.format, "file": Path(source.path).name, "sample": source.sample}
                for source in calibration.corpus
            ],
            "records_sha256": digest(
                [[r.id, r.task, r.input, list(r.references)] for r in records]
            ),
        },
        "generation": calibration.generation.model_dump(exclude={"device"}),
        "truth": calibration.truth,
        "scoring": calibration.scoring.model_dump(exclude={"device"}),
        "prompts": {task: _template(task, calibration) for task in sizes},
        "judge": None
        if calibration.judge is None
        else {
            "model": calibration.judge.model,
            **judged,
            **_compared(calibration, records),
        },
        "seed": calibration.seed,
        "efficiency": [_without_nan(row) for row in costs.batches],
    }


_JUDGED_BY = {"score": "", "pairs": ", ten times the share of comparisons each won"}


def _pairs(calibration: Calibration) -> str:
    read = dict.fromkeys(calibration.pairs_of(spec) for spec in calibration.evaluators)
    return " or ".join(kind.replace("_", " and ") for kind in read)


def _metrics(calibration: Calibration, tasks: Iterable[str]) -> str:
    of_task = {task: calibration.metric_of(task) for task in tasks}
    if len(set(of_task.values())) == 1:
        return next(iter(of_task.values()))
    return ", ".join(f"{metric} ({task})" for task, metric in of_task.items()) + ","


def _decoding(calibration: Calibration) -> list[str]:
    """Say that the paper names no temperature and no nucleus, where ours stand in for them."""
    decoding, defaults = calibration.generation, type(calibration.generation)()
    if (decoding.temperature, decoding.top_p) != (defaults.temperature, defaults.top_p):
        return []
    return [
        f"Decoding at temperature {decoding.temperature:g} from the nucleus of {decoding.top_p:g}: "
        "arXiv:2512.16317 says nucleus sampling with moderate temperature, and no value."
    ]


def _template(task: str, calibration: Calibration) -> str:
    return instruction(Record("", task, SLOT, ()), calibration.prompts)


def _stamped(log: Path) -> dict[str, Any]:
    stamp = read_stamp(log)
    if stamp is None:
        return {}
    return {"revision": stamp.revision, "device": stamp.device, "versions": dict(stamp.versions)}


def _without_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in row.items()
    }
