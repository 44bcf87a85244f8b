"""A whole calibration of servers alone: no torch, every stage, a profile, and a run planned."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from chat_server import ChatServer, streamed
from judge_server import JudgeServer

from calibration.configuration import load_configuration
from calibration.corpus.record_samples import build_corpus
from calibration.doctor import examine
from calibration.judge.judging import judge
from calibration.latency.measurement import measure
from calibration.models.checkpoints import check_models
from calibration.models.endpoint_answers import check_endpoints
from calibration.models.generation import generate
from calibration.models.scoring import score
from calibration.profile.building import build
from poq_abm.profile import read_profile
from tests.conftest import Poq

pytest.importorskip("openai")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "calibration.md"
QUESTIONS = "input,reference\n" + "".join(f"Which number is {i}?,It is {i}\n" for i in range(6))


def test_the_study_of_the_docs_needs_servers_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, poq: Poq
) -> None:
    for name in ("torch", "transformers", "sentence_transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    page = PAGE.read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n# mine\.yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "questions.csv").write_text(QUESTIONS)

    def answer(body: dict, before: int):  # type: ignore[no-untyped-def, type-arg]
        said = ["It", " is", f" {before % 3}"] if body["model"].startswith("qwen") else ["None"]
        return streamed(body, said)

    with ChatServer(answer) as server, JudgeServer() as grader:
        text = re.sub(r"(name: (?:gemma|qwen_grader).*?)http://127.0.0.1:11434/v1",
                      rf"\1{grader.base_url}", text)  # fmt: skip
        text = text.replace("http://127.0.0.1:11434/v1", server.base_url)
        text += f"judge: {{model: j, base_url: '{grader.base_url}', mode: pairs}}\n"
        (tmp_path / "mine.yaml").write_text(text)
        calibration = load_configuration(tmp_path / "mine.yaml")
        assert [finding.text for finding in examine(calibration) if not finding.is_fine] == []
        check_models(calibration)
        check_endpoints([*calibration.endpoints, *calibration.asked_evaluators])
        for stage in (build_corpus, generate, score, judge, measure):
            stage(calibration, lambda _: None)
        folder = build(calibration, lambda _: None)
    monkeypatch.undo()
    profile = read_profile(folder)
    assert profile.scores.shape == (6, 2, 2)
    assert profile.provenance["judge"]["pairs_in_both_orders"] == 6
    command = re.search(r"poq run (cost_aware_poq --set profile=runs/mine.*?)```", page, re.DOTALL)
    assert command is not None
    options = [
        option.strip("'").replace("runs/mine/profile", str(folder))
        for option in re.findall(r"--set ('[^']*'|\S+)", command[1])
    ]
    sets = [part for option in options for part in ("--set", option)]
    plan = poq("plan", "cost_aware_poq", *sets, "--rounds", 50, "--replications", 2)
    assert plan.code == 0, plan.err
