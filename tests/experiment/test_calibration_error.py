"""Intervals with the calibration's error: their coverage, their limits, and who has them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from network_support import published, small_profile
from scipy.stats import binomtest

from benchmarks.coverage import Calibrations, cover_calibrations
from poq_abm.experiment.blocks import Block, Span
from poq_abm.experiment.calibration_error import WIDENED, widened_interval
from poq_abm.experiment.estimates import UNBOUNDED, Range, mean_interval
from poq_abm.experiment.execute import play_block
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.results import Results, read_results
from poq_abm.experiment.round_study import RoundStudy
from poq_abm.experiment.running import run, run_to_folder
from poq_abm.experiment.verifying import verify
from poq_abm.scenario import ScenarioError, load
from tests.conftest import Poq


def calibrations(
    count: int, records: int, rounds: int, replications: int, seed: int = 1
) -> list[tuple[Any, ...]]:
    """Play calibrations of records with mean 0 in NumPy: rounds draw a record each."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        values = rng.normal(0.0, 1.0, records)
        draws = rng.integers(records, size=(replications, rounds))
        again = []
        for r in range(replications):
            if r % 2 == 0:
                times = np.bincount(rng.integers(records, size=records), minlength=records)
                rows = np.arange(records)
                rows[times == 0] = np.repeat(rows, np.maximum(times - 1, 0))
            again.append(values[rows[draws[r]]].mean())
        made.append((values[draws].mean(axis=1), np.array(again)))
    return made


@pytest.mark.parametrize(("records", "rounds", "replications"), [(100, 400, 20), (50, 300, 40)])
def test_a_thousand_calibrations_are_covered(records: int, rounds: int, replications: int) -> None:
    held, naive = 0, 0
    for plain, again in calibrations(1000, records, rounds, replications):
        mean, _, low, high = mean_interval(plain)
        naive += low <= 0.0 <= high
        found = widened_interval(plain, again, (mean, low, high), records)
        held += found.low <= 0.0 <= found.high
    assert abs(held / 1000 - 0.95) <= 0.015
    assert naive < 500


def test_it_is_cautious_where_the_calibration_hardly_errs() -> None:
    held = 0
    for plain, again in calibrations(300, 2000, 100, 20):
        mean, _, low, high = mean_interval(plain)
        found = widened_interval(plain, again, (mean, low, high), 2000)
        assert found.low <= low
        assert found.high >= high
        held += found.low <= 0.0 <= found.high
    assert held / 300 > 0.94


def test_the_benchmark_counts_what_is_held() -> None:
    sizes = Calibrations(calibrated=12, records=40, rounds=600, replications=12)
    covers = cover_calibrations(sizes)
    for alone, widened in covers.values():
        assert alone.held < widened.held
        assert binomtest(widened.held, 12, 0.95).pvalue > 0.01


def test_the_share_is_known_and_has_an_interval() -> None:
    shares = []
    for plain, again in calibrations(100, 100, 100, 40):  # V_c is 1/100, s^2 / R 1/4000
        found = widened_interval(plain, again, (0.0, -1.0, 1.0), 100)
        assert 0.0 <= found.share_low <= found.share <= found.share_high <= 1.0
        shares.append(found.share)
    assert np.median(shares) == pytest.approx(40 / 41, abs=0.02)


ONES = np.arange(6.0)


@pytest.mark.parametrize(
    ("again", "records"),
    [(ONES[:3], 100), (np.full(6, np.nan), 100), (ONES + 1.0, 1)],
    ids=["one pair", "no figures", "one record"],
)
def test_too_little_gives_no_interval(again: Any, records: int) -> None:
    plain = ONES[: len(again)]
    assert all(math.isnan(end) for end in widened_interval(plain, again, (2.5, 1, 4), records))


def test_what_resampling_leaves_alone_keeps_its_interval() -> None:
    assert widened_interval(ONES, ONES + 1e-15, (2.5, 1.0, 4.0), 100) == (1.0, 4.0, 0.0, 0.0, 0.0)


def test_no_interval_leaves_its_range() -> None:
    share = np.array([0.9, 0.95, 1.0, 0.9, 0.92, 0.91])
    again = share - np.repeat([0.2, 0.1, 0.3], 2)
    found = widened_interval(share, again, (0.93, 0.9, 0.96), 100, within=Range(0.0, 1.0))
    assert 0.0 < found.low < 0.9
    assert 0.96 < found.high < 1.0
    beyond = widened_interval(share, again, (0.93, 0.9, 0.96), 100, within=UNBOUNDED)
    assert beyond.high > 1.0


@pytest.fixture(scope="module")
def results() -> Results:
    return run(published(rounds=400, replications=6, resample_profile=True))


def test_the_numbers_of_the_scenario_stay(results: Results) -> None:
    without = run(published(rounds=400, replications=6))
    pd.testing.assert_frame_equal(results.nodes, without.nodes)
    summary = without.summary()
    pd.testing.assert_frame_equal(results.summary()[list(summary)], summary)
    widened = results.summary()
    assert list(widened)[-len(WIDENED) :] == list(WIDENED)
    assert (widened["widened_low"] <= widened["reward_low"]).all()
    assert (widened["calibration_share"] > 0.0).any()


def test_both_engines_resample_alike(results: Results) -> None:
    agents = run(published(rounds=400, replications=6, resample_profile=True), engine="agents")
    for name, table in results.tables.items():
        pd.testing.assert_frame_equal(table.to_pandas(), agents.tables[name].to_pandas())


