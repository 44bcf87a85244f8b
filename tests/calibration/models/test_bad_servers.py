"""Servers of every temper from the command line: one clear line, an exit code, nothing lost."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from chat_server import STREAM, ChatServer, Reply, Temper, failing, streamed, well

from calibration.workspace import Log
from tests.conftest import Poq

RECORDS = "id,task,input,reference\n" + "".join(f"r{i},qa,Is it {i}?,It is {i}\n" for i in range(5))
KEY = "sk-secret-0123456789"


def study(folder: Path, base_url: str, settings: str = "") -> Path:
    """Write the configuration of one endpoint, and its corpus."""
    (folder / "corpus.csv").write_text(RECORDS)
    (folder / "study.yaml").write_text(
        f"""
out: out
corpus: [{{format: table, path: corpus.csv}}]
models: [{{name: served, model: llm-1, base_url: "{base_url}", key_variable: SOME_KEY, retries: 0
  {settings}}}]
evaluators: [{{name: cosine, model: ./nowhere, kind: bi_encoder}}]
prompts: {{qa: "{{input}}"}}
"""
    )
    return folder / "study.yaml"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("SOME_KEY", KEY)


def slow(body: dict[str, Any], before: int) -> Reply:
    """Answer later than anybody waits."""
    threading.Event().wait(0.6)
    return well(body, before)


def renamed(body: dict[str, Any], before: int) -> Reply:
    return streamed(body, model="llm-2" if before > 1 else "llm-1")


PRICED = ", usd_per_million_input: 10, usd_per_million_output: 50"
#: temper, further settings, exit code, what is said, answers that are kept
SERVERS: dict[str, tuple[Temper, str, int, str, int]] = {
    "slow": (slow, ", timeout_s: 0.2", 2, "3 questions in a row got no answer: .* in 0.2 s", 0),
    "garbage": (
        lambda *_: (200, STREAM, [b"data: {oops\n\n"]),
        "", 2, "streamed something that is not JSON", 0,
    ),
    "broken": (lambda *_: failing(500, f"no {KEY}"), "", 2, r"answered 500 no \[hidden\]", 0),
    "renamed": (renamed, "", 2, "calls its model 'llm-2' now, and called it 'llm-1'", 2),
    "countless": (
        lambda body, _: streamed(body, usage=False),
        f"{PRICED}, max_usd: 1", 0, "a budget in dollars cannot be kept", 1,
    ),
    "empty": (lambda body, _: streamed(body, []), "", 0, "5 of 5 answers are empty", 5),
    "budget": (well, ", max_calls: 2", 0, "stopped: the budget of 2 calls is spent", 2),
    "budget in dollars": (
        well, f"{PRICED}, max_usd: 0.0004", 0, "of the budget of 0.0004 dollars, 0.00036", 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("temper", SERVERS)
def test_one_clear_line_and_nothing_lost(poq: Poq, tmp_path: Path, temper: str) -> None:
    how, settings, code, message, kept = SERVERS[temper]
    with ChatServer(how) as server:
        path = study(tmp_path, server.base_url, settings)
        assert poq("calibrate", "corpus", path).code == 0
        told = poq("calibrate", "generate", path)
        assert told.code == code
        said = " ".join((told.out + told.err).split())
        assert re.search(message, said)
        assert "Traceback" not in said
        assert KEY not in said
        log = Log(tmp_path / "out" / "generations" / "served.jsonl")
        answers = [row for row in log.read()[0] if "error" not in row]
        assert len([row for row in answers if " other" not in row["key"]]) == kept
        asked = len(server.asked)
    if code == 2:
        return
    with ChatServer() as healthy:
        path = study(tmp_path, healthy.base_url)
        assert poq("calibrate", "generate", path).code == 0
        assert len(healthy.asked) == 5 - kept, "what was answered is not asked again"
    assert asked == kept


def test_a_server_that_is_down(poq: Poq, tmp_path: Path) -> None:
    with ChatServer() as server:
        address = server.base_url
    path = study(tmp_path, address)
    assert poq("calibrate", "corpus", path).code == 0
    told = poq("calibrate", "generate", path)
    assert told.code == 2
    assert "no model can be reached at" in told.err
    assert len(told.err.strip().splitlines()) <= 2


def test_a_redirect_gets_neither_key_nor_question(poq: Poq, tmp_path: Path) -> None:
    with ChatServer() as other:
        reply: Reply = (307, {"Location": f"{other.base_url}/chat/completions"}, [b""])
        with ChatServer(lambda *_: reply) as server:
            path = study(tmp_path, server.base_url)
            assert poq("calibrate", "corpus", path).code == 0
            told = poq("calibrate", "generate", path)
    assert told.code == 2
    assert "where neither the key nor a question is sent" in " ".join(told.err.split())
    assert (other.keys, other.bodies) == ([], [])
