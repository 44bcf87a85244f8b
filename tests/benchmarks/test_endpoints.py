"""The contest of clients: same questions, same tokens, turn by turn; without llama.cpp."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest
from chat_server import ChatServer, Reply, streamed, words

from benchmarks.endpoints import AT_ONCE, contest, main, ours, plain
from calibration.corpus.records import Record

RECORDS = [Record(f"q{n}", "qa", f"What is {n}?", ("?",)) for n in range(6)]


def answered(body: dict[str, Any], _: int) -> Reply:
    """Answer in a stream or whole, as is asked for."""
    if body.get("stream"):
        return streamed(body)
    said = words(body)
    choice = {"index": 0, "message": {"content": "".join(said)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": len(said), "completion_tokens": len(said)}
    whole = {"id": "1", "object": "chat.completion", "model": "any", "choices": [choice]}
    content = json.dumps({**whole, "created": 0, "usage": usage}).encode()
    return 200, {"Content-Type": "application/json"}, [content]


def test_both_contestants_ask_the_same_questions_and_count_the_same_tokens() -> None:
    pytest.importorskip("openai")
    with ChatServer(answered) as server:
        found = [ask(server.base_url, RECORDS) for ask in (ours, plain)]
        asked = [sorted(server.asked[:6]), sorted(server.asked[6:])]
    assert found[0].tokens == found[1].tokens > 0
    assert all(asked.on_their_way_s > 0.0 for asked in found)
    assert asked[0] == asked[1]
    assert all(body["ignore_eos"] and not body["cache_prompt"] for body in server.bodies)


def test_who_goes_first_changes_from_turn_to_turn() -> None:
    order: list[str] = []
    contestants = {
        name: lambda _, records, name=name: order.append(name) or (len(records), 1.0)
        for name in "ab"
    }
    turns = contest("", RECORDS, contestants, 2)
    assert order == [*"ab", *"ab", *"ba"]
    assert [len(played) for played in turns.values()] == [2, 2]
    assert AT_ONCE == 4


@pytest.mark.skipif(find_spec("xllamacpp") is not None, reason="llama.cpp is installed")
def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "xllamacpp" in capsys.readouterr().err
