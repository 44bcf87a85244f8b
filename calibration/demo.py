"""The whole calibration on tiny models made on the spot: every stage runs, nothing is downloaded.

The models have random weights, so the scores say nothing about quality, and the profile says so.
What is real is the code that runs: tokenizers, generation, encoders, a judge behind HTTP, timing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import yaml

from calibration.configuration import Calibration, load_configuration
from calibration.corpus.record_samples import build_corpus
from calibration.judge.judging import judge
from calibration.latency.measurement import measure
from calibration.libraries import library, require
from calibration.models.generation import generate
from calibration.models.scoring import score
from calibration.models.tiny import TinyModels, build_tiny
from calibration.profile.building import build
from calibration.workspace import to_line, write_whole
from poq_abm.errors import InputError

__all__ = ["CAVEAT", "demo", "demo_records", "grade"]

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
    with _judge_at() as judge_url:
        file = out / "calibration.yaml"
        write_whole(file, yaml.safe_dump(_configuration(models, judge_url), sort_keys=False))
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


def grade(text: str) -> float:
    """Return the demonstration's score for one question to the judge, in [0, 10], one decimal.

    Nine times the share of words (Dice) that the answer has in common with its nearest reference,
    plus a part in [0, 1] taken from a digest of the question.

    >>> grade('{"references": ["Denver Broncos"], "answer": "Denver Broncos"}')
    9.2
    """
    try:
        question = json.loads(text)
        answer, references = question["answer"], question["references"]
    except (ValueError, KeyError, TypeError):
        answer, references = text, []
    shares = [_dice(_words(answer), _words(reference)) for reference in references]
    part = hashlib.sha256(text.encode(errors="replace")).digest()[0] / 255.0
    return round(9.0 * max(shares, default=0.0) + part, 1)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _dice(one: set[str], other: set[str]) -> float:
    return 2.0 * len(one & other) / (len(one) + len(other)) if one or other else 0.0


@contextmanager
def _judge_at() -> Iterator[str]:
    """Serve a judge on a free port of 127.0.0.1 and yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _JudgeHandler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _JudgeHandler(BaseHTTPRequestHandler):
    """Replies of the Responses API that hold a :func:`grade`."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        verdict = {"score": grade(body["input"]), "justification": "Graded by shared words."}
        said = [{"type": "output_text", "text": json.dumps(verdict)}]
        reply = {
            "output": [{"type": "message", "role": "assistant", "content": said}],
            "usage": {"input_tokens": 200, "output_tokens": 20},
        }
        content = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""
