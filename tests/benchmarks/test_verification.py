"""What the benchmark of verification measures, not how fast it is."""

from __future__ import annotations

import json

import pytest

from benchmarks import verification
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import shipped


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "QUERIES", 20_000)
    monkeypatch.setattr(verification, "ATTESTATIONS", 200)


@pytest.mark.usefixtures("short")
def test_every_protocol_and_the_attestations_are_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verification.main(["--quick", "--json", "--repeats", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["queries_per_second"]) == set(shipped(PROTOCOLS))
    total, *rates, attested = document["measurements"]
    assert total["name"] == "10 protocols x 200 queries x 200 nodes, 2 threads"
    assert (total["goal"], total["met"]) == (None, None), "no verdict on a hundredth"
    assert rates[0]["value"] == 1.0
    assert attested["goal"] == 5000.0
    assert attested["goal_is"] == "at least"


def test_the_markets_are_of_the_size_that_was_promised() -> None:
    markets = verification.markets(verification.QUERIES)
    assert tuple(markets) == tuple(shipped(PROTOCOLS))
    for market in markets.values():
        assert (market.queries, market.people.cost.size) == (1_000_000, 200)
