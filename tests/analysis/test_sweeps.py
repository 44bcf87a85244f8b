"""Sweeps as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.audit.attacks import attack_phases_of
from poq_abm.analysis.quality_latency import quality_against_cost
from poq_abm.analysis.sweeps import axis_named, metric_over_axes
from poq_abm.analysis.trust import trust_bands
from poq_abm.errors import InputError

MADE = {
    "sweep": {
        "malicious.share": [0.0, 0.3, 0.6],
        "mechanism.aggregation": ["mean", "median"],
        "malicious.behaviour": ["boost", "sabotage"],
    },
    "rounds": 200,
    "replications": 4,
}


@pytest.fixture(scope="module")
def results():
    return poq_abm.run(poq_abm.load("adversary_sweep").replace(MADE))


def test_a_measure_over_two_axes_is_the_mean_of_each_treatment(results) -> None:
    axes = ["malicious.share", "aggregation"]
    table = metric_over_axes(results, "bias", axes, where={"malicious.behaviour": "boost"})
    assert list(table.columns[:2]) == ["malicious.share", "mechanism.aggregation"]
    assert len(table) == 6
    played = results.replications
    one = played[played["treatment"].astype(str).str.contains("aggregation=median")]
    one = one[one["treatment"].astype(str).str.contains("share=0.3")]
    one = one[one["treatment"].astype(str).str.contains("behaviour=boost")]
    cell = table[(table["malicious.share"] == 0.3) & (table["mechanism.aggregation"] == "median")]
    assert cell["mean"].item() == pytest.approx(one["bias"].mean())
    assert cell["low"].item() < cell["mean"].item() < cell["high"].item()


@pytest.mark.parametrize(
    ("axes", "metric", "where", "message"),
    [
        (["malicious.share", "agregation"], "bias", {}, "did you mean 'aggregation'"),
        (["malicious.share"], "bais", {}, "did you mean 'bias'"),
        (["malicious.share", "aggregation"], "bias", {}, "malicious.behaviour takes 2 values here"),
        (["share"], "bias", {"aggregation": "men"}, "did you mean 'mean'"),
        (["share"], "bias", {"agregation": "mean"}, "did you mean 'aggregation'"),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest(
    results, axes, metric, where, message
) -> None:
    with pytest.raises(InputError, match=message):
        metric_over_axes(results, metric, axes, where=where)


def test_a_run_without_a_sweep_has_no_axis() -> None:
    with pytest.raises(InputError, match="this run has no sweep"):
        axis_named(pd.DataFrame({"treatment": ["base"]}), "committee_size")


def test_phases_compare_attackers_with_their_honest_twins(results) -> None:
    where = {"malicious.behaviour": "boost"}
    table = attack_phases_of(results, "aggregation", where=where)
    assert sorted(set(table["share"])) == [0.3, 0.6]  # nobody attacks at 0
    gain = table.set_index(["value", "share"])
    gap = metric_over_axes(results, "reward_gap", ["aggregation", "share"], where=where)
    gap = gap.set_index(["mechanism.aggregation", "malicious.share"])["mean"]
    assert gain.loc[("median", 0.6), "gain"] == -gap["median", 0.6]
    assert gain.loc[("median", 0.3), "phase"] == "costs"
    # A majority earns more than the minority beside it, and less than if nobody attacked.
    assert gain.loc[("median", 0.6), "phase"] == "costs"
    beside = results.replications.groupby("treatment", observed=True)[
        ["honest_reward_mean", "malicious_reward_mean"]
    ].mean()
    ruled = beside.loc["share=0.6,aggregation=median,behaviour=boost"]
    assert ruled["malicious_reward_mean"] > ruled["honest_reward_mean"]


def test_only_groups_that_nobody_beats_are_efficient() -> None:
    scenario = poq_abm.load("cost_aware_poq", ["rounds=500", "replications=3"])
    table = quality_against_cost(poq_abm.run(scenario).nodes).set_index("group")
    assert table["efficient"].to_dict() == {
        "llama_3_2_3b": True,  # the quickest, and the best
        "gemma_2_2b_it": False,
        "tinylama_1_1b": False,
        "qwen2_1_5b": False,
        "phi3_mini_4k": False,
    }
    assert (table["low"] < table["quality"]).all()


def test_trust_bands_average_nodes_then_replications() -> None:
    settings = ["replications=3", "rounds=100", "sweep.mechanism.trust.update=[relative]"]
    results = poq_abm.run(poq_abm.load("trust_saturation", settings))
    bands = trust_bands(results.trust, results.nodes)
    assert set(bands["behaviour"]) == {"honest", "boost"}
    log = results.trust.merge(
        results.nodes[["treatment", "replication", "node", "behaviour"]].astype(
            {"treatment": str, "behaviour": str}
        ),
        on=["treatment", "replication", "node"],
    )
    cell = bands[(bands["behaviour"] == "boost") & (bands["round"] == 39)].iloc[0]
    same = log[(log["behaviour"] == "boost") & (log["round"] == 39)]
    same = same[same["treatment"] == cell["treatment"]]
    assert cell["trust"] == pytest.approx(same["trust"].mean())
    assert (cell["nodes"], cell["replications"]) == (3, 3)
    with pytest.raises(InputError, match="did you mean 'behaviour'"):
        trust_bands(results.trust, results.nodes, by="behavior")


def test_one_replication_has_a_mean_and_no_interval(results) -> None:
    one = poq_abm.run(poq_abm.load("committee_size", ["rounds=50"]), replications=1)
    table = metric_over_axes(one, "bias", ["committee_size"])
    assert np.isfinite(table["mean"]).all()
    assert table[["low", "high"]].isna().all(axis=None)
