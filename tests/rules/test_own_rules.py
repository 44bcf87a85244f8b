"""Rules of one's own, of every kind that a round calls: registered, named, played."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numba import njit

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.plan import Plan
from poq_abm.rules import registry
from poq_abm.rules.aggregation import Aggregation, WeighsBy
from poq_abm.rules.aggregation.sorting import sort_into
from poq_abm.rules.payment import EvaluatorPayment, InferencePayment
from poq_abm.rules.registry import register
from poq_abm.rules.rule import Parameter, Source
from poq_abm.rules.schedule.schedules import Schedule
from poq_abm.rules.trust import TrustUpdate, Typical
from poq_abm.testing.aggregation import AggregationContract
from poq_abm.testing.payment import EvaluatorPaymentContract, InferencePaymentContract
from poq_abm.testing.trust import TrustUpdateContract

MINE = Source("assumed", "made up for this test")


def mixed(low: float, high: float, share: float) -> float:
    """A helper in plain Python, which is compiled with the kernel that calls it."""
    return (1.0 - share) * low + share * high


class Between(Aggregation):
    """A point between the lowest and the highest score."""

    name = "between"
    formula = "(1 - share) min s + share max s"
    source = MINE
    parameters: ClassVar = {"share": Parameter("how far up", 0.5, low=0.0, high=1.0)}

    @staticmethod
    def kernel(committee, share):
        sort_into(committee.ordered, committee.scores, committee.scores.size)
        return mixed(committee.ordered[0], committee.ordered[committee.scores.size - 1], share)


class TrustedBest(Aggregation):
    """The score of the most trusted member; arrays may be made on the way."""

    name = "trusted_best"
    formula = "s_k, k = argmax w"
    source = MINE
    weighs_by = WeighsBy.TRUST
    monotone = False

    @staticmethod
    @njit
    def kernel(committee):
        return committee.scores[np.argmax(committee.weights.copy())]


class Bonus(InferencePayment):
    """The linear reward with something on top for some tasks."""

    name = "bonus"
    formula = "alpha Q - beta C + bonus"
    source = MINE
    parameters: ClassVar = {"bonus": Parameter("points by task", 0.0, kind="by task", low=0.0)}

    @staticmethod
    def kernel(consensus, cost, alpha, beta, bonus):
        return alpha * consensus / 10.0 - beta * cost + bonus


class Quadratic(EvaluatorPayment):
    """A quadratic loss of the distance."""

    name = "quadratic"
    formula = "alpha (1 - scale d^2) - beta C"
    source = MINE
    parameters: ClassVar = {"scale": Parameter("of the loss", 1.0, low=0.0)}

    @staticmethod
    def kernel(committee, seat, cost, alpha, beta, scale):
        distance = 1.0 - committee.nearness[seat]
        return alpha * (1.0 - scale * distance * distance) - beta * cost


class Nudge(TrustUpdate):
    """A step up for who is nearer than the mean, and down for who is not."""

    name = "nudge"
    formula = "w + step (d_mean - d)"
    source = MINE
    parameters: ClassVar = {"step": Parameter("of a round", 0.5, low=0.0)}
    typical = Typical.MEAN

    @staticmethod
    def kernel(weight, deviation, typical, step):
        return max(0.0, weight + step * (typical - deviation))


OWN = (Between, TrustedBest, Bonus, Quadratic, Nudge)
IN_PLAY = {
    "between": {"mechanism.aggregation": {"name": "between", "share": 0.25}},
    "trusted_best": {
        "mechanism.aggregation": "trusted_best",
        "mechanism.trust.update": {"name": "nudge", "step": 0.25},
        "mechanism.reference": "leave_one_out",
    },
    "bonus": {"mechanism.reward.family": {"name": "bonus", "bonus": {"qa": 0.5}}},
    "quadratic": {"mechanism.evaluator_reward": {"name": "quadratic", "scale": 2.0}},
    "nudge": {
        "mechanism.aggregation": "trust_weighted",
        "mechanism.trust.update": "nudge",
        "malicious": {"share": 0.4, "behaviour": "boost"},
    },
}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_own", {})
    for rule in OWN:
        register(rule)
    yield


class TestBetween(AggregationContract):
    rule = Between


class TestBonus(InferencePaymentContract):
    rule, values = Bonus, {"bonus": 0.25}


class TestQuadratic(EvaluatorPaymentContract):
    rule, values = Quadratic, {"scale": 2.0}


class TestNudge(TrustUpdateContract):
    rule = Nudge


@pytest.mark.parametrize("settings", IN_PLAY.values(), ids=IN_PLAY)
def test_both_engines_play_a_rule_of_ones_own_to_the_same_bits(settings: dict) -> None:
    scenario = poq_abm.load("cost_aware_poq").replace({"rounds": 60, **settings})
    one = poq_abm.run(scenario, replications=2, trace=True)
    other = poq_abm.run(scenario, replications=2, engine="agents", trace=True)
    for table in ("rounds", "nodes", "replications"):
        left, right = getattr(one, table), getattr(other, table)
        assert left.equals(right), table
    stock = poq_abm.run(scenario.replace(dict.fromkeys(settings)), replications=2)
    assert not one.nodes["reward_mean"].equals(stock.nodes["reward_mean"])


def test_what_a_rule_of_ones_own_says_is_what_is_played() -> None:
    scenario = poq_abm.load("cost_aware_poq").replace({"rounds": 40, **IN_PLAY["between"]})
    rounds = poq_abm.run(scenario, replications=1, trace=True).rounds
    for scores, consensus in zip(rounds["scores"], rounds["consensus"], strict=True):
        assert consensus == 0.75 * min(scores) + 0.25 * max(scores)


def test_its_code_and_its_values_determine_the_results() -> None:
    base = poq_abm.load("cost_aware_poq")
    own = Plan.of(base.replace(IN_PLAY["between"]))
    assert "between" in str(own.configuration()["plugins"])
    moved = Plan.of(base.replace({"mechanism.aggregation": {"name": "between", "share": 0.5}}))
    assert len({own.hash(), moved.hash(), Plan.of(base).hash()}) == 3
    assert "plugins" not in Plan.of(base).configuration()


def test_workers_play_it_too() -> None:
    scenario = poq_abm.load("cost_aware_poq").replace({"rounds": 40, **IN_PLAY["bonus"]})
    alone = poq_abm.run(scenario, replications=3)
    together = poq_abm.run(scenario, replications=3, n_jobs=2, backend="loky")
    assert alone.nodes.equals(together.nodes)


def test_an_economy_plays_it_too() -> None:
    scenario = poq_abm.load("hardware_mix").replace(
        {"rounds": 200, "economy.epochs": 2, **IN_PLAY["bonus"], **IN_PLAY["quadratic"]}
    )
    results = poq_abm.run(scenario, replications=1)
    assert results.replications["inference_reward_mean"].notna().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"aggregation": {"name": "between", "share": 2.0}},
         "between: share must lie in [0, 1], got 2"),
        ({"aggregation": {"name": "between", "shore": 0.5}},
         "between has no parameter 'shore'; did you mean 'share'?"),
        ({"aggregation": "betwen"}, "unknown aggregation rule 'betwen'; did you mean 'between'?"),
        ({"reward": {"family": {"name": "bonus", "bonus": {"qa": -1.0}}}},
         "bonus: bonus of qa must be at least 0, got -1"),
    ],
)  # fmt: skip
def test_its_parameters_are_held_to_what_is_declared(settings: dict, message: str) -> None:
    with pytest.raises(poq_abm.InputError) as fault:
        poq_abm.load("cost_aware_poq").replace({"mechanism": settings})
    assert message in str(fault.value)


def test_its_parameters_can_be_swept_and_set() -> None:
    base = poq_abm.load("cost_aware_poq").replace(IN_PLAY["between"])
    swept = base.replace({"sweep": {"mechanism.aggregation.share": [0.0, 1.0]}})
    assert [t.scenario.mechanism.rule("aggregation")[1] for t in swept.treatments()] == [
        {"share": 0.0},
        {"share": 1.0},
    ]
    assert base.replace({"mechanism.aggregation": "median"}).mechanism.aggregation == "median"
    other = base.replace({"mechanism.aggregation": {"name": "trusted_best"}})
    assert other.mechanism.aggregation == "trusted_best"
    with pytest.raises(poq_abm.InputError, match="is 'mean', not a mapping"):
        poq_abm.load("cost_aware_poq", ["mechanism.aggregation.share=0.5"])


def declared(**changes: object) -> type[Aggregation]:
    return type("Odd", (Between,), {"name": "odd", **changes})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (declared(kernel=staticmethod(lambda committee: 1.0)), "then the declared parameters: "
         "(committee, share), not (committee)"),
        (declared(kernel=staticmethod(lambda committee, share: committee.nothing)),
         "odd: its kernel cannot be compiled and called"),
        (declared(kernel=staticmethod(lambda committee, share: share - share + np.nan)),
         "gave no number"),
        (declared(source="mine"), "odd does not say who answers for it"),
        (type("Mine", (Schedule,), {"name": "mine"}), "a schedule of one's own cannot be played"),
    ],
)  # fmt: skip
def test_what_cannot_be_played_is_refused_when_it_is_registered(rule, message: str) -> None:
    with pytest.raises(InputError) as fault:
        register(rule)
    assert message in str(fault.value)


def test_a_plug_in_may_hold_rules_of_any_kind(
    poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("highest_rule.py").write_text(PLUGIN)
    listed = poq("rules", "--plugin", "highest_rule")
    assert "highest" in listed.out
    done = poq("run", "cost_aware_poq", "--plugin", "highest_rule", "--rounds", 30,
               "--set", "mechanism.aggregation=highest", "--replications", 1, "--out", "out",
               "--trace")  # fmt: skip
    assert done.code == 0, done.err
    rounds = poq_abm.read_results(tmp_path / "out").rounds
    assert all(c == max(s) for s, c in zip(rounds["scores"], rounds["consensus"], strict=True))
    report = poq("report", "out", "--plugin", "highest_rule")
    assert report.code == 0, report.err
    assert "by the author" in next(Path("out").rglob("*.html")).read_text()


PLUGIN = '''
"""The highest score."""
from poq_abm.rules.aggregation import Aggregation
from poq_abm.rules.registry import register
from poq_abm.rules.rule import Source


@register
class Highest(Aggregation):
    """The highest score."""

    name = "highest"
    formula = "max s"
    source = Source("assumed", "by the author")

    @staticmethod
    def kernel(committee):
        best = committee.scores[0]
        for score in committee.scores:
            best = max(best, score)
        return best
'''
