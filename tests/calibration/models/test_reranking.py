"""A reranker as an evaluator: what it is asked, what its number is, what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, Reply, Temper, failing

from calibration.configuration import Calibration, load_configuration
from calibration.corpus.records import Record, write_corpus
from calibration.latency.measurement import measure_asked
from calibration.models.reranking import RerankQuestion, make_rerank_question
from calibration.models.scoring import score, scores
from calibration.profile.building import build
from calibration.workspace import Log, StageCounts, Workspace
from poq_abm.errors import InputError
from poq_abm.profile import read_profile

RECORDS = [Record(f"r{i}", "qa", f"Which is {i}?", (f"It is {i}", f"{i}")) for i in range(4)]
JSON = {"Content-Type": "application/json"}


def shared(query: str, document: str) -> float:
    """Return a number of shared words that, as a logit, may be negative."""
    return len({*query.split()} & {*document.split()}) - 1.5


def ranked(
    body: dict[str, Any], rows: str = "results", number: str = "relevance_score"
) -> list[dict[str, Any]]:
    found = [
        {"index": place, number: shared(body["query"], document)}
        for place, document in enumerate(body["documents"])
    ]
    return sorted(found, key=lambda row: -row[number])


def well(body: dict[str, Any], _: int) -> Reply:
    """Answer as llama.cpp does: the most relevant first."""
    usage = {"prompt_tokens": 100, "total_tokens": 100}
    return said({"model": "rank-1", "results": ranked(body), "usage": usage})


def said(body: Any) -> Reply:
    return 200, JSON, [json.dumps(body).encode()]


class Study:
    """A calibration whose outputs are there, with a reranker as its evaluator."""

    def __init__(self, folder: Path, base_url: str, **changes: Any) -> None:
        self.said: list[str] = []
        scoring = changes.pop("scoring", {})
        spec = {"name": "ranker", "model": "rank-1", "base_url": base_url, "kind": "reranker"}
        self.calibration = Calibration.model_validate(
            {
                "name": "study",
                "out": str(folder / "study"),
                "corpus": [{"format": "table", "path": "corpus.csv"}],
                "models": [{"name": name, "model": f"org/{name}"} for name in ("large", "tiny")],
                "evaluators": [{**spec, "retries": 0, **changes}],
                "scoring": scoring,
            }
        )
        workspace = Workspace(self.calibration.out)
        write_corpus(workspace.corpus, RECORDS)
        for model in ("large", "tiny"):
            for record in RECORDS:
                output = f"It is {record.id[1:]}" if model == "large" else "no idea"
                row = {"record": record.id, "model": model, "output": output}
                Log(workspace.generations(model)).append(row)

    def run(self) -> StageCounts:
        return score(self.calibration, self.said.append)["ranker"]

    @property
    def values(self) -> dict[tuple[str, str], float]:
        found = scores(self.calibration, self.calibration.evaluators[0])
        return {name: row["value"] for name, row in found.items()}


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library is there, and nobody sleeps."""
    pytest.importorskip("openai")
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_references_are_documents_of_the_output_and_the_best_counts(tmp_path: Path) -> None:
    with ChatServer(well) as server:
        study = Study(tmp_path, server.base_url, concurrency=3)
        assert study.run() == StageCounts(8, 0, 8, 0, 0)
        assert study.run() == StageCounts(8, 8, 0, 0, 0)
    assert set(server.paths) == {"/v1/rerank"}
    assert server.bodies[0] == {
        "model": "rank-1",
        "query": "It is 0",
        "documents": ["It is 0", "0"],
    }
    assert study.values["r0", "large"] == 1.5
    assert study.values["r0", "tiny"] == -1.5
    rows, _ = Log(Workspace(study.calibration.out).scores("ranker")).read()
    assert rows[0]["reference"] == 0


def test_of_the_input_the_output_is_the_document(tmp_path: Path) -> None:
    with ChatServer(well) as server:
        Study(tmp_path, server.base_url, scoring={"pairs": "input_output"}).run()
    assert (server.bodies[0]["query"], server.bodies[0]["documents"]) == (
        "Which is 0?",
        ["It is 0"],
    )


def test_time_and_money_of_a_score_stand_in_the_profile(tmp_path: Path) -> None:
    """100 tokens at 20 dollars per million: 0.002 dollars a score."""
    with ChatServer(well) as server:
        study = Study(tmp_path, server.base_url, usd_per_million_input=20.0, max_usd=1.0)
        study.run()
        measure_asked(study.calibration, study.calibration.asked_evaluators[0], study.said.append)
    profile = read_profile(build(study.calibration, study.said.append))
    costs = profile.costs.set_index("node")
    assert costs.loc["ranker", "usd_per_answer"] == pytest.approx(0.002, abs=1e-9)
    assert costs.loc["ranker", "latency_ms"] > 0.0
    assert profile.scores.min() == 0.0
    assert profile.scores.max() == 10.0


def others(rows: str, number: str, usage: dict[str, int]) -> Temper:
    return lambda body, _: said({rows: ranked(body, rows, number), "usage": usage})


@pytest.mark.parametrize(
    ("temper", "tokens"),
    [
        (others("results", "relevance_score", {"total_tokens": 9}), 9),
        (others("data", "relevance_score", {"total_tokens": 9}), 9),
        (others("results", "score", {}), None),
    ],
)
def test_servers_name_things_differently(
    tmp_path: Path, temper: Temper, tokens: int | None
) -> None:
    with ChatServer(temper) as server:
        study = Study(tmp_path, server.base_url)
        assert study.run().made == 8
    rows, _ = Log(Workspace(study.calibration.out).scores("ranker")).read()
    assert {row["input_tokens"] for row in rows} == {tokens}


@pytest.mark.parametrize(
    ("temper", "message"),
    [
        (lambda *_: said({"results": []}), "all refused, .* lacks the relevance of a document"),
        (lambda *_: said({"results": [{"index": 7, "relevance_score": 1}]}), "lacks the relevance"),
        (lambda *_: failing(404, "no route"), "does not know the model 'rank-1' or the path"),
        (lambda *_: said({"hello": 1}), "in a row got no answer: .* without any output"),
    ],
)
def test_a_server_that_ranks_nothing_is_left(tmp_path: Path, temper: Temper, message: str) -> None:
    with ChatServer(temper) as server, pytest.raises(InputError, match=message):
        Study(tmp_path, server.base_url).run()


@pytest.mark.parametrize("reply", ["[null]", "[NaN]", "[1.0, null]", "[Infinity]"])
def test_a_number_that_is_none_is_no_score(reply: str) -> None:
    question: RerankQuestion = make_rerank_question("r", "m", "q", ["d"], "k")
    with pytest.raises(Exception, match="lacks the relevance"):
        question.read(reply)


def test_a_setting_that_a_reranker_cannot_have_is_refused(tmp_path: Path) -> None:
    start = "{name: ranker, model: m, kind: reranker, base_url: 'http://127.0.0.1:1/v1'"
    refused: Sequence[str] = ("usd_per_million_output: 1.0", "api: chat")
    for setting in refused:
        (tmp_path / "study.yaml").write_text(
            "out: o\ncorpus: [{format: squad, path: s}]\nmodels: [qwen2_1_5b]\n"
            f"evaluators: [{start}, {setting}}}]\n"
        )
        with pytest.raises(InputError, match="a reranker is asked in one way"):
            load_configuration(tmp_path / "study.yaml")
