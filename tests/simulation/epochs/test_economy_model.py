from __future__ import annotations

import numpy as np
import pytest

from poq_abm.errors import InputError
from poq_abm.profile import load_profile
from poq_abm.scenario import Scenario, load
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.economy_model import EconomicNode, EconomyModel
from poq_abm.simulation.epochs.epoch_end import EpochEnd
from poq_abm.simulation.epochs.record import NODE_COLUMNS
from poq_abm.simulation.game import build_game


def scenario() -> Scenario:
    return load("cost_aware_poq", ["rounds=400", "economy={epochs: 4, stake: {bond: 10.0}}"])


def test_a_model_of_stock_nodes_is_the_economy_itself() -> None:
    played, profile = scenario(), load_profile("published")
    economy = Economy(played, build_game(played, profile), profile)
    economy.run()
    model = EconomyModel(played)
    model.run()
    assert np.array_equal(model.economy.record.nodes(), economy.record.nodes(), equal_nan=True)


class Leaver(EconomicNode):
    """Goes after the second epoch if it is the second node, and comes back after the third."""

    def decide(self, end: EpochEnd) -> None:
        if self.index == 1 and self.model.economy.epoch == 1:
            self.leave()
        if self.index == 0 and self.model.economy.epoch == 2:
            self.model.nodes[1].enter()


def test_what_a_node_decides_holds_from_the_next_epoch_on() -> None:
    model = EconomyModel(scenario(), node_class=Leaver)
    there = []
    while not model.economy.finished:
        model.step()
        there.append(model.nodes[1].active)
    assert there == [True, False, True, True]
    assert model.economy.record.nodes()[:, 0].tolist() == [4.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]


def test_an_agent_is_a_view_of_its_row() -> None:
    model = EconomyModel(scenario())
    first, last = model.nodes[0], model.nodes[-1]
    assert (first.role, last.role, first.behaviour) == ("inference", "evaluator", "honest")
    assert first.stake == 10.0
    model.run()
    names = [name for name, _, _ in NODE_COLUMNS]
    paid = model.economy.record.nodes()[0, names.index("reward")]
    assert first.wallet == paid


def test_an_economy_ends_with_its_epochs_as_mesa_expects() -> None:
    model, stepped = EconomyModel(scenario()), EconomyModel(scenario())
    model.run_model()
    for _ in range(4):
        assert stepped.running
        stepped.step()
    assert (model.running, stepped.running) == (False, False)
    assert np.array_equal(
        model.economy.record.nodes(), stepped.economy.record.nodes(), equal_nan=True
    )
    with pytest.raises(InputError, match="the scenario ends after 4 epochs"):
        stepped.step()
    assert stepped.economy.epoch == 4
