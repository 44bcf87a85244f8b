"""Statistics of matched pairs, against numbers worked out by hand and against scipy."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import mean_interval, summarise
from poq_abm.experiment.paired import (
    compare,
    group_rewards,
    holm,
    paired,
    variance_reduction_interval,
)
from poq_abm.experiment.results import Results
from poq_abm.experiment.schemas import range_of

NUMBER = st.floats(-100.0, 100.0)
PAIR = st.tuples(NUMBER | st.just(math.nan), NUMBER | st.just(math.nan))


def test_three_pairs_by_hand() -> None:
    found = paired([1.0, 2.0, 3.0], [2.0, 4.0, 3.0])
    # d = 1, 2, 0: mean 1, s.d. 1; t_{2, 0.975} = 4.302653; all variances are 1.
    assert found[:4] == (3, 2.0, 3.0, 1.0)
    half = 4.302653 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half), rel=1e-6)
    assert found.variance_reduction == 2.0
    # With two degrees of freedom, p = 1 - t / sqrt(t^2 + 2), and t = sqrt(3).
    assert found.p_value == pytest.approx(1 - math.sqrt(3 / 5))
    # S = 3, 6, 6 has variance 3 and no correlation with D; t_{1, 0.975} = 12.7062.
    k = 1 + 2 * 12.7062**2
    stretch = k + math.sqrt(k * k - 1)
    ends = ((1 + 3 / stretch) / 2, (1 + 3 * stretch) / 2)
    assert found[6:][1:3] == pytest.approx(ends, rel=1e-5)


def test_the_test_is_scipys() -> None:
    random = np.random.default_rng(5)
    a = random.normal(size=9)
    b = a + random.normal(0.3, 0.5, size=9)
    expected = stats.ttest_rel(b, a)
    found = paired(a, b, 0.9)
    interval = expected.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_the_variance_interval_inverts_the_test_of_equal_variances() -> None:
    random = np.random.default_rng(6)
    a = random.normal(size=10)
    b = 0.8 * a + random.normal(0.0, 0.4, size=10)
    found = paired(a, b)
    for end in (found.variance_reduction_low, found.variance_reduction_high):
        ratio = 2 * end - 1  # var(a + b) / var(b - a) that is just refused at 5%
        total, difference = a + b, math.sqrt(ratio) * (b - a)
        refused = stats.pearsonr(total + difference, total - difference)
        assert refused.pvalue == pytest.approx(0.05)


def test_the_variance_interval_covers_at_its_nominal_rate() -> None:
    random = np.random.default_rng(8)
    a = random.normal(size=(2000, 8))
    b = 1.5 * a + random.normal(0.0, 0.7, size=a.shape)
    truth = (1 + 1.5**2 + 0.7**2) / (0.5**2 + 0.7**2)
    found = [paired(x, y) for x, y in zip(a, b, strict=True)]
    covered = sum(f.variance_reduction_low <= truth <= f.variance_reduction_high for f in found)
    # Binomial(2000, 0.95) leaves [1862, 1937] with probability below 1e-4.
    assert 1862 <= covered <= 1937


@given(st.lists(PAIR, max_size=12))
def test_swapping_a_and_b_mirrors_everything(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    there, back = paired(a, b), paired(b, a)
    assert there.replications == back.replications
    mirrored = (there.mean_b, there.mean_a, -there.difference, -there.high, -there.low)
    np.testing.assert_array_equal(back[1:6], mirrored)
    np.testing.assert_array_equal(back[6:], there[6:])


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=3, max_size=12))
def test_without_matching_the_variance_is_what_the_reduction_says(pairs) -> None:
    a, b = np.array(pairs).T
    found = paired(a, b)
    assume(1e-3 < found.variance_reduction < 1e6)
    # Over all n ways of shifting B against A, covariances cancel.
    shifted = np.mean([(np.roll(b, k) - a).var() for k in range(a.size)])
    assert found.variance_reduction == pytest.approx(shifted / (b - a).var(), rel=1e-6)
    assert found.variance_reduction >= 0.5 - 1e-9
    if math.isfinite(found.variance_reduction_high):
        ends = found.variance_reduction_low, found.variance_reduction_high
        assert ends[0] * (1 - 1e-9) <= found.variance_reduction <= ends[1] * (1 + 1e-9)


def test_a_missing_value_drops_its_pair() -> None:
    nan = math.nan
    found = paired([1.0, 2.0, nan, 3.0, 9.0], [2.0, 4.0, 5.0, 3.0, nan])
    assert found == paired([1.0, 2.0, 3.0], [2.0, 4.0, 3.0])


def test_equal_columns_have_no_difference_and_nothing_to_test() -> None:
    found = paired([0.1, 0.2, 0.4], [0.1, 0.2, 0.4])
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.variance_reduction == math.inf
    assert math.isnan(found.p_value)


def test_a_constant_difference_has_a_degenerate_interval() -> None:
    a = np.array([0.1, 0.2, 0.7])
    found = paired(a, a + 1 / 3)  # which rounding does not leave quite constant
    assert found.low == found.difference == found.high == pytest.approx(1 / 3)
    assert (found.variance_reduction, found.variance_reduction_low) == (math.inf, math.inf)
    assert found.p_value == 0.0


def test_rounding_is_no_difference() -> None:
    a = np.array([0.1, 0.7, 5.0])
    found = paired(a, a * (1 + 2e-16))
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


def test_small_figures_are_not_taken_for_rounding() -> None:
    found = paired([1e-9, 2e-9, 3e-9], [2e-9, 4e-9, 3e-9])
    assert found.variance_reduction == pytest.approx(2.0)
    assert found.low < 0.0 < found.high


def test_without_variation_at_all_there_is_no_reduction_to_speak_of() -> None:
    found = paired([2.0, 2.0, 2.0], [3.0, 3.0, 3.0])
    assert (found.low, found.high) == (1.0, 1.0)
    assert math.isnan(found.variance_reduction)


def test_one_pair_has_a_difference_and_nothing_else() -> None:
    found = paired([1.0], [3.0])
    assert found[:4] == (1, 1.0, 3.0, 2.0)
    assert all(math.isnan(value) for value in found[4:])


def test_no_pair_says_nothing() -> None:
    found = paired([1.0, math.nan], [math.nan, 1.0])
    assert found.replications == 0
    assert all(math.isnan(value) for value in found[1:])


def test_two_pairs_have_no_interval_of_variances() -> None:
    ends = variance_reduction_interval(1.0, 1.0, 0.5, 2)
    assert all(math.isnan(end) for end in ends)


def test_holm_by_hand() -> None:
    # Sorted: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 lifted to what stands before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_missing_ones_out() -> None:
    adjusted = holm([math.nan, 0.01, math.nan, 0.7])
    np.testing.assert_allclose(adjusted, [math.nan, 0.02, math.nan, 0.7])


@given(st.lists(st.floats(0.0, 1.0), max_size=9))
def test_holm_lies_between_the_raw_and_bonferronis(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(np.array(p) * len(p), 1.0)).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


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


def test_a_chance_that_is_worked_out_differs_by_what_it_differs():
    """No sample stands behind `malicious_majority_expected`: 0 and .23 are what they are.

    The share of rounds in which a majority was seen, 0 in all of 20 replications, is a sample.
    """
    never, often = np.zeros(20), np.full(20, 0.23)
    chance = range_of("malicious_majority_expected", "0-1")
    assert paired(never, often, within=chance)[3:6] == pytest.approx((0.23, 0.23, 0.23))
    assert paired(often, np.ones(20), within=chance)[3:6] == pytest.approx((0.77, 0.77, 0.77))
    assert mean_interval(never, within=chance)[2:] == (0.0, 0.0)
    seen = paired(never, often, within=range_of("malicious_majority", "0-1"))
    assert seen.low < seen.difference == pytest.approx(seen.high)
