"""A language model as an evaluator: asked for scores by a prompt, timed, priced, bounded."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from judge_server import JudgeServer

from calibration.configuration import Calibration, load_configuration
from calibration.corpus.records import Record, write_corpus
from calibration.demo import grade
from calibration.judge.verdicts import SCORE_PROMPT
from calibration.latency.measurement import measure_asked, read_measurement
from calibration.models.scoring import score, scores
from calibration.profile.building import build
from calibration.workspace import Log, StageCounts, Workspace
from poq_abm.errors import InputError
from poq_abm.profile import read_profile

pytest.importorskip("openai")

RECORDS = [Record(f"r{i}", "qa", f"Which is {i}?", (f"It is {i}", f"{i}")) for i in range(4)]
PRICES = {"usd_per_million_input": 10.0, "usd_per_million_output": 50.0}


class Study:
    """A calibration whose outputs are there, with one evaluator behind a server."""

    def __init__(self, folder: Path, base_url: str, **changes: Any) -> None:
        self.said: list[str] = []
        scoring = changes.pop("scoring", {})
        spec = {"name": "grader", "model": "llm-1", "base_url": base_url, "retries": 0, **changes}
        self.calibration = Calibration.model_validate(
            {
                "name": "study",
                "out": str(folder / "study"),
                "corpus": [{"format": "table", "path": "corpus.csv"}],
                "models": [{"name": name, "model": f"org/{name}"} for name in ("large", "tiny")],
                "evaluators": [spec],
                "scoring": scoring,
            }
        )
        workspace = Workspace(self.calibration.out)
        self.log = Log(workspace.scores("grader"))
        if workspace.corpus.exists():
            return
        write_corpus(workspace.corpus, RECORDS)
        for model in ("large", "tiny"):
            for record in RECORDS:
                output = f"It is {record.id[1:]}" if model == "large" else "no idea"
                row = {"record": record.id, "model": model, "output": output}
                Log(workspace.generations(model)).append(row)

    def run(self) -> StageCounts:
        return score(self.calibration, self.said.append)["grader"]

    @property
    def values(self) -> dict[tuple[str, str], float]:
        found = scores(self.calibration, self.calibration.evaluators[0])
        return {name: row["value"] for name, row in found.items()}


@pytest.fixture(autouse=True)
def sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sleeps."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_every_output_is_scored_beside_all_its_references(tmp_path: Path) -> None:
    with JudgeServer() as server:
        study = Study(tmp_path, server.base_url, concurrency=3)
        assert study.run() == StageCounts(8, 0, 8, 0, 0)
        assert study.run() == StageCounts(8, 8, 0, 0, 0)
    assert len(server.questions) == 8
    asked = json.loads(server.questions[0]["input"])
    assert asked == {"references": ["It is 0", "0"], "answer": "It is 0"}
    assert server.questions[0]["instructions"] == SCORE_PROMPT
    assert study.values["r0", "large"] == grade(server.questions[0]["input"])
    assert study.values["r0", "large"] > study.values["r0", "tiny"]


def test_an_output_is_scored_beside_its_input_where_pairs_say_so(tmp_path: Path) -> None:
    with JudgeServer() as server:
        Study(tmp_path, server.base_url, scoring={"pairs": "input_output"}).run()
    assert json.loads(server.questions[0]["input"]) == {
        "input": "Which is 0?",
        "answer": "It is 0",
    }


def test_a_refused_score_is_asked_for_again(tmp_path: Path) -> None:
    with JudgeServer("well", "refusal", "well") as server:
        study = Study(tmp_path, server.base_url)
        assert study.run() == StageCounts(8, 0, 7, 0, 0)
        assert "grader: 1 outputs got no score; run again to ask" in study.said
        assert study.run() == StageCounts(8, 7, 1, 0, 0)
    assert len(study.values) == 8


def test_a_server_of_which_nothing_can_be_read_is_left(tmp_path: Path) -> None:
    with (
        JudgeServer("malformed") as server,
        pytest.raises(InputError, match=r"all refused, .* run `poq calibrate score`"),
    ):
        Study(tmp_path, server.base_url).run()


def test_time_and_money_of_a_score_stand_in_the_profile(tmp_path: Path) -> None:
    """200 tokens at 10 and 20 at 50 dollars per million: 0.003 dollars a score."""
    with JudgeServer() as server:
        study = Study(tmp_path, server.base_url, **PRICES)
        study.run()
        spec = study.calibration.asked_evaluators[0]
        file = measure_asked(study.calibration, spec, study.said.append)
    found = read_measurement(file)
    assert (found["role"], found["weights"], found["new_tokens"]) == ("evaluator", "endpoint", None)
    profile = read_profile(build(study.calibration, study.said.append))
    costs = profile.costs.set_index("node")
    assert costs.loc["grader", "usd_per_answer"] == pytest.approx(0.003, abs=1e-9)
    assert costs.loc["grader", "latency_ms"] > 0.0
    assert profile.evaluators == ("grader",)


def test_a_budget_ends_in_the_middle(tmp_path: Path) -> None:
    with JudgeServer() as server:
        study = Study(tmp_path, server.base_url, max_calls=3, concurrency=2)
        assert study.run() == StageCounts(8, 0, 3, 0, 0)
    assert "grader: stopped: the budget of 3 calls is spent" in study.said


def test_a_misspelt_key_is_told_with_its_place(tmp_path: Path) -> None:
    spec = {"name": "grader", "model": "m", "base_url": "http://127.0.0.1:1/v1", "activaton": "x"}
    text = (
        f"out: o\ncorpus: [{{format: squad, path: s}}]\nmodels: [qwen2_1_5b]\nevaluators: [{spec}]"
    )
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(InputError, match=r"evaluators\.0\.activaton: unknown key"):
        load_configuration(tmp_path / "study.yaml")
