"""The profile ``extractive_baselines``: classical systems on real questions, measured end to end.

``python -m calibration.shipped.extractive_baselines CORPUS FOLDER`` rebuilds it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.corpus.formats import read_source
from calibration.latency.machine import hardware_stamp
from calibration.latency.timing import quantiles
from calibration.profile.joint import check_joint, write_with_findings
from calibration.shipped.extractive_measures import (
    BATCH,
    BATCH_REPEATS,
    BATCHES,
    EVALUATORS,
    REPEATS,
    TASK,
    WARM_UP,
    cost_table,
    encoder_source,
    latencies_of,
    load_encoder,
    normalised,
    questions_of,
    raw_table,
)
from calibration.shipped.extractive_systems import SYSTEMS
from calibration.stage_settings import CorpusSource
from calibration.workspace import naming
from poq_abm.errors import InputError
from poq_abm.profile import ProfileDescription, read_profile
from poq_abm.profile.validity import HEADER_FILE, SCORES_FILE

__all__ = ["NAME", "build_profile", "main", "provenance"]

MEASURED = [
    "Every answer: five classical systems answered every question from its paragraph alone.",
    "Truth: ten times the token F1 with SQuAD's normalisation, the largest over the references.",
    "The scores of minilm_reference and minilm_input: cosines of all-MiniLM-L6-v2 in float32, with "
    "the weights that a package of the Python Package Index carries.",
    "The scores of question_overlap and length_ratio: two rules of thumb, computed.",
    f"The latency of each system and each rule of thumb: for each question the median of {REPEATS} "
    f"calls, after {WARM_UP} questions that do not count; all of them took turns.",
    f"The latency of the encoder per pair: {BATCHES} batches of {BATCH} different pairs, for "
    f"each the median of {BATCH_REPEATS} runs, after {WARM_UP} batches that do not count, "
    "tokenizing included; both kinds of pairs took turns.",
    "Peak memory of the encoder: the largest resident set of the process, libraries included.",
]
ASSUMED = [
    f"An evaluator's latency is its share of a batch of {BATCH}, as if pairs came {BATCH} at a "
    "time.",
    "Min-max normalisation over all answers; the transform is kept under normalisation.",
]
CAVEATS = [
    "There is no judge: that column is NaN.",
    "The systems pick words of the paragraph. They stand for cheap, honest, mediocre inference, "
    "not for language models, and a whole sentence has a low F1 by its length alone.",
    "truth, minilm_reference and length_ratio read the same reference.",
    "The systems are plain Python: their latencies compare with each other and not with those of "
    "another implementation.",
    "Other processes ran on the machine; load_average is the number of busy ones at the start. "
    "Taking turns makes it slow all nodes alike: ratios of latencies are better known than their "
    "size.",
    "Energy was not measured; a piece of text has no tokens per second. Both are NaN.",
    "In the file as it comes, several questions share a paragraph: records are not independent.",
]


def provenance(
    made_of: Mapping[str, Any],
    *,
    stamp: Mapping[str, Any],
    load_average: float | None,
    latencies: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the provenance of the profile as plain JSON; it holds numbers, never a text.

    ``made_of`` says which questions and which encoder; ``latencies`` are quantiles in milliseconds
    by node.
    """
    return {
        "summary": "Measured end to end: classical systems on real questions, scored by a real "
        "bi encoder and two rules of thumb, timed on one processor.",
        "source": "XQuAD, English: questions of SQuAD v1.1 (Artetxe, Ruder, Yogatama 2020, "
        "arXiv:1910.11856; Rajpurkar et al. 2016, arXiv:1606.05250)",
        "licence": "The questions are under CC BY-SA 4.0. The profile holds numbers computed from "
        "them and no text; records are numbered in the order of the file.",
        "rebuild": "python -m calibration.shipped.extractive_baselines CORPUS FOLDER",
        "measured": MEASURED,
        "published": [],
        "inferred": [],
        "assumed": ASSUMED,
        "caveats": CAVEATS,
        **made_of,
        "load_average": None if load_average is None else round(load_average, 1),
        "latency_quantiles_ms": dict(latencies),
        "stamp": dict(stamp),
    }


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
    description = ProfileDescription(
        name=NAME,
        tasks={TASK: {"source": "questions on one paragraph each; the answer is a piece of it"}},
        models={
            name: {"description": str(system.__doc__).splitlines()[0]}
            for name, system in SYSTEMS.items()
        },
        evaluators=EVALUATORS,
        normalisation=transform,
        hardware={stamp["hardware"]: {"cpu": stamp["cpu"], "system": stamp["system"]}},
        provenance=provenance(
            made_of, stamp=stamp, load_average=load, latencies=_described(latencies)
        ),
    )
    costs = cost_table(latencies, stamp["hardware"], memory)
    return write_with_findings(folder, description, table, costs)


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


def main(arguments: list[str] | None = None) -> int:
    """Write the profile to the folder named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.shipped.extractive_baselines",
        description="Measure classical question-answering systems and write them as a profile.",
    )
    parser.add_argument("corpus", type=Path, help="questions in SQuAD's JSON format")
    parser.add_argument("folder", type=Path, help="folder to write; it must not exist")
    parser.add_argument("--limit", type=int, help="take this many questions from the start")
    parser.add_argument(
        "--keep-scores",
        type=Path,
        metavar="PROFILE",
        help="earlier profile of the same questions: keep its scores, measure the times alone",
    )
    given = parser.parse_args(arguments)
    try:
        folder = build_profile(
            given.corpus,
            given.folder,
            limit=given.limit,
            keep_scores=given.keep_scores,
            report=_say,
        )
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{folder}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
