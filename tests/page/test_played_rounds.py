from __future__ import annotations

import numpy as np
import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.page.exploring import Exploration, explorable
from poq_abm.page.played_rounds import play, replications_of
from poq_abm.rules.behaviour.evaluators import EvaluatorBehaviour
from poq_abm.rules.registry import register
from poq_abm.rules.rule import Source
from poq_abm.scenario import Scenario, load
from poq_abm.simulation.playable import profile_of


def test_the_page_plays_what_a_run_plays(contested: Scenario) -> None:
    played = play(contested, profile_of(contested), 300, 0, 4)
    nodes = poq_abm.run(contested).nodes
    for replication in range(4):
        mine = nodes[nodes["replication"] == replication]
        for place, one in enumerate(played.classes):
            if one.role == "evaluator":
                name = "boost" if one.label.startswith("boost") else "honest"
                theirs = mine[
                    (mine["role"] == "evaluator") & (mine["behaviour"].str.startswith(name))
                ]
            else:
                theirs = mine[mine["role"] == "inference"]
            assert played.jobs[replication, -1, place] == theirs["jobs"].sum()
            assert played.reward[replication, -1, place] == pytest.approx(
                theirs["reward_total"].sum(), rel=1e-12
            )


def test_the_same_seed_shows_the_same_luck_when_a_slider_moves(exploration: Exploration) -> None:
    other = exploration.play(exploration.start.moved("rule", "median").moved("beta_F", 0.9))
    assert (other.trace.record == exploration.play(exploration.start).trace.record).all()
    assert (other.trace.committee == exploration.play(exploration.start).trace.committee).all()
    assert (other.consensus != exploration.play(exploration.start).consensus).any()


def test_a_shorter_play_is_the_beginning_of_a_longer_one(contested: Scenario) -> None:
    profile = profile_of(contested)
    short, long = play(contested, profile, 100, 0, 2), play(contested, profile, 300, 0, 2)
    assert (short.reward == long.reward[:, :101]).all()


def test_trust_is_the_mean_weight_of_a_class(exploration: Exploration) -> None:
    played = exploration.play(exploration.start)
    model = poq_abm.PoQModel(played.scenario)
    model.run(int(played.trust_rounds[9]))
    weights = model.memory.trust.mean(axis=1)
    boosting = [
        model.game.population.behaviours[b][1]["name"] == "boost"
        for b in model.game.population.behaviour[model.game.population.inference_count :]
    ]
    place = next(i for i, one in enumerate(played.classes) if one.label.startswith("boost"))
    assert played.trust[0, 9, place] == pytest.approx(weights[boosting].mean(), rel=1e-12)


def test_replications_are_as_many_as_a_slider_can_wait_for() -> None:
    scenario = load("cost_aware_poq", ["replications=7"])
    assert replications_of(scenario, 5000) == 7
    assert replications_of(scenario, 5000, agents=True) == 1
    assert (
        replications_of(load("adversary_sweep", ["sweep={}", "mechanism.committee_size=20"]), 5000)
        == 8
    )


@pytest.mark.usefixtures("shipped_rules")
def test_a_behaviour_in_plain_python_is_played_agent_by_agent() -> None:
    class Seven(EvaluatorBehaviour):
        """Always seven."""

        name, formula, source = "seven", "s' = 7", Source("assumed", "a test")

        def report(self, measured: float, node: object, answer: object) -> float:
            return 7.0

    register(Seven)
    scenario = load("cost_aware_poq", ["rounds=50"])
    scenario = scenario.replace({"malicious": {"share": 1.0, "behaviour": "seven"}})
    played = play(scenario, profile_of(scenario), 50, 0, 1)
    assert (played.consensus == 7.0).all()


def test_a_sweep_is_explored_as_written_without_it_or_by_treatment() -> None:
    sweep = load("committee_size")
    assert explorable(sweep).mechanism.committee_size == 3
    assert explorable(sweep, "committee_size=1").mechanism.committee_size == 1
    with pytest.raises(InputError, match="did you mean 'committee_size=1'"):
        explorable(sweep, "comittee_size=1")


def test_what_cannot_be_played_is_told(contested: Scenario) -> None:
    exploration = Exploration(contested.replace({"rounds": 20}))
    with pytest.raises(InputError, match="a ring of one"):
        exploration.play(exploration.start.moved("attack", "collude").moved("share", 0.05))
    assert np.isfinite(exploration.play(exploration.start).consensus).all()
