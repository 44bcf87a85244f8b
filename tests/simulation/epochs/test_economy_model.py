from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import PROFILE, economy_on, scenario_of

from poq_abm.errors import InputError
from poq_abm.profile import load_profile
from poq_abm.rules import registry
from poq_abm.rules.behaviour.evaluators import EvaluatorBehaviour
from poq_abm.rules.rule import Source
from poq_abm.scenario import Scenario, load
from poq_abm.simulation.agents import Answer, EvaluatorNode
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


# -------------------------------------------------------------------------- rounds played by agents

#: queries come at random and are dropped, nodes are slashed, adapt, and ask what would have been
MOVING: dict[str, Any] = {
    "epochs": 4,
    "epoch_hours": 40.0 / 3600.0,
    "latency": {"distribution": "exponential", "charged": "realised"},
    "demand": {"arrivals": "poisson"},
    "service": {"patience_s": 1.0},
    "payment": {"fee": 1.0},
    "controllers": [{"move": "alpha_inference", "maximum": 3.0}],
    "stake": {"bond": 5.0, "slashing": {"deviation": 0.1}},
    "options": {"inference": ["freeload"]},
    "adaptation": [
        {"name": "imitation", "role": "evaluator", "rate": 0.5, "temperature": 0.5},
        {"name": "best_response", "role": "inference"},
        {"name": "best_response", "role": "evaluator"},
    ],
}


def people(behaviour: Any) -> dict[str, Any]:
    return {
        "inference": [{"model": "f0", "count": 2}, {"model": "f1", "count": 2}],
        "evaluators": [
            {"model": "m0", "count": 3, "noise_sd": 0.5},
            {"model": "m1", "count": 2, "behaviour": behaviour},
        ],
    }


def moving(behaviour: Any = "intermittent", **changes: Any) -> Scenario:
    mechanism = {"committee_size": 3, "trust": {"update": "relative"}}
    parts = {"population": people(behaviour), "mechanism": mechanism}
    return scenario_of(MOVING, 240, **{**parts, **changes})


def left(economy: Economy) -> list[np.ndarray]:
    """All that an economy leaves, but in how many rounds somebody did as its behaviour has it."""
    numbers, trace = economy.trace()
    record, memory = economy.record, economy.memory
    state, histograms = memory.state[:, :4], memory.histograms
    network = [record.groups, record.network, record.nodes()]
    return [*network, *economy.ledger, memory.trust, state, *histograms, numbers, *trace]


def assert_same(one: Economy, other: Economy) -> None:
    for mine, theirs in zip(left(one), left(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def by_agents(played: Scenario, **how: Any) -> Economy:
    model = EconomyModel(played, replication=1, profile=PROFILE, by_agents=True, **how)
    model.run()
    return model.economy


@pytest.mark.parametrize("aggregation", ["trust_weighted", "median"])
def test_agents_play_an_economy_to_the_same_bits(aggregation: str) -> None:
    played = moving(mechanism__aggregation=aggregation)
    compiled = economy_on(played, PROFILE, replication=1)
    compiled.run()
    assert compiled.served < compiled.rounds_played, "some queries are dropped"
    assert_same(by_agents(played), compiled)


class Generous(EvaluatorBehaviour):
    """In plain Python what ``boost`` is in columns."""

    name, formula, source = "generous", "s' = min(10, s + 2)", Source("assumed", "a test")

    def report(self, measured: float, node: Any, answer: Any) -> float:  # type: ignore[override]
        return min(10.0, measured + 2.0)


class Weary(EvaluatorBehaviour):
    """Reports less every time: a replay must not make it wearier."""

    name, formula, source = "weary", "s' = s / jobs", Source("assumed", "a test")

    def report(self, measured: float, node: Any, answer: Any) -> float:  # type: ignore[override]
        self.times = getattr(self, "times", 0) + 1
        return measured / self.times


def test_a_behaviour_in_plain_python_is_what_it_would_be_in_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry._own, (Generous.kind, "generous"), Generous)
    compiled = economy_on(moving({"name": "boost", "b": 2.0}), PROFILE, replication=1)
    compiled.run()
    plain = EconomyModel(moving("generous"), replication=1, profile=PROFILE)
    plain.run()
    assert_same(plain.economy, compiled)
    shown = np.unique(compiled.population.behaviour[4:])
    assert shown.size == 2, "evaluators imitate each other"


def test_asking_what_would_have_been_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._own, (Weary.kind, "weary"), Weary)
    asked, silent = (
        EconomyModel(moving("weary", economy__adaptation=[]), profile=PROFILE) for _ in range(2)
    )
    asked.economy.rules = economy_on(moving(), PROFILE).rules[1:2]  # has the rounds kept
    monkeypatch.setattr(asked.economy.rules[0], "revise", ask_everybody)
    asked.run()
    silent.run()
    assert_same(asked.economy, silent.economy)


def ask_everybody(end: EpochEnd, draws: np.ndarray) -> None:
    for node in range(end.population.size):
        for option in end.population.options("inference" if node < 4 else "evaluator"):
            assert np.isfinite(end.payoff_if(node, int(option)))


class Sceptic(EvaluatorNode):
    """Trusts nobody."""

    def report(self, answer: Answer) -> float:
        return min(2.0, super().report(answer))


def test_a_node_of_ones_own_plays_the_rounds_of_an_economy() -> None:
    model = EconomyModel(moving("honest"), profile=PROFILE, evaluator_class=Sceptic)
    model.step()
    _, trace = model.economy.trace()
    assert trace.scores.max() == 2.0
    assert (trace.consensus <= 2.0).all()
