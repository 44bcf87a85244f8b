"""The agents: real signatures, hashes and disputes find what the protocols say is found."""

from __future__ import annotations

import pytest
from verification_support import ALL_CHEAT, BROKEN, INTACT, market, traced

from poq_abm.errors import InputError
from poq_abm.rules.protocol.terms import Found
from poq_abm.simulation.queries.attestation import Rejection
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.market import Market
from poq_abm.simulation.queries.verification_model import PlayedQuery, VerificationModel

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


def stepped(chosen: Market) -> list[PlayedQuery]:
    """Every query of replication 0 as the agents played it."""
    model, played = VerificationModel(chosen), []
    while model.running:
        model.step()
        assert model.last_query is not None
        played.append(model.last_query)
    return played


@pytest.mark.parametrize("action", ["downgrade", "cached", "judge_hack"])
@pytest.mark.parametrize("protocol", ["tee", "otr", "poq+otr"])
def test_real_attestations_reject_what_the_loop_rejects(protocol: str, action: str) -> None:
    chosen = market(protocol, MIXED, {"adversaries.actions": [action]}, queries=200)
    trace, _ = traced(chosen)
    rejected = 0
    for q, query in enumerate(stepped(chosen)):
        wanted = EXPECTED[Action(int(trace.conduct[q]))] if trace.found[q] == 1 else None
        assert query.rejection is wanted, q
        rejected += query.rejection is not None
        assert (query.dispute is not None) == (trace.found[q] == Found.WATCHER)
    assert rejected > 10
    assert any(trace.stands), "some enclave was broken"


@pytest.mark.parametrize("protocol", ["otr", "opml"])
@pytest.mark.parametrize("action", ["downgrade", "cached"])
def test_every_dispute_convicts_the_node_that_lied(protocol: str, action: str) -> None:
    settings = {
        "adversaries.actions": [action],
        "watchers.check_probability": 1.0,
        "otr.proof_rate": 0.0,
    }
    chosen = market(protocol, ALL_CHEAT, BROKEN, settings, queries=60)
    trace, _ = traced(chosen)
    held = [query.dispute for query in stepped(chosen) if query.dispute is not None]
    assert len(held) == (trace.found == Found.WATCHER).sum() > 50
    assert all(d.prover_lies and not d.challenger_lies and d.step == 0 for d in held)
    assert all(d.seconds == d.rounds * 2.0 <= 8.0 for d in held)


def test_the_verifier_decides_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier that believes everything lets a downgrade pass, though enclaves are intact."""
    chosen = market("tee", ALL_CHEAT, INTACT, queries=20)
    assert all(query.outcome.found == Found.ATTESTATION for query in stepped(chosen))
    model = VerificationModel(chosen)
    monkeypatch.setattr(model.verifier, "verify", lambda *_: None)
    model.run()
    assert model.measures()["dishonest_stands"] == 1.0


def test_all_honest_answers_are_accepted() -> None:
    honest = {"adversaries.rational_share": 0.0, "adversaries.byzantine_share": 0.0}
    played = stepped(market("tee", honest, INTACT, queries=50))
    assert [query.rejection for query in played] == [None] * 50


def test_the_model_ends_with_its_queries() -> None:
    model = VerificationModel(market("poq", queries=3))
    model.run_model()
    assert (model.rounds_played, model.running) == (3, False)
    assert sum(node.jobs for node in model.evaluator_nodes) == 9
    with pytest.raises(InputError, match="the scenario ends after 3 rounds"):
        model.step()
