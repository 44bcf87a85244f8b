"""A reward split into what it was paid for."""

from __future__ import annotations

import math
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import poq_abm
from poq_abm.analysis.explanation import COMPONENTS, REMAINDER, closing, explain, explain_difference
from poq_abm.analysis.stored_run import scenarios_of
from poq_abm.errors import InputError

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


@pytest.fixture(scope="module")
def results():
    scenario = poq_abm.load("cost_aware_poq", ["rounds=300", "replications=3"]).replace(
        {
            "population.inference.0.behaviour": {"name": "misreport_cost", "factor": 0.25},
            "population.inference.4.behaviour": {"name": "misreport_cost", "factor": 0.5},
            "population.evaluators.1.behaviour": {"name": "boost", "b": 2.0},
            "sweep": {"mechanism.committee_size": [1, 3]},
        }
    )
    return poq_abm.run(scenario)


@pytest.fixture(scope="module")
def ledger(results) -> pd.DataFrame:
    return explain(results.nodes, scenarios_of(results))


def test_every_row_sums_exactly_to_what_was_paid(ledger: pd.DataFrame) -> None:
    parts = ledger[[*COMPONENTS, REMAINDER]].to_numpy().tolist()
    assert [math.fsum(row) for row in parts] == ledger["reward_total"].tolist()


def test_what_remains_is_rounding(ledger: pd.DataFrame) -> None:
    # 300 rounds of rewards below one token: a few hundred units in the last place of 300.
    assert ledger[REMAINDER].abs().max() < 300 * 300 * 2.3e-16


def test_a_misreported_cost_is_charged_as_reported(ledger: pd.DataFrame) -> None:
    slow = ledger[ledger["group"] == "phi3_mini_4k"]  # cost 1, reports half of it
    assert slow["cost"].to_numpy() == pytest.approx(-0.3 * 0.5 * slow["jobs"].to_numpy())


def test_the_reference_run_pays_evaluators_for_closeness_alone(ledger: pd.DataFrame) -> None:
    evaluators = ledger[ledger["role"] == "evaluator"]
    assert (evaluators["quality"] == 0.0).all()
    alone = evaluators[evaluators["treatment"] == "committee_size=1"]
    assert alone["closeness"].to_numpy() == pytest.approx(alone["jobs"].to_numpy())


def test_a_node_without_a_job_was_paid_nothing_for_anything() -> None:
    scenario = poq_abm.load("cost_aware_poq", ["rounds=1", "replications=1"])
    results = poq_abm.run(scenario)
    table = explain(results.nodes, scenarios_of(results))
    idle = table[table["jobs"] == 0]
    assert len(idle) == 4
    assert (idle[[*COMPONENTS, REMAINDER, "reward_total"]] == 0.0).all(axis=None)


def test_differences_of_components_sum_to_the_difference_paid(ledger: pd.DataFrame) -> None:
    moved = explain_difference(ledger, "committee_size=1", "committee_size=3")
    for _, node in moved.groupby("node"):
        parts = node.set_index("component")["difference"]
        assert math.fsum(parts.drop("reward_total")) == parts["reward_total"]
        assert parts["quality"] == 0.0 or node["role"].iloc[0] == "inference"


def test_differences_are_paired_by_node_and_replication(ledger: pd.DataFrame) -> None:
    a, b = "committee_size=1", "committee_size=3"
    moved = explain_difference(ledger.sample(frac=1.0, random_state=1), a, b)
    pd.testing.assert_frame_equal(moved, explain_difference(ledger, a, b))


def test_one_replication_has_no_interval(ledger: pd.DataFrame) -> None:
    one = ledger[ledger["replication"] == 0]
    moved = explain_difference(one, "committee_size=1", "committee_size=3")
    assert moved["low"].isna().all()
    assert moved["difference"].notna().all()


def test_an_unknown_treatment_is_named(ledger: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="did you mean 'committee_size=3'"):
        explain_difference(ledger, "committee_size=1", "comittee_size=3")


def test_a_component_of_ones_own_takes_part(results, monkeypatch: pytest.MonkeyPatch) -> None:
    fee = COMPONENTS["cost"]._replace(
        needs=("jobs",), amount=lambda nodes, _: -0.01 * nodes["jobs"].to_numpy(dtype=float)
    )
    monkeypatch.setitem(COMPONENTS, "fee", fee)
    monkeypatch.setitem(COMPONENTS, "slashing", fee._replace(needs=("slashed",)))
    table = explain(results.nodes, scenarios_of(results))
    assert "slashing" not in table
    assert table[REMAINDER].to_numpy() == pytest.approx(0.01 * table["jobs"].to_numpy())
    parts = table[[*(c for c in COMPONENTS if c in table), REMAINDER]].to_numpy().tolist()
    assert [math.fsum(row) for row in parts] == table["reward_total"].tolist()


@given(st.lists(NUMBERS, min_size=1, max_size=6), NUMBERS)
def test_the_remainder_closes_to_half_a_unit_in_its_last_place(parts, paid) -> None:
    rest = closing(parts, paid)
    gap = abs(sum(map(Fraction, [*parts, rest])) - Fraction(paid))
    assert gap <= Fraction(math.ulp(rest)) / 2
    if abs(rest) <= abs(paid) / 4:
        assert math.fsum([*parts, rest]) == paid
