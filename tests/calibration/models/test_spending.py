"""What servers are paid for: notes of what was sent, and questions that a killed run had sent."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, Reply, streamed

from calibration.configuration import load_configuration
from calibration.corpus.records import Record, write_corpus
from calibration.doctor import examine
from calibration.models.generation import generate
from calibration.models.spending import Budget, Sent
from calibration.stage_settings import ServerSettings
from calibration.workspace import StageCounts, Workspace

PRICES = {"usd_per_million_input": 10.0, "usd_per_million_output": 50.0}
PAID = ServerSettings(model="m", base_url="https://api.example.org/v1", **PRICES)
LOG = "served.jsonl"


def questions(sent: Sent, *, resend: bool = False) -> tuple[list[str], list[str]]:
    said: list[str] = []
    return sent.to_ask(["a", "b", "c"], lambda name: name, said.append, resend=resend), said


def test_what_left_and_never_came_back_is_lost(tmp_path: Path) -> None:
    first = Sent(PAID, tmp_path / LOG)
    assert questions(first) == (["a", "b", "c"], [])
    first.leaving("a")
    first.leaving("b")
    first.back("a")
    later = Sent(PAID, tmp_path / LOG)
    assert later.lost.keys() == {"b"}
    asked, said = questions(later)
    assert asked == ["a", "c"]
    assert "1 questions were on their way" in said[0]
    assert "--resend asks them again" in said[0]


def test_what_was_lost_is_sent_again_under_its_key_when_told_and_counts_ever_after(
    tmp_path: Path,
) -> None:
    first = Sent(PAID, tmp_path / LOG)
    first.leaving("b")
    key = first.headers("b")
    again = Sent(PAID, tmp_path / LOG)
    asked, said = questions(again, resend=True)
    assert asked == ["a", "b", "c"]
    assert said[0].endswith("they are asked again")
    assert again.headers("b") == key, "a server that knows the key answers as before"
    again.leaving("b")
    again.back("b")
    last = Sent(PAID, tmp_path / LOG)
    assert (last.lost, last.unknown) == ({}, 1)
    assert last.headers("b") != key, "what came back is another question when asked again"


def test_a_free_server_of_ones_own_is_simply_asked_again(tmp_path: Path) -> None:
    free = ServerSettings(model="m", base_url="http://127.0.0.1:8000/v1")
    sent = Sent(free, tmp_path / LOG)
    sent.leaving("a")
    assert questions(Sent(free, tmp_path / LOG)) == (["a", "b", "c"], [])
    assert list(tmp_path.iterdir()) == []


def test_a_budget_counts_what_may_have_been_paid() -> None:
    settings = ServerSettings(model="m", max_calls=4, **PRICES)
    budget = Budget(settings, [{"attempts": 1, "usd": 0.01}, {"attempts": 1, "usd": 0.03}], 2)
    assert budget.calls == 4
    assert budget.usd == pytest.approx(0.1)
    assert budget.exhausted() == "the budget of 4 calls is spent"


STUDY = """\
out: study
corpus: [{{format: table, path: corpus.csv}}]
models:
  - {{name: served, model: llm-1, base_url: "{url}", concurrency: 2,
     usd_per_million_input: 10.0, usd_per_million_output: 50.0}}
evaluators: [sts_stsb]
prompts: {{qa: "say {{input}}"}}
"""


def test_a_killed_run_sends_nothing_again_until_told(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    records = [Record(f"r{i}", "qa", f"Is it {i}?", (f"It is {i}",)) for i in range(6)]
    is_stuck, is_over = threading.Event(), threading.Event()

    def sticking(body: dict[str, Any], before: int) -> Reply:
        if before == 3:  # another is on its way too, or has come back
            is_stuck.set()
            is_over.wait(20.0)
        return streamed(body)

    with ChatServer(sticking) as server:
        (tmp_path / "study.yaml").write_text(STUDY.format(url=server.base_url))
        calibration = load_configuration(tmp_path / "study.yaml")
        write_corpus(Workspace(calibration.out).corpus, records)
        command = [sys.executable, "-c", "from poq_abm.cli import main; main()"]
        command += ["calibrate", "generate", "study.yaml"]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as running:
            assert is_stuck.wait(60.0)
            running.send_signal(signal.SIGKILL)
        is_over.set()
        asked = len(server.asked)
        lost = len(
            Sent(calibration.endpoints[0], calibration.out / "generations/served.jsonl").lost
        )
        assert 1 <= lost <= 2, "one was stuck; its neighbour may have come back"
        said: list[str] = []
        counts = generate(calibration, said.append)["served"]
        assert counts.found + counts.made == 6 - lost
        assert len(server.asked) - asked == counts.made
        assert any(f"{lost} questions were on their way" in line for line in said)
        findings = [finding.text for finding in examine(calibration) if not finding.is_fine]
        assert any(f"served: {lost} questions were on their way" in text for text in findings)
        again = generate(calibration, said.append, resend=True)["served"]
        assert again == StageCounts(6, 6 - lost, lost, 0, 0)
        assert generate(calibration, said.append)["served"] == StageCounts(6, 6, 0, 0, 0)
        assert len(server.asked) == asked + counts.made + lost