def test_more_replications_add_to_those_there(results: Results, tmp_path: Path) -> None:
    for count in (5, 6):
        plan = Plan.of(published(rounds=400, replications=count, resample_profile=True))
        run_to_folder(plan, tmp_path / "run")
    stored = read_results(tmp_path / "run")
    pd.testing.assert_frame_equal(stored.summary(), results.summary())
    assert list(verify(tmp_path / "run", 2)) == []


def test_pairs_share_a_resample_and_treatments_too() -> None:
    sweep = {"mechanism.committee_size": [2, 3]}
    plan = Plan.of(published(rounds=200, replications=4, resample_profile=True, sweep=sweep))
    whole = play_block(plan, Block((Span(0, 0, 4), Span(1, 0, 4)))).tables
    for treatment in (0, 1):  # whatever is played beside a replication, its resample is the same
        alone = play_block(plan, Block((Span(treatment, 3, 4),))).tables["resampled_nodes"]
        frame = whole["resampled_nodes"].to_pandas()
        mine = frame[
            (frame["replication"] == 3) & (frame["treatment"] == plan.treatments[treatment].id)
        ]
        assert mine["reward_total"].tolist() == alone.column("reward_total").to_pylist()


def test_comparisons_are_widened_on_the_same_resamples() -> None:
    sweep = {"mechanism.beta_inference": [0.0, 0.3]}
    played = run(published(rounds=400, replications=8, resample_profile=True, sweep=sweep))
    table = played.compare(*played.treatments["treatment"]).set_index("metric")
    consensus = table.loc["consensus_mean"]
    assert consensus["widened_low"] == consensus["widened_high"] == 0.0  # the same on any records
    rewards = played.summary()
    assert (rewards["widened_high"] > rewards["reward_high"]).any()


def test_economies_and_queries_have_it_too() -> None:
    economy = load("cost_aware_poq").replace(
        {"rounds": 200, "replications": 4, "economy": {"epochs": 4}, "resample_profile": True}
    )
    summary = run(economy).economy_summary().set_index(["group", "measure"])
    quality = summary.loc[("network", "quality")]
    assert quality["widened_low"] < quality["low"] < quality["high"] < quality["widened_high"]
    queries = load("cost_aware_poq").replace(
        {
            "rounds": 100,
            "replications": 4,
            "verification.protocol": "none",
            "resample_profile": True,
        }
    )
    measures = run(queries).query_summary().set_index("measure")
    assert measures.loc["truth_mean", "widened_low"] <= measures.loc["truth_mean", "low"]
    assert measures.loc["cheating_share", "widened_low"] >= 0.0


def test_a_replication_that_raises_on_either_profile_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = RoundStudy.play

    def raising(
        self: Any, treatment: str, profile: Any, first: int, last: int, options: Any
    ) -> Any:
        played = play(self, treatment, profile, first, last, options)
        if len(set(profile.records)) == len(profile.records) or not first <= 2 < last:
            return played
        failed = self._failures(2, 3, lambda _: 1 / 0)
        return played._replace(failures=failed)

    monkeypatch.setattr(RoundStudy, "play", raising)
    with pytest.warns(UserWarning, match="1 replications raised"):
        played = run(published(rounds=50, replications=6, resample_profile=True))
    assert played.failures[0]["replication"] == 2
    for table in played.tables.values():
        assert set(table.column("replication").to_pylist()) == {0, 1, 3, 4, 5}


REPLICATIONS = "resample_profile: needs 4 replications or more, got"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"replications": 3}, f"{REPLICATIONS} 3"),
        (
            {"replications": {"until": {"metric": "bias", "half_width": 1.0}, "at_least": 2}},
            f"{REPLICATIONS} 2",
        ),
        ({"sweep": {"resample_profile": [True, False]}}, "resample_profile cannot be swept"),
    ],
)
def test_what_cannot_act_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        Plan.of(load("cost_aware_poq").replace({"resample_profile": True, **settings}))


def test_a_task_of_one_record_is_refused() -> None:
    profile = small_profile(records=(5, 1))
    people = {"inference": [{"model": "f0"}], "evaluators": [{"model": "m0", "count": 3}]}
    scenario = load({"population": people, "resample_profile": True})
    with pytest.raises(ScenarioError, match="task t1 has one record: there is nothing to resample"):
        Plan.of(scenario, profile=profile)
    played = Plan.of(scenario.replace({"tasks": {"t0": 1.0}}), profile=profile)
    assert played.fewest_records == 5


def test_precision_is_that_of_the_replications(poq: Poq, tmp_path: Path) -> None:
    target = "replications={until: {metric: consensus_mean, half_width: 0.5}, at_least: 4}"
    told = poq("run", "cost_aware_poq", "--resample-profile", "--rounds", "200",
               "--set", target, "--out", str(tmp_path / "run"))  # fmt: skip
    assert told.code == 0
    assert "no number of them shortens the calibration's error" in " ".join(told.out.split())
    assert "its share of" in told.out
    page = poq("report", str(tmp_path / "run"))
    assert page.code == 0
    texts = [path.read_text() for path in tmp_path.rglob("*.html")]
    assert any("with calibration error" in text for text in texts)
    assert any("resampled" in text for text in texts)


@pytest.mark.parametrize("verb", [["audit"], ["sensitivity", "--metric", "bias",
                                  "--field", "mechanism.beta_inference=0:1"]])  # fmt: skip
def test_verbs_that_do_not_report_it_refuse_it(poq: Poq, verb: list[str]) -> None:
    told = poq(verb[0], "cost_aware_poq", *verb[1:], "--set", "resample_profile=true")
    assert told.code == 2
    assert f"resample_profile does nothing in a{'n' * (verb == ['audit'])} {verb[0]}" in told.err
