"""An economy for agents that learn: its numbers are the run's, and its API is PettingZoo's."""

import numpy as np
import pytest

from poq_abm import load
from poq_abm.errors import InputError
from poq_abm.experiment.running import run
from poq_abm.simulation.epochs.environment import AWAY, OBSERVED, EconomyEnvironment

CHANGES = [
    "rounds=600",
    "replications=2",
    "population.evaluators.0.count=3",
    "population.evaluators.1.behaviour={name: boost, b: 1.0}",
    "mechanism.trust.update=relative",
    "economy={epochs: 6, stake: {bond: 10.0, slashing: {rate: 0.1, deviation: 0.1}}}",
]
CHOICES = {"evaluator": [{"name": "boost", "b": 3.0}, "sabotage"]}


@pytest.fixture(scope="module")
def scenario():
    return load("cost_aware_poq", CHANGES)


def episode(environment, choose, seed):
    """Return rewards, shape (epochs, agents), of an episode in which agents choose by epoch."""
    environment.reset(seed=seed)
    earned, epoch = [], 0
    while environment.agents:
        acts = {agent: choose(agent, epoch) for agent in environment.agents}
        _, rewards, *_ = environment.step(acts)
        earned.append([rewards[agent] for agent in environment.possible_agents])
        epoch += 1
    return np.array(earned)


@pytest.mark.parametrize("seed", [0, 1])
def test_who_acts_as_the_scenario_has_it_earns_what_a_run_pays(scenario, seed):
    environment = EconomyEnvironment(scenario)
    earned = episode(environment, lambda agent, _: environment.first_action(agent), seed)
    accounts = run(scenario).accounts
    profits = accounts[accounts["replication"] == seed]["profit"].to_numpy()
    assert len(environment.possible_agents) == profits.size == 10
    assert earned.sum(axis=0) == pytest.approx(profits, rel=1e-12, abs=1e-12)


def test_a_behaviour_that_is_chosen_is_the_behaviour_of_a_scenario(scenario):
    environment = EconomyEnvironment(
        scenario, ["evaluator_0", "evaluator_1", "evaluator_2"], choices=CHOICES
    )
    names = environment.actions("evaluator_0")
    assert names == ["honest", "boost(b=1.0)", "boost(b=3.0)", "sabotage"]
    earned = episode(environment, lambda *_: names.index("sabotage"), 0)
    other = scenario.replace({"population.evaluators.0.behaviour": {"name": "sabotage"}})
    accounts = run(other).accounts
    rows = accounts[(accounts["replication"] == 0) & (accounts["role"] == "evaluator")]
    assert earned.sum(axis=0) == pytest.approx(rows["profit"].to_numpy()[:3], rel=1e-12)


def test_draws_are_those_of_the_replication_whatever_is_done(scenario):
    environment = EconomyEnvironment(scenario, ["evaluator_0"], choices=CHOICES)
    one, other = (episode(environment, lambda *_, a=a: a, 5) for a in (0, 0))
    assert (one == other).all()
    environment.reset()  # the next one
    assert environment.economy.replication == 6
    lying = episode(environment, lambda _, epoch: 2 * (epoch >= 3), 5)
    assert (lying[:3] == one[:3]).all()
    assert (lying[3:] != one[3:]).any()


def test_what_a_node_sees(scenario):
    environment = EconomyEnvironment(scenario, ["inference_1", "evaluator_4"])
    seen, notes = environment.reset(seed=0)
    assert notes == {"inference_1": {}, "evaluator_4": {}}
    assert seen["evaluator_4"].tolist() == [0.0, 1.0, 1.0, 10.0, 0.0, 0.0, 0.0]
    acts = {agent: environment.first_action(agent) for agent in environment.agents}
    assert acts == {"inference_1": 0, "evaluator_4": 0}
    seen, earned, ended, over, notes = environment.step(acts)
    row = dict(zip((name for name, *_ in OBSERVED), seen["evaluator_4"], strict=True))
    assert (row["time"], row["profit"]) == (1 / 6, earned["evaluator_4"])
    assert 0.0 < row["jobs"] < 1.0
    assert 0.5 < row["score"] < 1.0
    assert notes["evaluator_4"] == {"behaviour": "honest", "halted": False}
    assert not any(ended.values())
    assert not any(over.values())


def test_a_node_may_stay_away_and_come_back(scenario):
    environment = EconomyEnvironment(scenario, ["evaluator_0"], may_leave=True)
    away = environment.actions("evaluator_0").index(AWAY)
    earned = episode(environment, lambda _, epoch: away if epoch < 2 else 0, 0)[:, 0]
    assert earned[:2].tolist() == [0.0, 0.0]
    assert (earned[2:] > 0.0).all()


def test_where_too_few_stay_the_network_halts(scenario):
    environment = EconomyEnvironment(scenario, may_leave=True)
    environment.reset(seed=0)
    acts = {agent: len(environment.actions(agent)) - 1 for agent in environment.agents}
    seen, earned, _, over, notes = environment.step(acts)
    assert set(earned.values()) == {0.0}
    assert all(note == {"behaviour": AWAY, "halted": True} for note in notes.values())
    assert not any(row[1] for row in seen.values())
    for _ in range(5):
        _, earned, _, over, _ = environment.step(acts)
    assert all(over.values())
    assert environment.agents == []


def test_mistakes_are_told(scenario):
    with pytest.raises(InputError, match="has no economy"):
        EconomyEnvironment(load("cost_aware_poq"))
    with pytest.raises(InputError, match="choices of 'evaluators'; did you mean 'evaluator'"):
        EconomyEnvironment(scenario, choices={"evaluators": ["boost"]})
    with pytest.raises(InputError, match="no node 'evaluator_9'"):
        EconomyEnvironment(scenario, ["evaluator_9"])
    environment = EconomyEnvironment(scenario, ["evaluator_0"], choices=CHOICES)
    with pytest.raises(InputError, match="the episode is over"):
        environment.step({"evaluator_0": 0})
    environment.reset()
    with pytest.raises(InputError, match="no action of evaluator_0"):
        environment.step({})
    with pytest.raises(InputError, match=r"no action 4; there are 0 honest, 1 boost\(b=1.0\)"):
        environment.step({"evaluator_0": 4})
    with pytest.raises(InputError, match="0 or above"):
        environment.reset(seed=-1)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_passes_the_tests_of_pettingzoo(scenario):
    pytest.importorskip("pettingzoo", reason="the extra `learning` is not installed")
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    environment = EconomyEnvironment(scenario, choices=CHOICES, may_leave=True)
    parallel_api_test(environment, num_cycles=20)
    parallel_seed_test(lambda: EconomyEnvironment(scenario), num_cycles=10)
    seen, _ = environment.reset(seed=0)
    for agent, row in seen.items():
        assert environment.observation_space(agent).contains(row)
