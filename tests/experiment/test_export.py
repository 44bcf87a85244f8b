"""Tables of a run as other programs read them."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.export import FORMATS, SUMMARY, export, labelled
from poq_abm.experiment.results import Results
from poq_abm.scenario import Scenario


@pytest.fixture(scope="module")
def swept() -> Results:
    """Two axes, of a word and of a number whose name a column has."""
    axes = {"mechanism.aggregation": ["mean", "median"], "rounds": [60, 90]}
    scenario = poq_abm.load("cost_aware_poq", ["replications=2"]).replace({"sweep": axes})
    return poq_abm.run(scenario)


def test_rows_bear_what_their_treatment_was_set_to(swept: Results, tmp_path: Path) -> None:
    export(swept, tmp_path / "r.csv")
    read = pd.read_csv(tmp_path / "r.csv")
    assert (read["axis_rounds"] == read["rounds"]).all()
    assert set(read["aggregation"]) == {"mean", "median"}
    assert read["bias"].tolist() == swept.replications["bias"].tolist()


def test_a_codebook_has_every_column_with_its_unit(swept: Results, tmp_path: Path) -> None:
    written = export(swept, tmp_path / "n.csv", "nodes")
    read, codebook = (pd.read_csv(path, keep_default_na=False) for path in written)
    assert list(read) == codebook["column"].tolist()
    units = dict(zip(codebook["column"], codebook["unit"], strict=True))
    assert (units["reward_mean"], units["latency_ms"]) == ("tokens per job", "ms")
    assert (codebook["meaning"] != "").all()


def test_stata_reads_variable_labels_and_the_same_numbers(swept: Results, tmp_path: Path) -> None:
    export(swept, tmp_path / "n.dta", "nodes")
    with pd.read_stata(tmp_path / "n.dta", iterator=True) as reader:
        labels, read = reader.variable_labels(), reader.read()
        assert reader.data_label == "cost_aware_poq, nodes"
    assert labels["reward_total"] == "paid, less what audits took back (tokens)"
    assert read["reward_total"].tolist() == swept.nodes["reward_total"].tolist()
    assert read["model"].astype(str).tolist() == swept.nodes["model"].astype(str).tolist()


@pytest.mark.parametrize("table", ["nodes", "replications", SUMMARY])
def test_arrow_files_bear_units_in_their_fields(swept: Results, table: str, tmp_path: Path) -> None:
    export(swept, tmp_path / "a.feather", table)
    export(swept, tmp_path / "a.parquet", table)
    feather = pyarrow.feather.read_table(tmp_path / "a.feather")
    parquet = pq.read_table(tmp_path / "a.parquet")
    assert feather.to_pandas().equals(parquet.to_pandas())
    for read in (feather, parquet):
        assert read.schema.metadata[b"table"].decode() == table
        assert all(b"unit" in field.metadata for field in read.schema)


def test_latex_is_the_summary_with_its_rules(swept: Results, tmp_path: Path) -> None:
    (path,) = export(swept, tmp_path / "t.tex")
    text = path.read_text()
    assert all(f"\\{rule}rule" in text for rule in ("top", "mid", "bottom"))
    body = [line for line in text.splitlines() if line.startswith(("mean &", "median &"))]
    assert len(body) == len(swept.summary())
    assert not re.search(r"(?<!\\)_", text.replace("\\label{tab:cost_aware_poq}", ""))


def test_latex_sets_a_negative_number_with_a_minus(small: Scenario, tmp_path: Path) -> None:
    loss = small.replace({"mechanism.beta_inference": 5.0, "population.inference.0.name": "a-1b"})
    (path,) = export(poq_abm.run(loss), tmp_path / "t.tex")
    text = path.read_text()
    assert "$-$" in text and "a-1b" in text
    assert not re.search(r"(?<!\w)-\d", text)


def test_netcdf_holds_the_labelled_arrays(swept: Results, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    export(swept, tmp_path / "x.nc")
    with xarray.open_dataset(tmp_path / "x.nc") as read:
        there = read.sel(treatment="aggregation=median,rounds=90", replication=1)
        row = swept.replications.query("treatment == 'aggregation=median,rounds=90'").iloc[1]
        assert float(there["bias"]) == row["bias"]
        assert read["node_latency_ms"].attrs["units"] == "ms"
        assert read.attrs["scenario"] == "cost_aware_poq"


@pytest.mark.parametrize("run", ["base", "economy", "protocols"])
@pytest.mark.parametrize("ending", [".csv", ".dta", ".tex"])
def test_every_kind_of_run_has_a_summary(stored_runs, run: str, ending: str, poq) -> None:
    done = poq("export", stored_runs[run], "--table", SUMMARY, "--out", f"s{ending}")
    assert (done.code, Path(done.out.split()[0]).stat().st_size > 500) == (0, True)


@pytest.mark.parametrize("run", ["economy", "protocols"])
def test_every_table_of_a_run_is_written_to_stata(stored_runs, run: str, poq) -> None:
    for table in poq_abm.read_results(stored_runs[run]).tables:
        done = poq("export", stored_runs[run], "--table", table, "--out", f"{table}.dta")
        assert done.code == 0, done.err


def test_lists_of_a_trace_are_numbers_with_blanks(small: Scenario, tmp_path: Path) -> None:
    results = poq_abm.run(small.replace({"rounds": 5}), trace=True)
    export(results, tmp_path / "t.csv", "rounds")
    first = pd.read_csv(tmp_path / "t.csv")["committee"][0]
    assert [int(node) for node in first.split()] == list(results.rounds["committee"][0])


def test_nothing_is_overwritten(swept: Results, tmp_path: Path) -> None:
    (tmp_path / "mine.codebook.csv").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        export(swept, tmp_path / "mine.csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("fails", [1, 2])
@pytest.mark.parametrize("what", ["pandas.DataFrame.to_csv", "os.fsync"])
def test_a_table_and_its_codebook_are_both_there_or_neither(
    swept: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, fails: int
) -> None:
    """A disk is full for one of the two; once there is room, the same call writes both."""
    name = what.rpartition(".")[2]
    real, calls = getattr(pd.DataFrame if name == "to_csv" else os, name), []

    def full(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        if len(calls) == fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **options)

    with monkeypatch.context() as disk:
        disk.setattr(what, full)
        with pytest.raises(InputError, match="No space left"):
            export(swept, tmp_path / "r.csv")
    assert list(tmp_path.iterdir()) == []
    assert all(path.is_file() for path in export(swept, tmp_path / "r.csv"))


@pytest.mark.parametrize(
    ("to", "table", "said"),
    [
        ("a.xlsx", None, "no format ends in"),
        ("a.csv", "node", "nodes"),
        ("a.nc", "nodes", "nodes and replications together"),
        ("a.tex", "nodes", "holds the summary"),
        ("no/such/a.csv", None, "cannot write"),
    ],
)
def test_what_cannot_be_written_is_said(stored_runs, poq, to: str, table: str, said: str) -> None:
    asked = ("--table", table) if table else ()
    refused = poq("export", stored_runs["base"], "--out", to, *asked)
    assert (refused.code, said in refused.err) == (2, True), refused.err


def test_every_ending_is_in_the_help(poq) -> None:
    told = poq("export", "--help").out
    assert all(ending in told for ending in FORMATS)


def test_an_axis_of_whole_and_other_numbers_is_of_numbers(small: Scenario) -> None:
    axis = {"mechanism.alpha_inference": [1, 2.5]}
    made = labelled(poq_abm.run(small.replace({"sweep": axis})), "replications")
    assert set(made.column("alpha_inference").to_pylist()) == {1.0, 2.5}
