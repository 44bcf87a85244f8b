"""Many short replications in one call: the bits of one by one."""

from __future__ import annotations

import numpy as np
import pytest

from poq_abm.experiment import round_study
from poq_abm.experiment.round_study import many_at_once, play_plain, play_replication
from poq_abm.experiment.round_tables import distribution_measures
from poq_abm.experiment.study import Engine
from poq_abm.profile import load_profile
from poq_abm.scenario import Scenario, load
from poq_abm.simulation.game import Game, build_game


def game_of(scenario: Scenario) -> Game:
    return build_game(scenario, load_profile("published"))


@pytest.mark.parametrize("name", ["cost_aware_poq", "many_nodes"])
@pytest.mark.parametrize("stretch", [250, 1000, 10**6])
def test_many_at_once_are_the_bits_of_one_by_one(
    name: str, stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_study, "QUIET_STRETCH", stretch)
    scenario = load(name, ["rounds=300"])
    game = game_of(scenario)
    heard: list[int] = []
    sums, network, measures, kept = play_plain(scenario, game, 2, 9, heard.append)
    for row, replication in enumerate(range(2, 9)):
        ledger, memory = play_replication(scenario, game, replication)
        expected = list(distribution_measures(game, memory).values())
        np.testing.assert_array_equal(measures[row], expected)
        np.testing.assert_array_equal(kept.counters, memory.counters)
        np.testing.assert_array_equal(sums[row], ledger.nodes())
        np.testing.assert_array_equal(network[row], ledger.network())
    assert sum(heard) == 7 * 300


@pytest.mark.parametrize(
    ("settings", "engine", "plain"),
    [
        ([], "compiled", True),
        ([], "agents", False),
        (["malicious={share: 0.4, behaviour: boost}"], "compiled", False),
        ([f"rounds={round_study.QUIET_STRETCH + 1}"], "compiled", False),
    ],
)
def test_only_short_plain_replications_go_together(
    settings: list[str], engine: Engine, plain: bool
) -> None:
    scenario = load("cost_aware_poq", settings)
    assert many_at_once(scenario, game_of(scenario), engine, None) is plain
    assert not many_at_once(scenario, game_of(scenario), engine, lambda _: None)
