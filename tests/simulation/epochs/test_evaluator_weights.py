"""Yuma in an economy: what scores become, who is paid for them, and what copying brings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from economy_support import account, network, opened, played, scenario_of, small_profile

import poq_abm
from poq_abm.rules.yuma import YumaTerms, normalised, settle_weights, stored
from poq_abm.scenario import ScenarioError
from poq_abm.simulation.epochs.accounts import Fund
from poq_abm.simulation.epochs.economy_model import EconomyModel
from poq_abm.simulation.epochs.evaluator_weights import open_weights, settle_epoch_by_yuma

TERMS = YumaTerms()


def economy(**payment: Any) -> dict[str, Any]:
    return {"epochs": 4, "payment": {"scheme": "yuma", "pool": 100.0, **payment}}


def test_nodes_are_paid_by_weights_that_are_mean_scores() -> None:
    made = opened(economy(evaluator_share=0.25))
    bonds = np.zeros((5, 4))
    for _ in range(4):
        made.step()
        _, trace = made.trace()
        scores = np.zeros((5, 4))
        for member in range(5):
            for node in range(4):
                rounds, seats = np.nonzero(
                    (trace.committee == member + 4) & (trace.node == node)[:, None]
                )
                scores[member, node] = trace.scores[rounds, seats].mean()
        epoch = settle_weights(normalised(scores, axis=1), np.full(5, 0.2), bonds, TERMS)
        bonds = stored(epoch.bonds)
    before = made.record.sums["reward"].copy()
    paid = account(made, "reward")
    np.testing.assert_array_equal(before, paid)
    last = made.record.groups[-1, :2, :]  # the two groups of inference nodes
    assert last[:, 4].sum() == pytest.approx(75.0)
    np.testing.assert_allclose(made.weights.bonds, bonds, rtol=0.0, atol=1e-12)
    assert last[0, 4] == pytest.approx(75.0 * epoch.incentive[:2].sum())


def test_what_is_paid_is_what_was_minted() -> None:
    made = played(economy(decay=0.5, fee=0.1))
    fees = network(made, "fees").sum()
    assert account(made, "reward").sum() == pytest.approx(187.5 + fees)
    assert account(made, "quality_paid")[:4].sum() == pytest.approx(0.7 * (187.5 + fees))
    assert account(made, "closeness_paid")[4:].sum() == pytest.approx(0.3 * (187.5 + fees))
    assert made.accounts.imbalance() <= 1e-12


def test_weights_that_are_sealed_pay_nobody_yet() -> None:
    made = opened(economy(yuma={"reveal_delay": 2}))
    earned = []
    while not made.finished:
        made.step()
        earned.append(float(made.record.sums["reward"].sum()))
    assert earned == pytest.approx([0.0, 0.0, 300.0, 400.0])
    assert made.accounts.funds[Fund.POOL] == pytest.approx(0.0, abs=1e-9)


def test_who_copies_sets_the_consensus_published_last() -> None:
    begun = open_weights(3, 2)._replace(
        stake=np.array([1.0, 1.0, 1.0]), consensus=np.array([0.3, 0.6])
    )
    scores = np.array([[2.0, 8.0], [2.0, 8.0], [5.0, 5.0]])
    shares, then = settle_epoch_by_yuma(begun, scores, np.array([False, False, True]), TERMS, 0)
    copied = settle_weights(
        np.array([[0.2, 0.8], [0.2, 0.8], [1 / 3, 2 / 3]]), np.full(3, 1 / 3), begun.bonds, TERMS
    )
    np.testing.assert_allclose(shares, [*copied.incentive, *copied.dividends])
    np.testing.assert_allclose(then.consensus, copied.consensus)


def test_a_copycat_is_paid_without_looking() -> None:
    people = {
        "inference": [{"model": "f0", "count": 2}, {"model": "f1", "count": 2}],
        "evaluators": [{"model": "m0", "count": 4}, {"model": "m1", "behaviour": "copycat"}],
    }
    profile = small_profile(seed=3)
    made = played(economy(), 480, profile, population=people)
    reward = account(made, "reward")[4:]
    assert reward[4] > 0.9 * reward[:4].mean()
    flat = played(economy(), 480, profile, population={
        **people, "evaluators": [people["evaluators"][0], {"model": "m1", "behaviour": "constant"}],
    })  # fmt: skip
    assert account(flat, "reward")[8] < reward[4]


def test_stake_decides_whose_weights_count() -> None:
    people = {
        "inference": [{"model": "f0"}, {"model": "f1"}],
        "evaluators": [{"model": "m0", "count": 2}, {"model": "m1", "count": 3, "stake": 9.0}],
    }
    alone = played(economy(), population=people)
    assert account(alone, "reward")[4:].sum() > account(alone, "reward")[2:4].sum()
    bonded = {**economy(), "stake": {"bond": 10.0}}
    np.testing.assert_array_equal(
        account(played(bonded, population=people), "reward"), account(alone, "reward")
    )


def test_agents_pay_the_same_bits() -> None:
    section = {
        **economy(yuma={"reveal_delay": 1}),
        "stake": {"bond": 5.0},
        "options": {"evaluator": ["copycat"]},
        "adaptation": [{"name": "epsilon_greedy", "role": "evaluator", "epsilon": 0.5}],
    }
    scenario = scenario_of(section)
    profile = small_profile()
    model = EconomyModel(scenario, profile=profile, by_agents=True)
    model.run()
    compiled = played(section)
    np.testing.assert_array_equal(model.economy.record.nodes(), compiled.record.nodes())


def test_best_responses_see_what_yuma_would_have_paid() -> None:
    section = {
        **economy(),
        "options": {"evaluator": ["honest", "copycat"]},
        "adaptation": [{"name": "best_response", "role": "evaluator", "revisions": 5}],
    }
    made = opened(section)
    seen: list[float] = []
    made.consult = lambda end: seen.extend(
        end.payoff_if(4, int(end.was[4])) - end.profit[4] for _ in (0,)
    )
    made.run()
    np.testing.assert_allclose(seen, 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"economy.payment.scheme": "yuma", "economy.payment.yuma.reveal_delay": 4},
         "weights are never revealed: there are 4 epochs"),
        ({"economy.payment.scheme": "yuma", "economy.payment.yuma": {"bond_rate_low": 0.1}},
         "bond_rate_low and bond_rate_high need one another"),
        ({"economy.payment.scheme": "yuma",
          "economy.payment.yuma": {"bond_rate_low": 0.3, "bond_rate_high": 0.1}},
         "must lie below"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    base = poq_abm.load("entry_exit", ["economy.epochs=4", "rounds=400"]).replace({"sweep": None})
    with pytest.raises(ScenarioError, match=said):
        poq_abm.scenario.check(base.replace(changes), poq_abm.load_profile("published"))
