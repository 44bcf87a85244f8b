from __future__ import annotations

import numpy as np
import pytest
from verification_support import market, traced

from poq_abm.errors import InputError
from poq_abm.profile import load_profile
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.market import open_market
from poq_abm.simulation.queries.node_types import draw_node_types


def test_the_load_is_that_of_the_busiest_node() -> None:
    chosen = market("none", {"demand.load": 0.5}, nodes=4)
    assert chosen.arrivals_per_s == pytest.approx(0.5 * 4 / 1.0777)
    assert market("otr", {"demand.load": 0.5}, nodes=4).arrivals_per_s == chosen.arrivals_per_s


def test_an_arrival_rate_replaces_the_load() -> None:
    assert market("none", {"demand.arrivals_per_s": 0.25}).arrivals_per_s == 0.25


def test_interarrival_times_have_the_mean_and_the_spread_of_an_exponential() -> None:
    trace, _ = traced(market("none", {"demand.arrivals_per_s": 2.0}, queries=20_000))
    gaps = np.diff(trace.arrival_s, prepend=0.0)
    assert gaps.mean() == pytest.approx(0.5, abs=4.5 * 0.5 / np.sqrt(20_000))
    assert gaps.std() == pytest.approx(0.5, rel=0.06)


def test_the_cheaper_model_is_the_one_named_or_the_worst() -> None:
    models = load_profile("published").models
    named = market("none", {"adversaries.downgrade.model": "tinylama_1_1b"})
    assert models[named.people.model[0, Action.DOWNGRADE]] == "tinylama_1_1b"
    truth = load_profile("published").truth.mean(axis=0)
    assert market("none").people.model[0, Action.DOWNGRADE] == truth.argmin()


def test_its_time_is_measured_or_told() -> None:
    settings = {"adversaries.downgrade.model": "tinylama_1_1b"}
    assert market("none", settings).people.service_s[0] == pytest.approx(
        [1.0777, 1.4701, 0.05, 1.4701]
    )
    told = market("none", {**settings, "adversaries.downgrade.latency_share": 0.5})
    assert told.people.service_s[0, Action.DOWNGRADE] == pytest.approx(0.5 * 1.0777)


def test_an_unknown_cheaper_model_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'tinylama_1_1b'"):
        market("none", {"adversaries.downgrade.model": "tinyllama_1_1b"})


@pytest.mark.parametrize(("protocol", "nodes"), [("redundancy", 1), ("proof_of_sampling", 1)])
def test_too_few_nodes_for_a_protocol_are_refused(protocol: str, nodes: int) -> None:
    with pytest.raises(InputError, match="needs 2 inference nodes, got 1"):
        market(protocol, nodes=nodes)


def test_inference_nodes_that_deviate_in_the_population_are_refused() -> None:
    scenario = load("model_downgrade").treatments()[-1].scenario
    profile = load_profile("published")
    with pytest.raises(InputError, match=r"verification\.adversaries"):
        open_market(scenario, profile, Verification())


def test_shares_of_nodes_are_exact_and_nested() -> None:
    few = market("none", {"adversaries.byzantine_share": 0.1, "adversaries.rational_share": 0.5})
    many = market("none", {"adversaries.byzantine_share": 0.3, "adversaries.rational_share": 0.5})
    for replication in range(5):
        a, b = draw_node_types(few, replication), draw_node_types(many, replication)
        assert a.rational.sum() == b.rational.sum() == 5
        assert (a.rational == b.rational).all()
        byzantine = [(s.chance[:, 0] == 1.0) & ~s.rational for s in (a, b)]
        assert [int(who.sum()) for who in byzantine] == [1, 3]
        assert (byzantine[0] <= byzantine[1]).all()


def test_vendors_get_their_shares_of_nodes() -> None:
    node_types = draw_node_types(market("tee", nodes=2_000, queries=10), 0)
    spread = 4.5 * np.sqrt(0.6 * 0.4 / 2_000)
    assert np.mean(node_types.vendor == 0) == pytest.approx(0.6, abs=spread)
