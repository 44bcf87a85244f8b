"""Labelled arrays, and readers that know nothing of us."""

from __future__ import annotations

from pathlib import Path

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
