"""The whole calibration on tiny models made on the spot: every stage runs, nothing is downloaded.

The models have random weights, so the scores say nothing about quality, and the profile says so.
What is real is the code that runs: tokenizers, generation, encoders, a judge behind HTTP, timing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from calibration.building import build
from calibration.configuration import Calibration, load_configuration
from calibration.corpus import build_corpus
from calibration.efficiency import measure
from calibration.extra import require
from calibration.files import write_whole
from calibration.generation import generate
from calibration.jsonl import to_line
from calibration.judge_server import JudgeServer
from calibration.judging import judge
from calibration.libraries import library
from calibration.scoring import score
from calibration.tiny import TinyModels, build_tiny
from poq_abm.errors import InputError

__all__ = ["CAVEAT", "demo", "demo_records"]

CAVEAT = "demonstration on tiny models with random weights: the quality figures mean nothing"
_TOWNS = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Ivy", "Juniper")
_BUILT = ("bridge", "library", "mill", "harbour", "school", "tower")
_YEARS = range(1801, 1990, 19)


def demo_records() -> list[dict[str, object]]:
    """Return twenty made-up records, ten of each task.

    >>> demo_records()[0]["references"]
    ['1801']
    """
    records: list[dict[str, object]] = []
    for number, (town, year) in enumerate(zip(_TOWNS, _YEARS, strict=True)):
        built = _BUILT[number % len(_BUILT)]
        fact = f"The {built} of {town} was opened in {year}."
        question = f"When was the {built} of {town} opened?"
        records.append(
            {
                "id": f"qa-{number}",
                "task": "qa",
                "input": f"{question}\n\n{fact} It stands near the river.",
                "references": [str(year)],
            }
        )
        records.append(
            {
                "id": f"summary-{number}",
                "task": "summarization",
                "input": f"{fact} People came from every village around. There was music until "
                "the evening. The mayor spoke for an hour.",
                "references": [fact],
            }
        )
    return records


def demo(out: Path, report: Callable[[str], None]) -> Path:
    """Run every stage in the folder ``out`` and return the folder of the profile.

    Raises
    ------
    InputError
        If the libraries are missing, or the folder holds something else.
    """
    require("torch", "transformers", "sentence_transformers", "openai")
    strange = out.is_dir() and any(path.name != ".lock" for path in out.iterdir())
    if strange and not (out / "calibration.yaml").is_file():
        raise InputError(f"{out} holds something else; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    records = demo_records()
    corpus = out / "records.jsonl"
    write_whole(corpus, "".join(to_line(record).decode() for record in records))
    # Models this small lose more by waiting for each other's threads than they gain.
    library("torch").set_num_threads(1)
    report("building tiny models")
    models = build_tiny(out / "models", [str(record["input"]) for record in records])
    with JudgeServer() as server:
        file = out / "calibration.yaml"
        write_whole(file, yaml.safe_dump(_configuration(models, server.base_url), sort_keys=False))
        return _stages(load_configuration(file), report)


def _stages(calibration: Calibration, report: Callable[[str], None]) -> Path:
    for stage in (build_corpus, generate, score, judge, measure):
        stage(calibration, report)
    return build(calibration, report)


def _configuration(models: TinyModels, judge_url: str) -> dict[str, object]:
    here = {
        "cross_encoder": models.cross_encoder.name,
        "entailment": models.entailment.name,
        "bi_encoder": models.bi_encoder.name,
    }

    def folder(name: str) -> str:
        return f"./models/{name}"

    return {
        "name": "demo",
        "out": ".",
        "corpus": [{"format": "table", "path": "records.jsonl", "task_column": "task"}],
        "models": [
            {"name": path.name, "model": folder(path.name), "dtype": "float32"}
            for path in models.language.values()
        ],
        "evaluators": [
            {
                "name": "tiny_cross",
                "model": folder(here["cross_encoder"]),
                "kind": "cross_encoder",
                "activation": "sigmoid",
            },
            {
                "name": "tiny_nli",
                "model": folder(here["entailment"]),
                "kind": "cross_encoder",
                "activation": "entailment",
            },
            {"name": "tiny_bi", "model": folder(here["bi_encoder"]), "kind": "bi_encoder"},
        ],
        "generation": {"max_new_tokens": 24, "device": "cpu"},
        "scoring": {"device": "cpu"},
        "judge": {"model": "demo-judge", "base_url": judge_url, "per_group": 5},
        "efficiency": {"prompts": 5, "warm_up": 1, "new_tokens": 16},
        "caveats": [CAVEAT],
    }
