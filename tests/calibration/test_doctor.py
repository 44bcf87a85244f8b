"""The doctor: what is missing is marked, what is left is counted, and nothing is paid for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer

from calibration import doctor
from calibration.configuration import load_configuration
from calibration.corpus.record_samples import build_corpus
from calibration.corpus.records import read_corpus
from calibration.doctor import examine
from calibration.models.generation import generate
from calibration.workspace import Log, Workspace
from tests.conftest import Poq

RECORDS = "id,task,input,reference\n" + "".join(
    f"r{i},qa,Is it {i} or more?,It is {i}\n" for i in range(10)
)


def study(folder: Path, base_url: str, **changes: Any) -> Path:
    (folder / "corpus.csv").write_text(RECORDS)
    prices = "usd_per_million_input: 100, usd_per_million_output: 1000"
    model = changes.get("model", "llm-1")
    (folder / "study.yaml").write_text(
        f"""
out: out
corpus: [{{format: table, path: {changes.get("corpus", "corpus.csv")}}}]
models: [{{name: served, model: {model}, base_url: "{base_url}", {prices}}}]
evaluators: [{{name: cosine, model: ./nowhere, kind: bi_encoder}}]
generation: {{max_new_tokens: 10}}
prompts: {{qa: "{{input}}"}}
judge: {{model: judge-1, base_url: "{base_url}", per_group: 4, {prices}}}
"""
    )
    return folder / "study.yaml"


def told(path: Path) -> dict[str, bool]:
    return {finding.text: finding.is_fine for finding in examine(load_configuration(path))}


def test_a_machine_is_examined_without_a_configuration(poq: Poq) -> None:
    found = poq("calibrate", "doctor")
    assert "openai" in found.out
    assert "device: " in found.out
    assert found.code == (2 if "!!" in found.out else 0)


def test_servers_are_asked_for_their_models_alone(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    with ChatServer(models=["llm-1", "judge-1"]) as server:
        found = told(study(tmp_path, server.base_url))
        place = server.base_url[:-3]
        assert found[f"served: {place} answers and has llm-1"]
        assert found[f"judge: {place} answers and has judge-1"]
        assert found["corpus: 10 records of qa"]
        # 17 characters are 5 tokens: 10 x (5 x 100 + 10 x 1000) dollars per million
        assert found[
            "served: 10 of 10 outputs to make, time not known before the first, at most 0.1 dollars"
        ]
        untimed = "time not known before the first"
        assert any(
            text.startswith(f"judge: 4 questions to ask, {untimed}, about 0.3") for text in found
        )
        assert f"cosine: 10 scores to make, {untimed}" in found
        assert not any(text.startswith("time: ") for text in found)
        assert not all(ok for text, ok in found.items() if text.startswith("cosine: "))
        assert server.bodies == []
        assert not (tmp_path / "out").exists()
        told(study(tmp_path, server.base_url, model="llm-2"))
        assert "lists no 'llm-2', but llm-1, judge-1" in "".join(
            told(study(tmp_path, server.base_url, model="llm-2"))
        )


def test_what_was_done_tells_the_time_of_the_rest(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    with ChatServer(models=["llm-1", "judge-1"]) as server:
        path = study(tmp_path, server.base_url)
        calibration = load_configuration(path)
        doctor.draw_records(calibration, print)
        build_corpus(calibration, lambda _: None)
        model = calibration.models[0].model_copy(update={"max_calls": 5})
        generate(calibration.model_copy(update={"models": (model,)}), lambda _: None)
        texts = "\n".join(told(path))
        assert "served: 5 of 10 outputs to make, about 0:00:0" in texts
        assert "at most 0.052 dollars" in texts
        assert "time: about 0:00:0" in texts
        assert " and 2 parts of 3 unknown" in texts


def test_evaluators_and_judge_are_reckoned_by_what_they_did(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    path = study(tmp_path, "http://127.0.0.1:1/v1")
    asked = "{name: grader, model: m, base_url: 'http://127.0.0.1:1/v1', concurrency: 2"
    prices = "usd_per_million_input: 100, usd_per_million_output: 1000}"
    text = path.read_text().replace("evaluators: [", f"evaluators: [{asked}, {prices}, ")
    path.write_text(text)
    calibration = load_configuration(path)
    build_corpus(calibration, lambda _: None)
    workspace = Workspace(calibration.out)
    for record in read_corpus(workspace.corpus):
        row = {"record": record.id, "model": "served", "output": "It is 1"}
        Log(workspace.generations("served")).append({**row, "seconds": 1.0})
        cosine = {"record": record.id, "model": "served", "evaluator": "cosine", "value": 0.5}
        if record.id < "r5":
            Log(workspace.scores("cosine")).append(cosine)
            Log(workspace.scores("grader")).append({**cosine, "score": 5.0, "seconds": 3.0})
    (workspace.out / "efficiency").mkdir()
    workspace.efficiency("evaluator", "cosine", 64).write_text(
        json.dumps({"latencies_ms": [1000.0, 3000.0], "throughput_tokens_per_s": None,
                    "peak_memory_mb": None, "energy_j": None})
    )  # fmt: skip
    found = told(path)
    assert "cosine: 5 scores to make, about 0:00:10" in found
    # 10 tokens of an output, 3 of its reference, 250 of the prompt; 60 written
    assert "grader: 5 scores to make, about 0:00:08, about 0.43 dollars" in found
    assert "served: 0 of 10 outputs to make, no time, at most nothing" in found


def test_a_server_that_is_down_and_a_corpus_that_is_missing_are_marked(
    poq: Poq, tmp_path: Path
) -> None:
    pytest.importorskip("openai")
    with ChatServer() as server:
        address = server.base_url
    found = poq("calibrate", "doctor", study(tmp_path, address, corpus="gone.csv"))
    assert found.code == 2
    assert "!! served: no model can be reached at" in found.out
    assert "gone.csv" in found.out
