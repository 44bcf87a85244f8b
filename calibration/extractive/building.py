"""From a file of questions to the profile ``extractive_baselines``."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.extractive.clocks import latencies_of
from calibration.extractive.evaluators import EVALUATORS, encoder_source, load_encoder
from calibration.extractive.provenance import provenance
from calibration.extractive.systems import SYSTEMS
from calibration.extractive.tables import (
    TASK,
    cost_table,
    normalised,
    questions_of,
    raw_table,
)
from calibration.files import naming
from calibration.hardware import hardware_stamp
from calibration.joint import check_joint, finish
from calibration.settings import CorpusSource
from calibration.sources import read_source
from calibration.timing import quantiles
from poq_abm.errors import InputError
from poq_abm.profile import read_profile
from poq_abm.profile.layout import HEADER_FILE, SCORES_FILE

__all__ = ["NAME", "build_profile"]

NAME = "extractive_baselines"


def build_profile(
    corpus: str | Path,
    folder: str | Path,
    *,
    limit: int | None = None,
    keep_scores: str | Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Path:
    """Answer, score and time the questions of ``corpus`` and write the profile to ``folder``.

    ``corpus`` is a file in SQuAD's format; ``limit`` takes its first questions. ``keep_scores`` is
    an earlier profile of the same questions and encoder: its scores are kept and only the times are
    measured again, on this machine.

    Raises :class:`~poq_abm.errors.InputError` when ``folder`` exists, when the file is not in that
    format, when the encoder is not installed, and when the earlier profile is of something else.
    """
    corpus, folder = Path(corpus), Path(folder)
    if folder.exists():
        raise InputError(f"{str(folder)!r} exists; a profile is never overwritten")
    records = read_source(CorpusSource(format="squad", path=corpus))[:limit]
    if len(records) < 2:
        raise InputError(f"{corpus}: a profile needs two questions or more, found {len(records)}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    encoder = load_encoder()
    made_of = {
        "corpus": {"file": corpus.name, "sha256": _sha256(corpus), "questions": len(records)},
        "encoder_revision": encoder_source().revision,
    }
    if keep_scores is not None:
        table, transform = _kept(Path(keep_scores), made_of)
    latencies, memory = latencies_of(records, questions_of(records), encoder, report)
    if keep_scores is None:
        raw = raw_table(records, encoder, report)
        check_joint(raw, list(EVALUATORS), str(corpus))
        table, transform = normalised(raw)
    stamp = hardware_stamp("cpu")
    return finish(
        folder,
        provenance(
            made_of,
            stamp=stamp,
            load_average=load,
            latencies=_described(latencies),
        ),
        name=NAME,
        scores_table=table,
        costs_table=cost_table(latencies, stamp["hardware"], memory),
        tasks={TASK: {"source": "questions on one paragraph each; the answer is a piece of it"}},
        models={
            name: {"description": str(system.__doc__).splitlines()[0]}
            for name, system in SYSTEMS.items()
        },
        evaluators=EVALUATORS,
        normalisation=transform,
        hardware={stamp["hardware"]: {"cpu": stamp["cpu"], "system": stamp["system"]}},
    )


def _kept(folder: Path, made_of: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the scores and the transform of an earlier profile, if it was made of the same."""
    profile = read_profile(folder)
    for part, wanted in made_of.items():
        if profile.provenance.get(part) != wanted:
            raise InputError(f"{folder} has another {part}: its scores cannot be kept")
    header = json.loads((folder / HEADER_FILE).read_text(encoding="utf-8"))
    return pd.read_parquet(folder / SCORES_FILE), header["normalisation"]


def _described(latencies: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        node: {name: float(f"{value:.4g}") for name, value in quantiles(values).items()}
        | {"count": len(values)}
        for node, values in latencies.items()
    }


def _sha256(path: Path) -> str:
    with naming(path, "read"):
        return hashlib.sha256(path.read_bytes()).hexdigest()
