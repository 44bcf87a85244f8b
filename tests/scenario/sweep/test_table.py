"""A sweep from a table: its rows are a list, and its mistakes are said in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario_support import POPULATION

from poq_abm.scenario import Scenario, ScenarioError, load

SWEEP = POPULATION + "sweep:\n  from: table.csv\n"


def loaded(folder: Path, table: str, text: str = SWEEP) -> Scenario:
    (folder / "table.csv").write_text(table, encoding="utf-8")
    (folder / "s.yaml").write_text(text)
    return load(folder / "s.yaml")


def test_rows_are_treatments_beside_the_scenario(tmp_path: Path) -> None:
    table = "# of this and that\nrounds,mechanism.aggregation\n5,mean\n9,median\n"
    scenario = loaded(tmp_path, table)
    assert [treatment.settings for treatment in scenario.treatments()] == [
        {"rounds": 5, "mechanism.aggregation": "mean"},
        {"rounds": 9, "mechanism.aggregation": "median"},
    ]
    (tmp_path / "table.csv").unlink()
    again = load(scenario.resolved())  # what was read is part of the scenario
    assert [t.id for t in again.treatments()] == [t.id for t in scenario.treatments()]


def test_other_axes_cross_the_table_and_rows_may_have_ids(tmp_path: Path) -> None:
    text = SWEEP + "  mechanism.committee_size: [1, 2]\n"
    scenario = loaded(tmp_path, "id,rounds\nfew,5\nmany,9\n", text)
    assert [t.id for t in scenario.treatments()][:2] == [
        "few,committee_size=1",
        "few,committee_size=2",
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "table.csv: the table has no columns"),
        ("rounds\n", "table.csv: the table has no rows"),
        ("rounds,rounds\n1,2\n", "table.csv: two columns have one name"),
        ("rounds,seed\n1\n", "table.csv: row 1 has 1 values, not 2"),
        ("ronds\n1\n", "no such field: unknown key; did you mean 'rounds'"),
        ("seed\n1\n", "seed cannot be swept"),
        ("rounds\n0\n", "rounds: must be at least 1, got 0"),
        ("rounds\n5\n5\n", "the same treatment as entry 1"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        loaded(tmp_path, table)
    assert said in str(error.value)
    assert "s.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("{from: nowhere.csv}", "cannot read the table 'nowhere.csv'"),
        ("{from: [1]}", "must be the path of a CSV table, got [1]"),
        ("{from: table.csv, list: [{rounds: 1}]}", "a list or a table (from), not both"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, sweep: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        loaded(tmp_path, "rounds\n5\n", f"{POPULATION}sweep: {sweep}\n")
    assert said in str(error.value)
