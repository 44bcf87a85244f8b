from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from poq_abm.errors import InputError
from poq_abm.page.serving import allowed_hosts, guarded, open_port
from tests.conftest import Poq


def answer(host: str, headers: dict[str, str], kind: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "reached"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": kind, "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    asyncio.run(guarded(application, allowed_hosts(host))(scope, None, send))
    return sent


@pytest.mark.parametrize(
    ("headers", "reached"),
    [
        ({"host": "127.0.0.1:8765"}, True),
        ({"host": "localhost:8765", "origin": "http://localhost:8765"}, True),
        ({"host": "[::1]:8765"}, True),
        ({"host": "evil.example:8765"}, False),  # a name that points to 127.0.0.1
        ({"host": "127.0.0.1:8765", "origin": "http://evil.example"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_local_page_answers_to_its_own_names_only(
    headers: dict[str, str], reached: bool, kind: str
) -> None:
    sent = answer("127.0.0.1", headers, kind)
    assert (sent == [{"type": "reached"}]) is reached
    if not reached:
        assert sent[0].get("status") == 403 or sent[0]["type"] == "websocket.close"


def test_a_page_for_others_answers_under_any_name_but_not_to_other_sites() -> None:
    assert answer("0.0.0.0", {"host": "lab.example:8765"}) == [{"type": "reached"}]
    foreign = {"host": "lab.example:8765", "origin": "http://evil.example"}
    assert answer("0.0.0.0", foreign, "websocket")[0]["type"] == "websocket.close"


def test_a_port_in_use_is_told() -> None:
    with (
        open_port("127.0.0.1", 0) as taken,
        pytest.raises(InputError, match="choose another with --port"),
    ):
        open_port("127.0.0.1", taken.getsockname()[1])


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(InputError, match=r"192\.0\.2\.1"):
        open_port("192.0.2.1", 0)


def test_a_missing_extra_is_told_with_the_command_that_installs_it(
    poq: Poq, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "solara", None)
    outcome = poq("explore", "cost_aware_poq")
    assert outcome.code == 2
    assert 'pip install "poq-abm[explore]"' in outcome.err
