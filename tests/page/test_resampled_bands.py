"""Bands with the calibration's error: those of a run with ``--resample-profile``."""

from __future__ import annotations

import numpy as np
import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.page.controls import BANDS
from poq_abm.page.exploring import Exploration, explorable
from poq_abm.page.samples import difference
from poq_abm.page.views import rewards
from poq_abm.scenario import Scenario, load

CALIBRATED = BANDS.choices[1]
FEW = ["rounds=200", "replications=5"]  # the last resample is shared with nobody


def run_resampled(scenario: Scenario) -> poq_abm.Results:
    return poq_abm.run(scenario.replace({"resample_profile": True}))


def test_rounds_have_the_widened_intervals_of_a_run() -> None:
    exploration = Exploration(load("cost_aware_poq", FEW))
    state = exploration.start.moved(BANDS.key, CALIBRATED)
    (shown,) = exploration.shown(state)
    assert not shown.moved
    results = run_resampled(exploration.page.scenario)
    summary = results.summary().set_index(["role", "group"])
    for one in rewards(shown.played, shown.length):
        row = summary.loc[tuple(one.whose.split(" "))]
        told = row["reward_mean"], row["widened_low"], row["widened_high"]
        assert one.estimate == pytest.approx(told, rel=1e-9)
    again = results.side("base").resampled_nodes
    assert again is not None
    for place, one in enumerate(shown.played.classes):
        mine = again[(again["role"] == one.role) & (again["group"] == one.label)]
        jobs = mine.groupby("replication", observed=True)["jobs"].sum()
        assert shown.played.resampled.jobs[:, -1, place].tolist() == jobs.tolist()
    means = results.side("base").resampled_main["consensus_mean"]  # type: ignore[index]
    found = shown.played.resampled.consensus.mean(axis=1)
    assert found == pytest.approx(means.to_numpy(), rel=1e-13)
    assert exploration.scenario(state).resample_profile


def test_figures_on_the_profile_are_what_they_were_and_bands_are_wider() -> None:
    exploration = Exploration(load("cost_aware_poq", FEW))
    plain = exploration.play(exploration.start)
    calibrated = exploration.play(exploration.start.moved(BANDS.key, CALIBRATED))
    assert plain.resampled is None
    np.testing.assert_array_equal(plain.reward, calibrated.reward)
    for one, other in zip(rewards(plain, 200), rewards(calibrated, 200), strict=True):
        assert one.estimate[0] == other.estimate[0]
        assert other.estimate[1] <= one.estimate[1]
        assert other.estimate[2] >= one.estimate[2]
    said = exploration.page.said(*exploration.shown(exploration.start.moved(BANDS.key, CALIBRATED)))
    assert "other records that might have been measured" in said


def test_the_difference_of_two_is_taken_on_the_same_resamples() -> None:
    sweep = load("committee_size", [*FEW, "resample_profile=true"])
    pair = Exploration(*(explorable(sweep, f"committee_size={k}") for k in (1, 3)))
    a, b = (rewards(one.played, one.length) for one in pair.shown(pair.start))
    compared = poq_abm.run(sweep).compare("committee_size=1", "committee_size=3")
    told = compared.set_index("metric")
    for one, other in zip(a, b, strict=True):
        row = told.loc[f"reward of {one.whose}"]
        ends = row["difference"], row["widened_low"], row["widened_high"]
        assert difference(one.sample, other.sample) == pytest.approx(ends, rel=1e-9)


def test_an_economy_ends_with_the_widened_intervals_of_a_run() -> None:
    economy = explorable(load("entry_exit", ["rounds=300", "economy.epochs=15", "replications=4"]))
    exploration = Exploration(economy)
    played = exploration.play(exploration.start.moved(BANDS.key, CALIBRATED))
    quality = exploration.page.figures(played, 15)[0]
    summary = run_resampled(economy).economy_summary()
    (row,) = summary[
        (summary["measure"] == "quality") & (summary["role"] == "network")
    ].itertuples()
    assert quality.estimate == (row.last, row.widened_low, row.widened_high)


def test_protocols_have_the_widened_intervals_of_a_run() -> None:
    scenario = explorable(load("otr_watchers", FEW))
    exploration = Exploration(scenario)
    played = exploration.play(exploration.start.moved(BANDS.key, CALIBRATED))
    summary = run_resampled(scenario).query_summary().set_index("measure")
    protocol = scenario.verification.protocol  # type: ignore[union-attr]
    for measure in ("dishonest_stands", "total_usd", "truth_mean"):
        row = summary.loc[measure]
        found = played.figure(protocol, measure).estimate
        assert found == (row["mean"], row["widened_low"], row["widened_high"])


def test_too_few_replications_are_told_by_the_switch() -> None:
    exploration = Exploration(load("cost_aware_poq", ["rounds=50", "replications=2"]))
    with pytest.raises(InputError, match="needs 4 replications or more, got 2"):
        exploration.shown(exploration.start.moved(BANDS.key, CALIBRATED))


def test_resamples_come_in_pairs_however_long_a_replication_takes() -> None:
    large = load("adversary_sweep", ["sweep={}", "replications=20", "mechanism.committee_size=20",
                                     "rounds=20000"])  # fmt: skip
    page = Exploration(large).page
    page.length = 20_000
    assert page.replications(large) == 2
    assert page.replications(large.replace({"resample_profile": True})) == 4
