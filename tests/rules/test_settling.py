"""What one query comes to, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.analysis.trilemma import changed
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.protocol.terms import Found, Query
from poq_abm.rules.registry import find, shipped
from poq_abm.rules.settling import detection, found_by, settle
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.testing.verification import _cheat, queries

NEVER = 1.0 - 1e-12


def honest(**other: object) -> Query:
    return _cheat(False)._replace(dishonest=False, gain=0.0, liars=0)._replace(**other)


def cheat(**other: object) -> Query:
    return _cheat(True)._replace(**other)


def otr(**settings_: object):
    return protocol_of(changed(Verification(protocol="otr"), settings_))


def test_an_honest_query_of_the_rollup() -> None:
    outcome = otr().settle(honest())
    assert outcome.provisional_s == pytest.approx(1.02), "one second and the attestation"
    assert outcome.economic_s == pytest.approx(1.02 + 3600.0)
    assert (outcome.paid, outcome.penalty, outcome.stands) == (0.10, 0.0, False)
    assert outcome.capital_usd == pytest.approx(5.0 * 0.08 * 3601.02 / (365.25 * 86_400))
    assert outcome.recheck_usd == pytest.approx(5 * 0.01 * 0.001)


def test_a_proof_makes_an_answer_final_without_the_window() -> None:
    waits, follows = otr(), otr(**{"otr.proof_before_release": False})
    assert waits.settle(honest(proof_draw=0.0)).provisional_s == pytest.approx(31.02)
    assert follows.settle(honest(proof_draw=0.0)).provisional_s == pytest.approx(1.02)
    for protocol in (waits, follows):
        assert protocol.settle(honest(proof_draw=0.0)).economic_s == pytest.approx(31.02)


def test_an_intact_enclave_refuses_what_a_broken_one_signs() -> None:
    refused, signed = otr().settle(cheat(broken=False)), otr().settle(cheat(broken=True))
    assert (refused.found, refused.released, refused.paid) == (Found.ATTESTATION, False, 0.0)
    assert refused.economic_s == refused.provisional_s
    assert (signed.found, signed.released, signed.stands) == (Found.NOTHING, True, True)


def test_a_watcher_takes_back_what_was_released() -> None:
    outcome = otr().settle(cheat(watch_draw=0.0))
    assert (outcome.found, outcome.released, outcome.stands) == (Found.WATCHER, True, False)
    assert outcome.penalty == 5.0
    assert outcome.watcher_profit == pytest.approx(1.0 - 5e-5)
    assert outcome.dispute_usd == pytest.approx(20 * 0.01)
    assert outcome.advantage == pytest.approx(0.05 - 5.0 - 0.10)


def test_a_caught_node_keeps_its_gain_only_where_that_is_said() -> None:
    loses = otr(**{"economics.keeps_gain_when_caught": False})
    assert loses.settle(cheat(watch_draw=0.0)).advantage == pytest.approx(-5.10)
    assert loses.settle(cheat()).advantage == pytest.approx(0.05)


def test_providers_that_differ_are_searched_whoever_lied() -> None:
    protocol = protocol_of(Verification(protocol="redundancy"))
    served = protocol.settle(honest(diverges=True, liars=1))
    caught = protocol.settle(cheat(diverges=True, liars=1))
    alike = protocol.settle(cheat(diverges=False, liars=2))
    assert served.provisional_s == pytest.approx(1.01 + 20 * 0.05)
    assert (served.found, served.dispute_usd) == (Found.NOTHING, pytest.approx(20 * 1e-4))
    assert (caught.found, caught.released) == (Found.COMPARISON, False)
    assert alike.stands


@pytest.mark.parametrize("n", [2, 3, 8])
def test_each_of_n_providers_has_a_fee_a_bond_and_a_penalty(n: int) -> None:
    chosen = {"redundancy.providers": n, "economics.slash_share": 0.5}
    protocol = protocol_of(changed(Verification(protocol="redundancy"), chosen))
    agreed = protocol.settle(honest())
    assert (agreed.paid, agreed.penalty) == (pytest.approx(0.10 * n), 0.0)
    seconds = agreed.economic_s
    assert agreed.capital_usd == pytest.approx(n * 5.0 * 0.08 * seconds / (365.25 * 86_400))
    for liars in range(1, n):
        served = protocol.settle(honest(diverges=True, liars=liars))
        refused = protocol.settle(cheat(diverges=True, liars=liars))
        assert (served.paid, served.penalty) == pytest.approx((0.10 * (n - liars), 2.5 * liars))
        assert (refused.paid, refused.penalty) == pytest.approx((0.0, 2.5 * liars))
    assert protocol.settle(cheat(liars=n)).paid == pytest.approx(0.10 * n), "nobody tells"


def test_a_validator_who_convicts_has_the_bounty_and_a_lazy_one_saves_the_work() -> None:
    chosen = {"proof_of_sampling.lazy_share": 0.3}
    protocol = protocol_of(changed(Verification(protocol="proof_of_sampling"), chosen))
    second = 0.50 / 3600.0
    convicting = protocol.settle(cheat(sample_draw=0.0, confirm_draw=0.31))
    assert (convicting.found, convicting.penalty) == (Found.SAMPLE, 5.0)
    assert convicting.validator_profit == pytest.approx(1.0 - second)
    assert (convicting.bounty, convicting.watcher_profit) == (1.0, 0.0)
    diligent = protocol.settle(honest(sample_draw=0.0, confirm_draw=0.31))
    lazy = protocol.settle(honest(sample_draw=0.0, confirm_draw=0.29))
    assert diligent.validator_profit == pytest.approx(-second), "nobody pays for finding nothing"
    assert (lazy.validator_profit, lazy.recheck_usd) == (0.0, 0.0)
    assert protocol.settle(cheat(sample_draw=0.0, confirm_draw=0.29)).stands
    assert protocol.detection(broken=False) == pytest.approx(0.1 * 0.7)


def test_a_colluding_validator_confirms_a_cheat() -> None:
    settings_ = {"adversaries.collusion.validator_share": 0.5}
    protocol = protocol_of(changed(Verification(protocol="proof_of_sampling"), settings_))
    assert protocol.settle(cheat(sample_draw=0.0, confirm_draw=0.6)).found == Found.SAMPLE
    assert protocol.settle(cheat(sample_draw=0.0, confirm_draw=0.4)).stands
    assert protocol.detection(broken=False) == pytest.approx(0.05)


def test_pay_follows_the_score_and_a_low_one_is_refused() -> None:
    protocol = protocol_of(changed(Verification(protocol="poq"), {"poq.accept_score": 4.0}))
    good = protocol.settle(honest(consensus=8.0, points=0.8 - 0.3 * 0.5))
    poor = protocol.settle(honest(consensus=3.9, points=0.39))
    assert good.paid == pytest.approx(0.10 * (0.8 - 0.3 * 0.5))
    assert (poor.found, poor.paid, poor.penalty) == (Found.COMMITTEE, 0.0, 0.0)


def test_the_hybrid_asks_for_both() -> None:
    protocol = protocol_of(changed(Verification(protocol="poq+otr"), {"poq.accept_score": 4.0}))
    assert protocol.settle(cheat(broken=False)).found == Found.ATTESTATION
    assert protocol.settle(honest(consensus=3.0)).found == Found.COMMITTEE


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(queries(), st.sampled_from(list(shipped(PROTOCOLS))))
def test_one_rule_finds_and_settles(query: Query, name: str) -> None:
    terms = protocol_of(Verification(protocol=name)).terms
    assert settle(terms, query).found == found_by(terms, query)


def test_a_protocol_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(Exception, match="did you mean 'zkml'"):
        find(PROTOCOLS, "zkmll")


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_detection_with_a_broken_enclave_is_the_published_form(rate: float, check: float) -> None:
    protocol = otr(
        **{
            "otr.proof_rate": rate,
            "watchers.count": 1,
            "watchers.check_probability": check,
            "watchers.delay_s": 1.0,
        }
    )
    expected = 1.0 - (1.0 - rate) * (1.0 - check)
    assert detection(protocol.terms, True, 0.0) == pytest.approx(expected, abs=1e-12)
    assert detection(protocol.terms, False, 0.0) == 1.0
