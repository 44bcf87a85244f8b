"""What the cheapest contract on a profile costs."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from economy_support import small_profile

from poq_abm.analysis.contract import (
    bin_names,
    contract_plot,
    contract_sentence,
    contract_table,
    model_costs,
    score_bins,
)
from poq_abm.errors import InputError
from poq_abm.profile import Profile, load_profile


@pytest.fixture(scope="module")
def real() -> Profile:
    return load_profile("small_llms")


def test_bins_are_equally_likely_or_wide(real: Profile) -> None:
    likely = score_bins(real, bins=4)
    assert likely.chances.sum(axis=1) == pytest.approx(1.0)
    assert likely.chances.mean(axis=0) == pytest.approx(0.25, abs=0.01)
    assert all(low < high for low, high in pairwise(likely.edges))
    wide = score_bins(real, bins=4, spacing="equal")
    assert wide.edges == (2.5, 5.0, 7.5)
    assert (wide.quality == likely.quality).all()
    assert bin_names(wide.edges) == ["< 2.5", "2.5 - 5", "5 - 7.5", ">= 7.5"]
    assert bin_names(()) == ["all"]


def test_scores_are_those_of_one_evaluator_or_of_every_committee(real: Profile) -> None:
    alone = score_bins(real, evaluator="wordllama")
    assert alone.quality == pytest.approx(real.scores[:, :, 2] / 10.0)
    pairs = score_bins(real, committee_size=2)
    assert pairs.quality == pytest.approx(real.agreed / 10.0)  # every evaluator as often
    middle = score_bins(real, committee_size=5, aggregation="median")
    assert middle.quality == pytest.approx(np.median(real.scores, axis=2) / 10.0)
    assert set(np.unique(middle.shares)) == {0.0, 1.0}


def test_the_table_of_a_measured_profile(real: Profile) -> None:
    binned, costs = score_bins(real), model_costs(real)
    table = contract_table(real, "gemma3_q4", binned, costs, resamples=20)
    again = contract_table(real, "gemma3_q4", binned, costs, resamples=20)
    pd.testing.assert_frame_equal(table, again)
    rows = table.set_index(["contract", "minimises"])
    plain, rising = rows.loc[("as known", "pay")], rows.loc[("monotone", "pay")]
    linear = rows.loc[("linear", "pay")]
    assert plain["low"] < plain["expected_pay"] < plain["high"]
    assert plain["expected_pay"] < rising["expected_pay"] < linear["expected_pay"]
    assert rows.loc[("as known", "budget")]["largest_pay"] < plain["largest_pay"]
    pays = plain[[f"pay_{place}" for place in range(1, 6)]].to_numpy(float)
    profit = binned.chances @ pays - costs
    assert (
        profit.argmax() == real.models.index("gemma3_q4")
        or np.ptp(profit[profit.argsort()[-2:]]) < 1e-6
    )
    assert "gemma3_q4" in contract_sentence(table, "gemma3_q4")
    figure = contract_plot(table, real, "gemma3_q4", binned)
    assert [len(axes.lines) for axes in figure.axes] == [8, 4]


def test_a_margin_makes_the_target_the_best_by_so_much(real: Profile) -> None:
    binned, costs = score_bins(real, bins=4), model_costs(real)
    place = real.models.index("gemma3_q4")
    table = contract_table(real, "gemma3_q4", binned, costs, margin=0.05, resamples=20)
    pays = table[[f"pay_{number}" for number in range(1, 5)]].to_numpy(float)
    for row in pays[table["contract"] == "as known"]:
        profit = binned.chances @ row - costs
        assert profit[place] - np.delete(profit, place).max() == pytest.approx(0.05, abs=1e-6)
    alpha = table["largest_pay"].iloc[-1]
    linear = alpha * binned.quality.mean(axis=0) - costs
    assert linear[place] - np.delete(linear, place).max() == pytest.approx(0.05, abs=1e-9)
    assert "the best to run by 0.05 points pays" in contract_sentence(table, "gemma3_q4")


def test_what_cannot_be_told_apart_is_a_finding() -> None:
    profile = small_profile(scores=5.0)
    binned = score_bins(profile)
    assert binned.chances.shape[1] <= 2
    table = contract_table(profile, "f1", binned, model_costs(profile), resamples=20)
    assert table["expected_pay"].isna().all()
    assert set(table["imitated_by"]) == {"f0", ""}
    said = contract_sentence(table, "f1")
    assert said == (
        "No contract on these scores makes f1 the best to run: f0 scores alike and costs less."
    )
    assert contract_plot(table, profile, "f1", binned).axes


def test_costs_are_beta_c_or_dollars() -> None:
    profile = small_profile()
    assert model_costs(profile, beta=0.5).tolist() == [0.0, 0.5]
    with pytest.raises(InputError, match="has no prices"):
        model_costs(profile, basis="price")
    priced = dataclasses.replace(
        profile, costs=profile.costs.assign(usd_per_answer=np.arange(len(profile.costs)) / 8)
    )
    assert model_costs(priced, basis="price").tolist() == [0.0, 0.125]
    with pytest.raises(InputError, match="no latency of 'f0' on 'moon'"):
        model_costs(profile, hardware="moon")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"bins": 1}, "2 to 12 bins, not 1"),
        ({"evaluator": "m9"}, "no evaluator 'm9'"),
        ({"committee_size": 4}, "1 to 3 different evaluators"),
        ({"aggregation": "meen"}, "no aggregation rule 'meen'; did you mean 'mean'"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_bins(small_profile(), **asked)


def test_a_target_is_a_model_beside_others() -> None:
    profile, lonely = small_profile(), small_profile((1.0, 2.0), models=1)
    with pytest.raises(InputError, match="no model 'f7'"):
        contract_table(profile, "f7", score_bins(profile), model_costs(profile))
    with pytest.raises(InputError, match="nothing to choose"):
        contract_table(lonely, "f0", score_bins(lonely), model_costs(lonely))
