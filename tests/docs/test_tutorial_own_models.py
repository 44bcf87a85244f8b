"""The tutorial for one's own models leads to their reward table, by its own commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from chat_server import ChatServer, streamed
from docs_support import WIDTH, blocks, commands, misfits
from judge_server import JudgeServer

from tests.conftest import Poq

pytest.importorskip("openai")

PAGE = Path(__file__).parents[2] / "docs" / "tutorial_own_models.md"
OLLAMA = "http://127.0.0.1:11434/v1"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]


def test_every_command_leads_to_a_reward_table(
    poq: Poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    (questions,), (study,) = blocks(PAGE, "csv"), blocks(PAGE, "yaml")
    assert [verb for verb, *_ in commands(PAGE)] == ["calibrate", "calibrate", "profile", "run"]
    (tmp_path / "questions.csv").write_text(questions, encoding="utf-8")

    def answer(body: dict, before: int):  # type: ignore[no-untyped-def, type-arg]
        known = ["Paris", "Jupiter", "eight", "1945", "120"]
        return streamed(body, [known[before % len(known)]])

    with ChatServer(answer) as server, JudgeServer() as grader:
        answers, graders = study.split("evaluators:")
        study = "evaluators:".join(
            [answers.replace(OLLAMA, server.base_url), graders.replace(OLLAMA, grader.base_url)]
        )
        (tmp_path / "mine.yaml").write_text(study, encoding="utf-8")
        said = {}
        for arguments in commands(PAGE):
            quick = ["--rounds", "200", "--replications", "4"] if arguments[0] == "run" else []
            told = poq(*arguments, *quick)
            assert told.code == 0, (arguments, told.err)
            assert misfits(told.out.replace(str(tmp_path), ".")) == [], arguments
            said[" ".join(arguments[:2])] = told.out
    assert "10 of 10 outputs to make" in said["calibrate doctor"]
    assert "10 records x 2 models x 2 evaluators" in said["profile show"]
    rows = said["run cost_aware_poq"]
    assert all(name in rows for name in ("qwen ", "llama ", "gemma ", "qwen_grader "))
    assert (tmp_path / "mine" / "manifest.json").is_file()
