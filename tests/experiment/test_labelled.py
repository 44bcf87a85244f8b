"""Labelled arrays, and readers that know nothing of us."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import poq_abm
from poq_abm.scenario import Scenario


@pytest.fixture
def swept(small: Scenario) -> Scenario:
    return small.replace({"sweep": {"mechanism.committee_size": [1, 3]}})


def test_arrays_hold_what_the_tables_hold(swept: Scenario) -> None:
    pytest.importorskip("xarray")
    results = poq_abm.run(swept)
    labelled = results.to_xarray()
    assert labelled["bias"].dims == ("treatment", "replication")
    assert labelled["node_reward_total"].dims == ("treatment", "replication", "node")
    assert labelled["mechanism.committee_size"].to_numpy().tolist() == [1, 3]
    assert labelled["node_latency_ms"].attrs["units"] == "ms"
    row = results.nodes.query("treatment == 'committee_size=3' and replication == 2 and node == 4")
    here = labelled.sel(treatment="committee_size=3", replication=2, node=4)
    assert float(here["node_reward_total"]) == row["reward_total"].item()


def test_a_database_reads_the_tables(swept: Scenario, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    results = poq_abm.run(swept)
    results.save(tmp_path)
    query = f"""
        select treatment, count(*), sum(reward_total) from '{tmp_path}/nodes.parquet'
        where role = 'inference' group by treatment order by treatment
    """
    rows = duckdb.sql(query).fetchall()
    inference = results.nodes.query("role == 'inference'")
    sums = inference.groupby("treatment", observed=True)["reward_total"].sum()
    assert [(name, count) for name, count, _ in rows] == [
        ("committee_size=1", 15),
        ("committee_size=3", 15),
    ]
    assert [total for *_, total in rows] == pytest.approx(sums.sort_index().tolist())


def test_tables_bear_their_scenario_and_units(swept: Scenario, tmp_path: Path) -> None:
    results = poq_abm.run(swept)
    for read in (results, poq_abm.read_results(results.save(tmp_path))):
        attributes = read.nodes.attrs
        assert attributes["scenario"] == "cost_aware_poq"
        assert attributes["units"]["reward_mean"] == "tokens per job"
        assert attributes["units"]["latency_ms"] == "ms"
        assert read.replications.attrs["units"]["bias"] == "score -10 to 10"
        assert read.summary().attrs["units"]["reward_low"] == "tokens per job"


def test_attributes_outlive_what_pandas_does(small: Scenario, tmp_path: Path) -> None:
    nodes = poq_abm.run(small).nodes
    assert nodes.query("role == 'inference'").attrs == nodes.attrs
    nodes.to_parquet(tmp_path / "n.parquet")
    assert pd.read_parquet(tmp_path / "n.parquet").attrs == nodes.attrs


def test_results_show_themselves_in_a_notebook(small: Scenario, stored_runs) -> None:
    eight = small.replace({"replications": 2, "sweep": {"rounds": list(range(50, 58))}})
    shown = poq_abm.run(eight)._repr_html_()
    assert "<b>cost_aware_poq</b>: 8 treatments; tables nodes, replications" in shown
    assert "tokens per job" in shown
    assert "2 more treatments" in shown
    assert "rounds=50" in shown and "rounds=57" not in shown
    for folder in stored_runs.values():
        assert "95% interval" in poq_abm.read_results(folder)._repr_html_()
