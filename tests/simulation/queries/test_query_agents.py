"""Both engines agree: what the loop says of a query, real cryptography finds."""

from __future__ import annotations

import pytest
from verification_support import ALL_CHEAT, BROKEN, INTACT, market, traced

from poq_abm.errors import InputError
from poq_abm.rules.protocol.terms import Found
from poq_abm.simulation.queries.attestation import Rejection
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.query_agents import play_attested

MIXED = {
    "adversaries.rational_share": 0.3,
    "adversaries.byzantine_share": 0.4,
    "adversaries.vendors": {
        "a": {"share": 0.5, "vulnerability_per_year": 3e4, "patch_days": 0.005},
        "b": {"share": 0.5, "vulnerability_per_year": 3e4, "patch_days": 0.005},
    },
    "watchers.check_probability": 0.3,
    "demand.arrivals_per_s": 0.05,  # slow enough for vendors to break and be patched meanwhile
}
EXPECTED = {
    Action.DOWNGRADE: Rejection.WRONG_MODEL,
    Action.CACHED: Rejection.REPLAYED,
    Action.JUDGE_HACK: Rejection.WRONG_MODEL,
}


@pytest.mark.parametrize("action", ["downgrade", "cached", "judge_hack"])
@pytest.mark.parametrize("protocol", ["tee", "otr", "poq+otr"])
def test_real_attestations_reject_what_the_loop_rejects(protocol: str, action: str) -> None:
    chosen = market(protocol, MIXED, {"adversaries.actions": [action]}, queries=300)
    trace, _ = traced(chosen)
    played = play_attested(chosen, 0)
    rejected = 0
    for q, query in enumerate(played):
        wanted = EXPECTED[Action(int(trace.conduct[q]))] if trace.found[q] == 1 else None
        assert query.rejection is wanted, q
        rejected += query.rejection is not None
        assert (query.dispute is not None) == (trace.found[q] == Found.WATCHER)
    assert rejected > 10
    assert any(trace.stands), "some enclave was broken"


@pytest.mark.parametrize("action", ["downgrade", "cached"])
def test_every_dispute_convicts_the_node_that_lied(action: str) -> None:
    settings = {
        "adversaries.actions": [action],
        "watchers.check_probability": 1.0,
        "otr.proof_rate": 0.0,
    }
    chosen = market("otr", ALL_CHEAT, BROKEN, settings, queries=60)
    trace, _ = traced(chosen)
    disputes = [query.dispute for query in play_attested(chosen, 0, steps=16)]
    held = [dispute for dispute in disputes if dispute is not None]
    assert len(held) == (trace.found == Found.WATCHER).sum() > 50
    assert all(d.prover_lies and not d.challenger_lies and d.step == 0 for d in held)
    assert all(d.seconds == d.rounds * 2.0 <= 8.0 for d in held)


def test_all_honest_answers_are_accepted() -> None:
    honest = {"adversaries.rational_share": 0.0, "adversaries.byzantine_share": 0.0}
    chosen = market("tee", honest, INTACT, queries=50)
    assert [query.rejection for query in play_attested(chosen, 0)] == [None] * 50


def test_a_protocol_without_attestation_has_nothing_to_sign() -> None:
    with pytest.raises(InputError, match="does not attest"):
        play_attested(market("opml"), 0)
