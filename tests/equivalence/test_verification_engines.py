"""Contract 4.2 for queries: agents with real keys and the compiled loop leave the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poq_abm.rules.trust.updates import TrustUpdate
from verification_support import market, traced

from poq_abm.rules.aggregation import Aggregation
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import shipped
from poq_abm.simulation.queries.market import Market
from poq_abm.simulation.queries.query_replication import open_query_trace
from poq_abm.simulation.queries.verification_model import play_agents

VENDORS = {
    name: {"share": 0.5, "vulnerability_per_year": 3e4, "patch_days": 0.005} for name in "ab"
}
shares = st.sampled_from([0.0, 0.1, 0.4, 0.5])
chances = st.sampled_from([0.0, 0.05, 0.5, 1.0])


@st.composite
def sections(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a section ``verification`` says besides its protocol."""
    return {
        "adversaries.rational_share": draw(shares),
        "adversaries.byzantine_share": draw(shares),
        "adversaries.actions": [draw(st.sampled_from(["downgrade", "cached", "judge_hack"]))],
        "adversaries.enclaves": draw(st.sampled_from(["stationary", "broken", "intact"])),
        "adversaries.vendors": VENDORS,
        "watchers.check_probability": draw(chances),
        "otr.proof_rate": draw(chances),
        "otr.on_node": draw(st.booleans()),
        "poq.accept_score": draw(st.sampled_from([0.0, 3.0, 5.0])),
        "proof_of_sampling.challenge_probability": draw(chances),
        "demand.service_cv": draw(st.sampled_from([0.0, 0.5])),
        "demand.arrivals_per_s": draw(st.sampled_from([0.05, 2.0])),
    }


@st.composite
def mechanisms(draw: st.DrawFn) -> dict[str, Any]:
    """Draw evaluators, behaviours, trust and rewards of a committee."""
    behaviour = st.sampled_from(["honest", "boost", "noise", "copycat", "collude"])
    found: dict[str, Any] = {
        "mechanism.committee_size": draw(st.integers(1, 5)),
        "mechanism.aggregation": draw(st.sampled_from([rule.name.lower() for rule in Aggregation])),
        "mechanism.reference": draw(st.sampled_from(["inclusive", "leave_one_out"])),
        "mechanism.trust.update": draw(
            st.sampled_from([rule.name.lower() for rule in TrustUpdate])
        ),
        "mechanism.reward.family": draw(
            st.sampled_from(["linear", "convex_cost", "ratio", "threshold", "task_weighted"])
        ),
        "population.evaluators": [
            {"model": "sts_stsb", "count": 5, "noise_sd": draw(st.sampled_from([0.0, 0.4]))},
            {"model": "ce_minilm", "count": 4, "behaviour": draw(behaviour)},
        ],
    }
    if draw(st.booleans()):
        found["malicious"] = {"share": 0.4, "behaviour": draw(behaviour)}
    return found


def assert_same(chosen: Market, replication: int) -> None:
    """Assert that measures and traces of both engines are equal in every bit."""
    one, measures = traced(chosen, replication)
    other = open_query_trace(chosen.queries)
    others = play_agents(chosen, replication, trace=other)
    for name, value in measures.items():
        assert value == others[name] or (np.isnan(value) and np.isnan(others[name])), name
    for name in one._fields:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name


@pytest.mark.parametrize("protocol", shipped(PROTOCOLS))
@settings(deadline=None, derandomize=True, max_examples=8, database=None)
@given(section=sections(), replication=st.integers(0, 1000))
def test_agents_and_loop_leave_the_same_bits(
    protocol: str, section: dict[str, Any], replication: int
) -> None:
    assert_same(market(protocol, section, queries=40), replication)


@pytest.mark.parametrize("protocol", ["poq", "poq+otr"])
@settings(deadline=None, derandomize=True, max_examples=25, database=None)
@given(section=sections(), mechanism=mechanisms(), replication=st.integers(0, 1000))
def test_committees_that_deviate_and_learn_do_so_in_both(
    protocol: str, section: dict[str, Any], mechanism: dict[str, Any], replication: int
) -> None:
    assert_same(market(protocol, section, queries=40, mechanism=mechanism), replication)
