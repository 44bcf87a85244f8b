"""Two treatments side by side."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.comparing import compare, group_rewards
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import summarise
from poq_abm.experiment.results import Results


def table(*replications: int, **columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"replication": list(replications), "rounds": 5, **columns})


def node(replication: int, role: str, group: str, jobs: int, total: float) -> dict[str, object]:
    return {
        "replication": replication,
        "role": role,
        "group": group,
        "jobs": jobs,
        "reward_total": total,
    }


@cache
def results() -> Results:
    return poq_abm.run(poq_abm.load("committee_size", ["rounds=300", "replications=8"]))


def side(size: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    played, name = results(), f"committee_size={size}"
    return tuple(t[t["treatment"] == name] for t in (played.replications, played.nodes))


def test_replications_are_matched_by_number() -> None:
    a = table(0, 1, 2, welfare=[1.0, 2.0, 3.0])
    b = table(3, 2, 1, 0, welfare=[99.0, 3.0, 4.0, 2.0])
    row = compare(a, b).iloc[0]
    assert row["metric"] == "welfare"
    assert row["unit"] == "tokens"
    assert (row["replications"], row["mean_b"], row["difference"]) == (3, 3.0, 1.0)
    assert row["low"] == pytest.approx(1 - 4.302653 / math.sqrt(3), rel=1e-6)
    assert row["moved"] == "no evidence"


def test_every_float_column_with_a_number_in_both_is_a_metric() -> None:
    nan = math.nan
    a = table(0, 1, bias=[1.0, 2.0], only_a=[1.0, 2.0], never=[nan, nan], apart=[1.0, nan])
    b = table(0, 1, never=[1.0, 2.0], apart=[nan, 1.0], bias=[1.0, 3.0])
    assert compare(a, b)["metric"].tolist() == ["bias"]


def test_a_missing_value_drops_the_pair_of_its_metric_only() -> None:
    a = table(0, 1, 2, bias=[1.0, math.nan, 3.0], spearman=[0.1, 0.2, 0.3])
    b = table(0, 1, 2, bias=[2.0, 5.0, 5.0], spearman=[0.2, 0.2, 0.3])
    found = compare(a, b).set_index("metric")
    assert found["replications"].to_dict() == {"bias": 2, "spearman": 3}
    assert found.loc["bias", "mean_a"] == 2.0


def test_verdicts_hold_together() -> None:
    random = np.random.default_rng(2)
    noise = {f"m{k}": random.normal(size=6) for k in range(9)}
    a = table(*range(6), **{name: [0.0] * 6 for name in (*noise, "x")})
    spread = noise["m0"] - noise["m0"].mean()
    shifted = spread + 3.0 * spread.std(ddof=1) / math.sqrt(6)  # t = 3 on 5 degrees: p = 0.03
    b = table(*range(6), **noise, x=shifted)
    alone = compare(a, b, on=["x"]).iloc[0]
    among = compare(a, b).set_index("metric").loc["x"]
    assert alone["moved"] == "up"
    assert alone["p_adjusted"] == alone["p_value"] == among["p_value"] < 0.05
    assert among["p_adjusted"] > 0.05
    assert among["moved"] == "no evidence"
    assert among["low"] > 0.0  # by itself it would count


def test_differences_stay_in_their_range_and_unseen_events_keep_a_width() -> None:
    rare = table(*range(20), dropped_share=np.zeros(20), correlation=[0.99, 0.2] * 10)
    other = table(*range(20), dropped_share=np.zeros(20), correlation=[-0.99, -0.2] * 10)
    rows = compare(rare, other).set_index("metric")
    unseen = 1.0 - 0.025 ** (1 / 20)
    assert tuple(rows.loc["dropped_share", ["low", "high"]]) == pytest.approx((-unseen, unseen))
    assert rows.loc["correlation", "low"] > -2.0
    assert compare(rare, rare).set_index("metric").loc["correlation", "high"] == 0.0


def test_what_is_equal_costs_the_others_nothing() -> None:
    a = table(0, 1, 2, bias=[1.0, 2.0, 3.0], cost=[0.1, 0.2, 0.3])
    b = table(0, 1, 2, bias=[1.1, 2.2, 3.2], cost=[0.1, 0.2, 0.3])
    found = compare(a, b).set_index("metric")
    assert found.loc["bias", "p_adjusted"] == found.loc["bias", "p_value"]
    assert math.isnan(found.loc["cost", "p_value"])
    assert found.loc["cost", "moved"] == "no evidence"
    assert found.loc["cost", ["low", "high"]].tolist() == [0.0, 0.0]


def test_one_pair_is_no_evidence() -> None:
    row = compare(table(0, bias=[1.0]), table(0, bias=[9.0])).iloc[0]
    assert row["difference"] == 8.0
    assert math.isnan(row["low"])
    assert row["moved"] == "no evidence"


def test_metrics_asked_for_come_in_that_order_even_without_a_pair() -> None:
    a = table(0, 1, bias=[1.0, 2.0], spearman=[math.nan, 0.1], cost=[0.1, 0.2])
    b = table(0, 1, bias=[1.0, 3.0], spearman=[0.1, math.nan], cost=[0.2, 0.3])
    found = compare(a, b, on=["spearman", "bias", "spearman"])
    assert found["metric"].tolist() == ["spearman", "bias"]
    assert found["replications"].tolist() == [0, 2]


def test_nothing_to_compare_is_an_empty_table() -> None:
    empty = compare(table(0, 1, x=[1.0, 2.0]), table(0, 1, y=[1.0, 2.0]))
    assert len(empty) == 0
    assert list(empty.columns) == list(compare(table(0, x=[1.0]), table(0, x=[1.0])).columns)


def test_a_group_earns_its_reward_over_its_jobs() -> None:
    rows = [
        node(0, "evaluator", "e", 1, 1.0),
        node(0, "evaluator", "e", 3, 0.0),
        node(0, "inference", "e", 2, 1.0),
        node(1, "evaluator", "e", 0, 0.0),
        node(1, "inference", "e", 4, 1.0),
        node(0, "inference", "idle", 0, 0.0),
        node(1, "inference", "idle", 0, 0.0),
    ]
    found = group_rewards(pd.DataFrame(rows))
    expected = {
        "reward of evaluator e": [0.25, math.nan],
        "reward of inference e": [0.5, 0.25],
        "reward of inference idle": [math.nan, math.nan],
    }
    assert list(found.columns) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_groups_of_both_become_metrics() -> None:
    (a, nodes_a), (b, nodes_b) = side(1), side(3)
    nodes_b = nodes_b[nodes_b["group"] != "ce_minilm"]
    found = compare(a, b, nodes_a=nodes_a, nodes_b=nodes_b).set_index("metric")
    summary = summarise(nodes_b).set_index(["role", "group"])
    name = "reward of evaluator sts_stsb"
    assert found.loc[name, "unit"] == "tokens per job"
    expected = summary.loc[("evaluator", "sts_stsb"), "reward_mean"]
    assert found.loc[name, "mean_b"] == pytest.approx(expected, rel=1e-12)
    assert "reward of evaluator ce_minilm" not in found.index
    assert len(compare(a, b, on=[name], nodes_a=nodes_a, nodes_b=nodes_b)) == 1


def test_keyed_draws_make_a_real_difference_sharper() -> None:
    (a, _), (b, _) = side(1), side(3)
    found = compare(a, b).set_index("metric")
    # Alone, an evaluator is the consensus and earns the most; among three it does not.
    assert found.loc["closeness_mean", "mean_a"] == 1.0
    assert found.loc["evaluator_reward_mean", "moved"] == "down"
    assert found.loc["mean_absolute_error", "variance_reduction"] > 1.0
    # Records and who answers them do not depend on the committee.
    assert found.loc["truth_mean", ["low", "high"]].tolist() == [0.0, 0.0]
    assert found.loc["truth_mean", "variance_reduction"] == math.inf


def test_swapping_treatments_turns_the_verdicts_round() -> None:
    (a, nodes_a), (b, nodes_b) = side(1), side(3)
    there = compare(a, b, nodes_a=nodes_a, nodes_b=nodes_b)
    back = compare(b, a, nodes_a=nodes_b, nodes_b=nodes_a)
    turned = there["moved"].map({"up": "down", "down": "up", "no evidence": "no evidence"})
    assert back["moved"].tolist() == turned.tolist()
    assert {"down", "no evidence"} <= set(there["moved"])
    np.testing.assert_array_equal(back["p_adjusted"], there["p_adjusted"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b": table(7, bias=[1.0])}, "no replication in common"),
        ({"b": table(0, 0, bias=[1.0, 2.0])}, "B has several rows of one replication"),
        ({"a": pd.DataFrame({"bias": [1.0]})}, "A is no table of replications"),
        (
            {"a": table(0, 1, bias=[1.0, 2.0]).assign(treatment=["x", "y"])},
            "A holds several treatments",
        ),
        ({"on": ["biass"]}, "no metric 'biass'; did you mean 'bias'?"),
        ({"nodes_a": pd.DataFrame()}, "nodes of both"),
        ({"confidence": 95}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, object], said: str) -> None:
    given = {"a": table(0, bias=[1.0]), "b": table(0, bias=[1.0]), **change}
    with pytest.raises(InputError) as error:
        compare(given.pop("a"), given.pop("b"), **given)
    assert said in str(error.value)
