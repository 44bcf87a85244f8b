"""What a measured profile says of itself: what was measured, with what, and what was not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.caching import digest, read_stamp
from calibration.configuration import Calibration, EvaluatorSpec, ModelSpec
from calibration.folders import Workspace
from calibration.normalising import described
from calibration.prompts import SLOT, instruction
from calibration.records import Record

if TYPE_CHECKING:
    from calibration.measured_costs import Costs

__all__ = ["describe_evaluator", "describe_model", "provenance_of"]


def describe_model(workspace: Workspace, spec: ModelSpec) -> dict[str, Any]:
    """Return what the profile says of an inference model beside its name."""
    return {
        "checkpoint": _checkpoint(spec.model),
        **_stamped(workspace.generations(spec.name)),
        "dtype": spec.dtype,
        "prompt": spec.prompt,
        "batch_size": spec.batch_size,
    }


def describe_evaluator(workspace: Workspace, spec: EvaluatorSpec) -> dict[str, Any]:
    """Return what the profile says of an evaluator beside its name."""
    return {
        "checkpoint": _checkpoint(spec.model),
        **_stamped(workspace.scores(spec.name)),
        "kind": spec.kind,
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
        f"Truth: {calibration.truth} times 10, the maximum over the references.",
        f"Scores of {len(calibration.evaluators)} evaluators, on pairs of "
        f"{calibration.scoring.pairs.replace('_', ' and ')}.",
    ]
    if calibration.judge is not None and judged["judged"]:
        measured.append(
            f"Judge scores of {judged['judged']:,} outputs by {calibration.judge.model}; it "
            f"refused {judged['refused']:,}."
        )
    return {
        "summary": f"Measured: {len(records):,} records, {len(calibration.models)} models, "
        f"{len(calibration.evaluators)} evaluators.",
        "source": "poq calibrate",
        "published": [],
        "measured": [*measured, *costs.measured],
        "inferred": [
            *described(transform),
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
        else {"model": calibration.judge.model, **judged},
        "seed": calibration.seed,
        "efficiency": [_without_nan(row) for row in costs.batches],
    }


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


def _checkpoint(model: str) -> str:
    """Return a hub id as it is, and of a folder its name alone."""
    path = Path(model).expanduser()
    return path.name if path.is_absolute() or path.is_dir() else model


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
