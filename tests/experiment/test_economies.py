"""Economies in results: the same bytes however they are cut, and every row that is due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

import poq_abm
from poq_abm.experiment import block_files
from poq_abm.experiment import plan as planning
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.running import run_to_folder
from poq_abm.rules import registry
from poq_abm.rules.adaptation.base import Adaptation
from poq_abm.rules.registry import register
from poq_abm.rules.rule import Source
from poq_abm.scenario import Scenario, load

GROUPS = 8  # five models and three evaluators in the published population
BUSY: dict[str, Any] = {
    "rounds": 120,
    "replications": 5,
    "mechanism.trust": {"update": "relative"},
    "economy": {
        "epochs": 6,
        "latency": {"distribution": "lognormal", "outage_probability": 0.2},
        "demand": {"arrivals": "bursty"},
        "stake": {"bond": 5.0, "unbonding_epochs": 1, "slashing": {"deviation": 0.2}},
        "options": {"inference": ["freeload"], "evaluator": ["noise"]},
        "adaptation": [
            {"name": "entry_exit", "outside": 1.0, "rate": 0.2, "stays": 3},
            {"name": "epsilon_greedy", "role": "evaluator", "epsilon": 0.4},
            {"name": "best_response", "role": "inference"},
        ],
    },
    "sweep": {"economy.epochs": [2, 6], "schedule": ["uniform", "power_of_two"]},
}


@pytest.fixture(scope="module")
def busy() -> Scenario:
    return load("cost_aware_poq").replace(BUSY)


@pytest.fixture(scope="module")
def reference(busy: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("economies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "MOST_ROUNDS", 600)
        run_to_folder(Plan.of(busy), folder)
    return tables(folder)


def tables(folder: Path) -> dict[str, bytes]:
    files = folder.glob("*.parquet/*.parquet")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_all_tables_are_there(reference: dict[str, bytes]) -> None:
    assert {"epochs.parquet", "accounts.parquet"} <= {name.split("/")[0] for name in reference}


@pytest.mark.parametrize("jobs", [2, 5])
def test_workers(
    busy: Scenario, reference: dict[str, bytes], tmp_path: Path, jobs: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(planning, "MOST_ROUNDS", 600)
    run_to_folder(Plan.of(busy), tmp_path, workers=Workers(jobs, "threading"))
    assert tables(tmp_path) == reference


@pytest.mark.parametrize("replications_per_block", [1, 2, 100])
def test_a_folder_holds_what_memory_does(
    busy: Scenario, tmp_path: Path, replications_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_ROUNDS", 120 * replications_per_block)
    stored, played = run_to_folder(Plan.of(busy), tmp_path), poq_abm.run(busy)
    again = poq_abm.read_results(tmp_path)
    for name in ("nodes", "replications", "epochs", "accounts"):
        for other in (stored, again):
            assert_frame_equal(getattr(played, name), getattr(other, name), check_exact=True)


def test_every_epoch_group_and_node_has_its_row(busy: Scenario) -> None:
    results = poq_abm.run(busy)
    treatments, times = 4, 5
    assert len(results.accounts) == treatments * times * GROUPS
    assert len(results.epochs) == 2 * times * (2 + 6) * (GROUPS + 1)
    network = results.epochs[results.epochs["role"] == "network"]
    assert len(network) == 2 * times * (2 + 6)
    assert network["queries"].notna().all()
    assert results.epochs.loc[results.epochs["role"] != "network", "queries"].isna().all()
    by_epoch = results.epochs[results.epochs["role"] != "network"].groupby(
        ["treatment", "replication", "epoch"], observed=True
    )
    whole = network.set_index(["treatment", "replication", "epoch"])
    for name in ("nodes", "stake", "jobs", "reward", "cost_in_money", "slashed", "profit"):
        np.testing.assert_allclose(
            by_epoch[name].sum().sort_index(), whole[name].sort_index(), rtol=1e-12
        )


def test_accounts_add_up_to_epochs(busy: Scenario) -> None:
    results = poq_abm.run(busy)
    keys = ["treatment", "replication"]
    network = results.epochs[results.epochs["role"] == "network"].groupby(keys, observed=True)
    accounts = results.accounts.groupby(keys, observed=True)
    for name in ("jobs", "reward", "cost_in_money", "slashed", "profit"):
        np.testing.assert_allclose(accounts[name].sum(), network[name].sum(), rtol=1e-9, atol=1e-9)


def test_an_interrupted_run_finishes_only_what_is_missing(
    busy: Scenario, reference: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_ROUNDS", 600)
    played: list[int | str] = []
    play_block = block_files.play_block

    def counting(plan: Plan, block: Any, *rest: Any) -> Any:
        if len(played) == 2:
            raise KeyboardInterrupt
        played.append(block.spans[0].treatment)
        return play_block(plan, block, *rest)

    monkeypatch.setattr(block_files, "play_block", counting)
    with pytest.raises(KeyboardInterrupt):
        run_to_folder(Plan.of(busy), tmp_path)
    played.append("resumed")
    run_to_folder(Plan.of(busy), tmp_path)
    assert played == [0, 1, "resumed", 2, 3]
    assert tables(tmp_path) == reference


def test_a_network_that_halts_says_when_and_leaves_empty_epochs() -> None:
    exodus = [{"name": "entry_exit", "outside": 1e9, "rate": 1.0}]
    scenario = load("cost_aware_poq").replace(
        {"rounds": 100, "replications": 2, "economy": {"epochs": 4, "adaptation": exodus}}
    )
    results = poq_abm.run(scenario)
    assert results.replications["halted_epoch"].tolist() == [1.0, 1.0]
    assert results.replications["deviating_share"].tolist() == [0.0, 0.0]
    later = results.epochs[results.epochs["epoch"] > 0]
    assert (later[["nodes", "jobs", "reward", "profit"]] == 0.0).all(axis=None)
    assert later["queries"].isna().all()


@pytest.fixture
def grumblers(monkeypatch: pytest.MonkeyPatch) -> type[Adaptation]:
    """A rule of one's own: evaluators leave by lot."""
    monkeypatch.setattr(registry, "_own", {})

    @register
    class Grumblers(Adaptation):
        """Leaves by lot."""

        name, formula, draws = "grumblers", "chance 1/4", 1
        source = Source("assumed", "a test")

        def revise(self, end: Any, draws: Any) -> None:
            leaves = (draws[0] < 0.25) & end.population.role_is("inference")
            end.leave(leaves)

    return Grumblers


def own(epochs: int = 4) -> Scenario:
    section = {"epochs": epochs, "adaptation": ["grumblers"]}
    return load("many_nodes").replace({"rounds": 80, "replications": 4, "economy": section})


@pytest.mark.usefixtures("grumblers")
def test_a_rule_of_one_s_own_is_played_also_by_worker_processes() -> None:
    alone = poq_abm.run(own())
    network = alone.epochs[(alone.epochs["role"] == "network") & (alone.epochs["epoch"] == 3)]
    first = alone.epochs[(alone.epochs["role"] == "network") & (alone.epochs["epoch"] == 0)]
    assert (network["nodes"].to_numpy() < first["nodes"].to_numpy()).all()
    workers = poq_abm.run(own(), n_jobs=2, backend="loky")
    assert_frame_equal(alone.epochs, workers.epochs, check_exact=True)


def test_its_code_belongs_to_what_names_the_results(
    grumblers: type[Adaptation], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Plan.of(own()).hash()
    assert Plan.of(own()).hash() == before
    monkeypatch.setattr(grumblers, "digest", classmethod(lambda cls: "other code"))
    assert Plan.of(own()).hash() != before
    assert "plugins" not in Plan.of(load("cost_aware_poq")).configuration()
