"""The loop: what it adds up, what it depends on, and what it leaves alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from verification_support import (
    ALL_CHEAT,
    ALL_HONEST,
    ALL_RATIONAL,
    BROKEN,
    INTACT,
    market,
    played,
    traced,
)

from poq_abm.analysis.trilemma import changed
from poq_abm.profile import load_profile
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.protocol.terms import Found
from poq_abm.rules.registry import shipped
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.histograms import RELATIVE_ERROR
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.queries import query_replication
from poq_abm.simulation.queries.market import open_market
from poq_abm.simulation.queries.query_replication import play_queries
from poq_abm.simulation.queries.query_tables import QUERIES


def same(a: dict[str, float], b: dict[str, float]) -> bool:
    return a.keys() == b.keys() and all(
        x == y or (np.isnan(x) and np.isnan(y)) for x, y in zip(a.values(), b.values(), strict=True)
    )


@pytest.mark.parametrize("name", shipped(PROTOCOLS))
def test_a_replication_is_the_same_whoever_plays_it_when(name: str) -> None:
    chosen = market(name, queries=700)
    alone = [play_queries(chosen, r) for r in range(4)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda r: play_queries(chosen, r), [3, 1, 0, 2]))
    assert all(same(alone[r], one) for r, one in zip([3, 1, 0, 2], together, strict=True))
    assert not same(alone[0], alone[1])


@pytest.mark.parametrize("name", ["otr", "redundancy"])
def test_stretches_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = market(name, queries=1_000)
    whole = play_queries(chosen, 0)
    told: list[int] = []
    monkeypatch.setattr(query_replication, "STRETCH", 300)
    assert same(whole, play_queries(chosen, 0, progress=told.append))
    assert told == [300, 300, 300, 100]


@pytest.mark.parametrize("name", shipped(PROTOCOLS))
def test_the_trace_says_what_the_measures_say(name: str) -> None:
    trace, measures = traced(market(name, BROKEN, queries=3_000))
    count = 3_000
    assert measures["dishonest_share"] == np.count_nonzero(trace.conduct) / count
    assert measures["dishonest_stands"] == trace.stands.mean()
    assert measures["proved_share"] == trace.proved.mean()
    assert measures["total_usd"] == pytest.approx(trace.cost_usd.mean())
    assert measures["paid_usd"] == pytest.approx(trace.paid.mean())
    assert measures["economic_mean_s"] == pytest.approx(trace.economic_s.mean())
    for kind in Found:
        if kind:
            share = np.count_nonzero((trace.found == kind) & (trace.conduct != 0)) / count
            assert measures[f"found_by_{kind.name.lower()}"] == share
    for finality, values in (("provisional", trace.provisional_s), ("economic", trace.economic_s)):
        for label, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            exact = float(np.quantile(values, share, method="inverted_cdf"))
            assert measures[f"{finality}_{label}_s"] == exact
    assert measures["percentile_error"] == 0.0


def test_more_queries_than_are_kept_have_percentiles_as_near_as_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = market("otr", queries=3_000)
    exact = play_queries(chosen, 0)
    monkeypatch.setattr(query_replication, "MOST_KEPT", 100)
    counted = play_queries(chosen, 0)
    assert counted["percentile_error"] == RELATIVE_ERROR
    for name, value in counted.items():
        if name.endswith(("_p50_s", "_p95_s", "_p99_s")):
            assert value == pytest.approx(exact[name], rel=RELATIVE_ERROR)
        elif name != "percentile_error":
            assert value == exact[name] or np.isnan(value)


def test_what_never_varies_is_read_to_the_last_digit() -> None:
    """1,200 s of proving, a tenth to check it, and the service: 1,195.4 is no answer."""
    fixed = {"demand.service_cv": 0.0, "demand.arrivals_per_s": 1e-6}
    measures = played("zkml", ALL_HONEST, fixed, queries=400)
    latency = load_profile("published").latency_ms("llama_3_2_3b", "rtx_4090") / 1e3
    for part in ("mean", "p50", "p99"):
        assert measures[f"provisional_{part}_s"] == pytest.approx(1200.1 + latency, abs=1e-6)


def test_protocols_see_the_same_arrivals_records_and_nodes() -> None:
    first, _ = traced(market("centralised"))
    for name in shipped(PROTOCOLS).keys() - {"centralised"}:
        other, _ = traced(market(name))
        for column in ("arrival_s", "node", "record"):
            assert (getattr(first, column) == getattr(other, column)).all(), (name, column)


def test_a_parameter_leaves_every_other_draw_alone() -> None:
    few, _ = traced(market("otr", {"otr.proof_rate": 0.1}))
    many, _ = traced(market("otr", {"otr.proof_rate": 0.3}))
    assert (few.proved <= many.proved).all(), "a larger rate adds proofs to those of a smaller one"
    assert (few.conduct == many.conduct).all()


def test_queries_fall_on_the_records_nodes_and_committees_of_the_rounds() -> None:
    scenario = load("cost_aware_poq", ["rounds=300"])
    calm = changed(Verification(protocol="poq"), ALL_HONEST)
    trace, _ = traced(open_market(scenario, load_profile("published"), calm))
    model = PoQModel(scenario, replication=0)
    model.run()
    jobs = model.node_table().query("role == 'inference'")["jobs"].to_numpy()
    assert np.bincount(trace.node, minlength=5).tolist() == jobs.tolist()
    means = model.node_table().query("role == 'inference'")["consensus_mean"].to_numpy()
    own = [trace.consensus[trace.node == node].mean() for node in range(5)]
    assert own == pytest.approx(means, abs=1e-9)


def test_every_measure_is_a_column_and_every_column_a_measure() -> None:
    assert list(played("otr", queries=50)) == QUERIES.names[2:]


def test_nobody_cheats_under_a_trusted_operator() -> None:
    measures = played("centralised", ALL_CHEAT, BROKEN)
    assert measures["dishonest_share"] == measures["dishonest_stands"] == 0.0
    assert np.isnan(measures["cheat_advantage_usd"])


@pytest.mark.parametrize("name", ["tee", "otr", "poq+otr"])
def test_an_intact_enclave_lets_no_downgrade_pass(name: str) -> None:
    measures = played(name, ALL_CHEAT, INTACT)
    assert measures["found_by_attestation"] == 1.0
    assert measures["dishonest_stands"] == measures["dishonest_released"] == 0.0
    assert np.isnan(measures["truth_mean"]), "nobody received anything"


def test_poq_pays_a_downgrade_that_otr_rejects() -> None:
    assert played("poq", ALL_CHEAT)["dishonest_stands"] == 1.0
    assert played("otr", ALL_CHEAT, INTACT)["dishonest_stands"] == 0.0


@pytest.mark.parametrize("rate", [0.05, 0.3])
@pytest.mark.parametrize("checking", [0.0, 0.1])
def test_with_broken_enclaves_detection_is_as_believed(rate: float, checking: float) -> None:
    """20,000 cheats; 4.5 binomial standard errors."""
    settings = {"otr.proof_rate": rate, "watchers.check_probability": checking}
    chosen = market("otr", ALL_CHEAT, BROKEN, settings, queries=20_000)
    expected = chosen.protocol.detection(broken=True)
    found = play_queries(chosen, 0)["detected_share"]
    assert found == pytest.approx(expected, abs=4.5 * np.sqrt(expected * (1 - expected) / 20_000))


def test_without_an_honest_watcher_everything_stands_under_opml() -> None:
    measures = played("opml", ALL_RATIONAL, {"watchers.lazy_share": 1.0})
    assert measures["honest_watchers"] == 0.0
    assert measures["cheating_share"] == measures["dishonest_stands"] == 1.0


@pytest.mark.parametrize("providers", [2, 3])
def test_redundancy_fails_where_all_providers_cheat_alike(providers: int) -> None:
    """a of 10 nodes cheat: all n do with chance a (a - 1) .. / (10 x 9 ..)."""
    settings = {
        "redundancy.providers": providers,
        "adversaries.rational_share": 0.0,
        "adversaries.byzantine_share": 0.5,
    }
    stands = played("redundancy", settings, queries=20_000)["dishonest_stands"]
    expected = np.prod([(5 - k) / (10 - k) for k in range(providers)])
    assert stands == pytest.approx(expected, abs=4.5 * np.sqrt(expected * (1 - expected) / 20_000))


def test_more_providers_serve_fewer_queries_per_second() -> None:
    rates = [
        played("redundancy", ALL_HONEST, {"redundancy.providers": n}, queries=20_000)[
            "throughput_per_s"
        ]
        for n in (2, 4)
    ]
    assert rates[0] / rates[1] == pytest.approx(2.0, rel=0.05)


def test_an_enclave_costs_throughput_in_proportion_to_its_overhead() -> None:
    base = played("centralised", ALL_HONEST)["throughput_per_s"]
    assert base / played("tee", ALL_HONEST)["throughput_per_s"] == pytest.approx(1.175)


def test_proving_on_the_node_takes_its_place_in_the_queue() -> None:
    settings = {"otr.on_node": True, "otr.proof_rate": 0.1, "demand.arrivals_per_s": 0.01}
    apart = played("otr", ALL_HONEST, {**settings, "otr.on_node": False})
    inside = played("otr", ALL_HONEST, settings)
    assert inside["throughput_per_s"] < 0.5 * apart["throughput_per_s"]
    assert inside["proof_usd"] == apart["proof_usd"]


def test_a_lower_load_waits_less() -> None:
    waits = [played("tee", {"demand.load": load_})["waiting_mean_s"] for load_ in (0.1, 0.5, 0.8)]
    assert waits == sorted(waits)
    assert waits[0] < 0.3


def test_capital_in_flight_follows_littles_law() -> None:
    chosen = market("otr", ALL_HONEST)
    measures = play_queries(chosen, 0)
    in_flight = chosen.arrivals_per_s * measures["economic_mean_s"]
    assert measures["capital_locked_usd"] == pytest.approx(5.0 * in_flight)


def test_a_cached_answer_has_no_truth_and_a_hacked_one_a_high_score() -> None:
    cached = played("poq", ALL_CHEAT, {"adversaries.actions": ["cached"]})
    assert (cached["truth_mean"], cached["consensus_mean"]) == (0.0, pytest.approx(3.0))
    plain = played("poq", ALL_CHEAT)
    hacked = played("poq", ALL_CHEAT, {"adversaries.actions": ["judge_hack"]})
    assert hacked["truth_mean"] == plain["truth_mean"]
    assert hacked["consensus_mean"] > plain["consensus_mean"] + 1.5


@pytest.mark.parametrize("rule", ["median", "trust_weighted", "stake_median"])
def test_the_committee_agrees_by_the_rule_of_the_mechanism(rule: str) -> None:
    mean = played("poq", ALL_HONEST, queries=500)["consensus_mean"]
    other = played("poq", ALL_HONEST, queries=500, mechanism={"mechanism.aggregation": rule})
    alike = rule == "trust_weighted"  # all weigh alike
    assert (other["consensus_mean"] == pytest.approx(mean)) == alike


def test_in_the_equilibrium_nodes_mix_and_nobody_gains() -> None:
    """200,000 queries: x* = 0.05, both profits zero within 4.5 standard errors."""
    settings = {
        "watchers.check_probability": "equilibrium",
        "watchers.check_usd": 0.02,
        "watchers.delay_s": 1.0,
        "economics.bounty_usd": 0.4,
        "adversaries.downgrade.gain_usd": 0.5,
    }
    measures = played("opml", ALL_RATIONAL, settings, queries=200_000)
    p, x, n = 0.5 / 5.1, 0.05, 200_000
    assert measures["cheating_share"] == pytest.approx(x, abs=4.5 * np.sqrt(x * (1 - x) / n))
    spread = 5.1 * np.sqrt(p * (1 - p) / (x * n))
    assert measures["cheat_advantage_usd"] == pytest.approx(0.0, abs=4.5 * spread)
    assert measures["watcher_profit_usd"] == pytest.approx(0.0, abs=4.5 * 0.4 * np.sqrt(p * x / n))


CONTESTED = {
    "population.evaluators": [{"model": "sts_stsb", "count": 10}],
    "malicious": {"share": 0.3, "behaviour": "boost"},
}


def test_evaluators_are_paid_by_closeness_less_cost_in_units_of_the_fee() -> None:
    """Equal deterministic evaluators agree: closeness 1 and cost 0, so that each earns alpha F."""
    paid = played("poq", mechanism={"population.evaluators": [{"model": "sts_stsb", "count": 4}]})
    assert paid["evaluator_pay_usd"] == pytest.approx(3 * 0.10)
    assert paid["honest_evaluator_usd"] == pytest.approx(0.10)
    assert np.isnan(paid["malicious_evaluator_usd"])
    assert paid["malicious_majority"] == paid["malicious_acted"] == 0.0


def test_without_a_committee_nobody_is_paid_for_scores() -> None:
    measures = played("otr", queries=50)
    assert measures["evaluator_pay_usd"] == 0.0
    assert np.isnan(measures["malicious_majority"])


def test_malicious_evaluators_move_the_consensus_and_earn_less() -> None:
    honest = played("poq", ALL_HONEST, mechanism={**CONTESTED, "malicious": None})
    lied = played("poq", ALL_HONEST, mechanism=CONTESTED)
    assert lied["consensus_mean"] > honest["consensus_mean"] + 0.3
    assert lied["malicious_evaluator_usd"] < lied["honest_evaluator_usd"]
    # 3 of 10 deviate, K = 3: (C(3,2) 7 + 1) / C(10,3) = 22 / 120
    spread = 4.5 * np.sqrt(22 / 120 * 98 / 120 / 2_000)
    assert lied["malicious_majority"] == pytest.approx(22 / 120, abs=spread)
    assert lied["malicious_acted"] == pytest.approx(0.9, abs=0.1)


def test_trust_takes_weight_from_those_who_lie() -> None:
    weighs = {"mechanism.aggregation": "trust_weighted"}
    learns = {**weighs, "mechanism.trust.update": "relative"}
    blind = played("poq", ALL_HONEST, mechanism={**CONTESTED, **weighs})
    taught = played("poq", ALL_HONEST, mechanism={**CONTESTED, **learns})
    assert taught["consensus_mean"] < blind["consensus_mean"] - 0.1


def test_the_reward_family_sets_the_pay() -> None:
    """A threshold of 0 pays alpha for any quality."""
    flat = {"mechanism.reward": {"family": "threshold", "threshold": 0.0}}
    measures = played("poq", ALL_HONEST, mechanism={**flat, "mechanism.beta_inference": 0.0})
    assert measures["paid_usd"] == pytest.approx(0.10)


def test_the_honest_answer_that_was_not_given_is_remembered_by_nobody() -> None:
    """Cheats are scored twice; what evaluators do and learn is counted once."""
    calm = played("poq", ALL_HONEST, mechanism=CONTESTED)
    wild = played("poq", ALL_CHEAT, mechanism=CONTESTED)
    assert wild["malicious_acted"] == calm["malicious_acted"]
    assert wild["malicious_majority"] == calm["malicious_majority"]
