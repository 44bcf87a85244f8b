from __future__ import annotations

import duckdb
import numpy as np
import pyarrow.parquet as pq
from verification_support import market, traced

from poq_abm.simulation.queries.query_replication import play_queries
from poq_abm.simulation.queries.query_tables import (
    QUERIES,
    QUERY_TRACE,
    query_rows,
    query_trace_table,
)
from poq_abm.simulation.table_columns import table


def test_every_column_has_a_unit_and_a_meaning() -> None:
    for schema in (QUERIES, QUERY_TRACE):
        for field in schema:
            assert set(field.metadata) - {b"trials"} == {b"unit", b"meaning"}
            assert field.metadata[b"meaning"], field.name


def test_every_share_of_queries_says_what_it_is_a_share_of() -> None:
    """Utilisation is a share of time."""
    shares = {field.name for field in QUERIES if field.metadata[b"unit"] == b"0-1"}
    trials = {
        field.name: field.metadata[b"trials"].decode()
        for field in QUERIES
        if b"trials" in field.metadata
    }
    assert trials.keys() == shares - {"utilisation"}
    assert all(str(QUERIES.field(counted).type) == "int64" for counted in trials.values())


def test_the_rows_of_replications(tmp_path) -> None:
    chosen = market("otr", queries=100)
    rows = [play_queries(chosen, r) for r in (3, 1)]
    made = table(QUERIES, [query_rows(rows, "protocol=otr", np.array([3, 1], np.int32))])
    assert made.schema.equals(QUERIES, check_metadata=True)
    assert made.column("replication").to_pylist() == [3, 1]
    assert made.column("total_usd").to_pylist() == [row["total_usd"] for row in rows]
    pq.write_table(made, tmp_path / "queries.parquet")
    said = duckdb.sql(f"select treatment, queries from '{tmp_path}/queries.parquet'").fetchall()
    assert said == [("protocol=otr", 100)] * 2


def test_the_trace_as_a_table() -> None:
    chosen = market("otr", queries=100)
    trace, measures = traced(chosen)
    table = query_trace_table(trace, chosen.game.records, "base", 0)
    assert table.schema.equals(QUERY_TRACE, check_metadata=True)
    frame = table.to_pandas()
    assert frame["query"].tolist() == list(range(100))
    assert set(frame["conduct"]) <= {"honest", "downgrade", "cached", "judge_hack"}
    assert (frame["conduct"] != "honest").mean() == measures["dishonest_share"]
    assert frame["record"].isin(chosen.game.records).all()
