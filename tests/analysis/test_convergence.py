"""Whether an answer moves with more rounds."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from poq_abm.analysis.convergence import convergence, verdict
from poq_abm.errors import InputError
from poq_abm.experiment.running import run
from poq_abm.scenario import Scenario, load

FEW = ("--rounds", 100, "--replications", 4)


def text_of(outcome) -> str:
    return " ".join((outcome.out + outcome.err).split())


@pytest.fixture(scope="module")
def still() -> pd.DataFrame:
    return convergence(load("cost_aware_poq", ["rounds=200", "replications=6"]))


def test_means_are_those_of_runs_of_that_length(still: pd.DataFrame, small: Scenario) -> None:
    row = still.set_index("metric").loc["bias"]
    for step, rounds in (("half", 100), ("once", 200), ("twice", 400)):
        alone = run(small.replace({"rounds": rounds, "replications": 6}))
        assert row[step] == pytest.approx(alone.replications["bias"].mean())
    assert row["to_twice"] == pytest.approx(row["twice"] - row["once"])


def test_what_adds_up_over_rounds_is_left_out(still: pd.DataFrame) -> None:
    assert not {"rounds", "welfare", "thin_comparisons"} & set(still["metric"])
    assert {"inference_reward_mean", "reward of evaluator ce_minilm"} <= set(still["metric"])


def test_nothing_drifts_in_the_published_mechanism(still: pd.DataFrame) -> None:
    assert not still[["to_once_moved", "to_twice_moved"]].any(axis=None)
    assert verdict(still, 200).startswith("From 200 to 400 rounds, none of")


def test_trust_that_is_still_growing_moves_the_answer() -> None:
    growing = load("trust_saturation", ["sweep={}", "rounds=400", "replications=5"])
    found = convergence(growing, ["consensus_drift", "inference_cost_mean"])
    drift, cost = found.to_dict("records")
    assert drift["to_once_moved"]
    assert drift["to_twice_moved"]
    assert not cost["to_twice_moved"]
    said = verdict(found, 400)
    assert said.startswith("From 400 to 800 rounds, 1 of 2 measures moves")
    assert "consensus_drift by " in said


def test_an_economy_has_more_epochs_of_equally_many_rounds() -> None:
    economy = load("entry_exit", ["sweep={}", "rounds=400", "economy.epochs=4", "replications=2"])
    found = convergence(economy, ["profit_mean"])
    assert found["pairs"].tolist() == [2]
    with pytest.raises(InputError, match=r"economy.epochs=5: only an even number"):
        convergence(economy.replace({"economy.epochs": 5}))


def test_the_verb_prints_a_sentence_and_whole_cells(poq, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = poq("converge", "cost_aware_poq", *FEW, "--metric", "bias", "--metric", "closeness_mean")
    assert done.code == 0
    assert "50, 100 and 200 rounds on common keys" in done.out
    assert "From 100 to 200 rounds, " in text_of(done)
    assert "…" not in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_json_and_csv_are_the_table(poq) -> None:
    options = ("converge", "cost_aware_poq", *FEW, "--metric", "bias")
    told = json.loads(poq(*options, "--json").out)
    table = pd.read_csv(io.StringIO(poq(*options, "--csv").out))
    assert told["verdict"].startswith("From 100 to 200 rounds")
    assert table["to_twice"].tolist() == pytest.approx(
        [row["to_twice"] for row in told["measures"]]
    )


@pytest.mark.parametrize(
    ("scenario", "options", "message"),
    [
        ("committee_size", FEW, "has a sweep"),
        ("cost_aware_poq", ("--rounds", 101, *FEW[2:]), "rounds=101: only an even number"),
        ("cost_aware_poq", (*FEW[:2], "--replications", 1), "one replication has no interval"),
        ("cost_aware_poq", (*FEW, "--metric", "biass"), "--metric biass: no such measure here"),
    ],
)
def test_a_users_mistake_is_a_message(poq, scenario: str, options, message: str) -> None:
    done = poq("converge", scenario, *options)
    assert (done.code, message in text_of(done)) == (2, True), text_of(done)
