"""Many short replications in one call: the bits of one by one."""

from __future__ import annotations

import numpy as np
import pytest

from poq_abm.experiment import round_study
from poq_abm.experiment.round_study import many_at_once, play_many, play_replication
from poq_abm.experiment.round_tables import distribution_measures
from poq_abm.experiment.study import Engine
from poq_abm.profile import load_profile
from poq_abm.scenario import Scenario, load
from poq_abm.simulation.game import Game, build_game


def game_of(scenario: Scenario) -> Game:
    return build_game(scenario, load_profile("published"))


LEARNT = (
    "mechanism={aggregation: trust_weighted, trust: {update: multiplicative, interval: 100}}",
    "malicious={share: 0.4, behaviour: {name: intermittent, p: 0.5}}",
    "population.evaluators.0.bias_sd=1.0",
)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cost_aware_poq", ()),
        ("many_nodes", ()),
        ("cost_aware_poq", LEARNT),
        ("cost_aware_poq", (*LEARNT, "mechanism.reference=leave_one_out")),
    ],
)
@pytest.mark.parametrize("stretch", [250, 1000, 10**6])
def test_many_at_once_are_the_bits_of_one_by_one(
    name: str, settings: tuple[str, ...], stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_study, "QUIET_STRETCH", stretch)
    scenario = load(name, ["rounds=300", *settings])
    game = game_of(scenario)
    heard: list[int] = []
    sums, weights = play_many(scenario, game, 2, 9, heard.append)
    for row, replication in enumerate(range(2, 9)):
        ledger, memory = play_replication(scenario, game, replication)
        expected = list(distribution_measures(game, memory).values())
        assert sums.numbers[row] == replication
        np.testing.assert_array_equal(sums.measures[row], expected)
        np.testing.assert_array_equal(sums.counters[row], memory.counters)
        np.testing.assert_array_equal(sums.trust_log[row], memory.trust_log)
        np.testing.assert_array_equal(sums.nodes[row], ledger.nodes())
        np.testing.assert_array_equal(sums.network[row], ledger.network())
        assert weights == memory.trust.size
    assert sum(heard) == 7 * 300


@pytest.mark.parametrize(
    ("settings", "engine", "many"),
    [
        ([], "compiled", True),
        ([], "agents", False),
        (["malicious={share: 0.4, behaviour: boost}"], "compiled", True),
        (["mechanism.evaluator_reward=gold"], "compiled", False),
        ([f"rounds={round_study.QUIET_STRETCH + 1}"], "compiled", False),
    ],
)
def test_only_short_replications_go_together(
    settings: list[str], engine: Engine, many: bool
) -> None:
    scenario = load("cost_aware_poq", settings)
    assert many_at_once(scenario, game_of(scenario), engine, None) is many
    assert not many_at_once(scenario, game_of(scenario), engine, lambda _: None)
