"""The rules of adaptation one by one: what they choose, and what they never do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from economy_support import account, groups, held, opened, played, small_profile

import poq_abm
from poq_abm.errors import InputError
from poq_abm.rules.adaptation.base import ADAPTATIONS, Adaptation, resolve_adaptation
from poq_abm.rules.registry import RuleError, register, rules
from poq_abm.rules.rule import Source
from poq_abm.simulation.epochs.accounts import Fund, Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.epoch_end import EpochEnd
from poq_abm.simulation.epochs.epoch_rounds import play_epoch
from poq_abm.simulation.epochs.epoch_settlement import settle_epoch
from poq_abm.simulation.game import build_game

PUBLISHED = poq_abm.load_profile("published")


def ended(section: dict[str, Any], rounds: int = 240, **changes: Any) -> EpochEnd:
    """The end of an epoch in which nobody has decided yet."""
    economy = opened({"epochs": 3, **section}, rounds, **changes)
    return settle_epoch(economy, play_epoch(economy))


def rule(name: str, **values: Any) -> Adaptation:
    return resolve_adaptation({"name": name, **values})


def draws(kind: Adaptation, size: int, *rows: float) -> np.ndarray:
    """The same uniforms for every node, one row each."""
    assert len(rows) == kind.draws
    return np.repeat(np.array(rows)[:, None], size, axis=1)


# ------------------------------------------------------------------------------ best response

BEST = {"name": "best_response", "role": "inference", "revisions": 10, "temperature": 1e-6}


def test_the_best_response_to_a_linear_reward_is_the_answer_that_scores_most() -> None:
    """Honest answers score 4 throughout; a constant answer may score 2, or 9."""
    for score, adopted in ((2.0, "honest"), (9.0, "freeload")):
        economy = played(
            {
                "epochs": 2,
                "options": {"inference": [{"name": "freeload", "score": score}]},
                "adaptation": [BEST],
            },
            profile=small_profile(scores=4.0),
        )
        names = [
            economy.population.behaviours[b][1]["name"] for b in economy.population.behaviour[:4]
        ]
        assert names == [adopted] * 4


@pytest.mark.parametrize("revisions", [0, 1, 3])
def test_only_so_many_revise_in_an_epoch(revisions: int) -> None:
    economy = opened(
        {
            "epochs": 2,
            "options": {"inference": [{"name": "freeload", "score": 10.0}]},
            "adaptation": [{**BEST, "revisions": revisions}],
        },
        profile=small_profile(scores=4.0),
    )
    economy.step()
    assert economy.population.deviates.sum() == revisions


def test_at_a_high_temperature_every_behaviour_is_as_likely() -> None:
    counts = np.zeros(3)
    for seed in range(5):
        economy = opened(
            {
                "epochs": 1,
                "options": {"inference": ["freeload", "judge_hack"]},
                "adaptation": [{**BEST, "revisions": 300, "temperature": 1e9}],
            },
            20,
            population__inference=[{"model": "f0", "count": 150}, {"model": "f1", "count": 150}],
            seed=seed,
        )
        economy.step()
        place = np.searchsorted(
            economy.population.options("inference"), economy.population.behaviour[:300]
        )
        counts += np.bincount(place, minlength=3)
    assert (np.abs(counts / 1500 - 1 / 3) < 4.0 * np.sqrt(2 / 9 / 1500)).all()


# ---------------------------------------------------------------------------------- epsilon-greedy


def test_epsilon_greedy_plays_what_it_remembers_to_pay_best() -> None:
    end = ended({"options": {"inference": ["freeload"]}})
    kind = rule("epsilon_greedy", role="inference", epsilon=0.5, memory=0.25)
    size, (honest, free) = end.population.size, end.population.options("inference")
    explore_last = draws(kind, size, 0.0, 0.99)
    keep = draws(kind, size, 0.9, 0.0)

    def after(paid: float, luck: np.ndarray) -> int:
        end.__dict__["profit"] = np.full(size, paid)
        end.was = end.population.behaviour.copy()
        kind.revise(end, luck)
        return int(end.population.behaviour[0])

    assert after(1.0, keep) == honest  # nothing else was tried
    assert after(1.0, explore_last) == free
    assert after(3.0, keep) == free  # 3 beats 1
    assert after(-9.0, keep) == honest  # 3 - 0.25 x 12 = 0 < 1: back
    assert after(1.0, keep) == honest


# -------------------------------------------------------------------------------------- imitation


def test_one_rule_does_not_undo_what_an_earlier_one_decided() -> None:
    economy = opened(
        {
            "epochs": 1,
            "options": {"inference": [{"name": "freeload", "score": 10.0}]},
            "adaptation": [BEST, {"name": "imitation", "role": "inference", "rate": 0.0}],
        },
        profile=small_profile(scores=4.0),
    )
    economy.step()
    assert economy.population.deviates[:4].all()


def test_roles_do_not_mix() -> None:
    economy = played(
        {
            "epochs": 5,
            "options": {"inference": ["freeload"], "evaluator": ["noise"]},
            "adaptation": [
                {"name": "imitation", "role": "evaluator", "rate": 1.0, "mutation": 0.5}
            ],
        }
    )
    assert groups(economy, "deviating")[:, :2].sum() == 0.0
    assert groups(economy, "deviating")[-1, 2:-1].sum() > 0.0
    known = set(economy.population.options("evaluator").tolist())
    assert set(economy.population.behaviour[4:].tolist()) <= known


# ------------------------------------------------------------------------------ upgrade and models


def market(section: dict[str, Any], people: list[dict[str, Any]], **changes: Any) -> Economy:
    scenario = poq_abm.load("cost_aware_poq").replace(
        {
            "rounds": 400,
            "population.inference": people,
            "economy": {"epochs": 4, **section},
            **changes,
        }
    )
    return Economy(scenario, build_game(scenario, PUBLISHED), PUBLISHED)


PAIR = [{"model": "llama_3_2_3b", "count": 3}, {"model": "qwen2_1_5b", "count": 3}]
UPGRADE = {"name": "upgrade", "rate": 1.0}


def test_who_pays_for_cost_in_its_reward_upgrades_to_the_quicker_machine() -> None:
    options = {"hardware": ["t4", "h100_sxm"]}
    economy = market({"options": options, "adaptation": [UPGRADE]}, PAIR)
    slow = economy.population.true_cost[:6].argmax()
    economy.run()
    assert economy.population.machines[economy.population.machine[slow]] == "h100_sxm"


@pytest.mark.parametrize("exponent", [1.0, 2.5])
def test_no_upgrade_pays_more_than_a_cost_of_zero(exponent: float) -> None:
    """Of the cheapest there can be no cheaper, whatever stands in the catalogue."""
    options = {"hardware": ["h100_sxm"]}
    reward = {"family": "convex_cost", "exponent": exponent}
    economy = market(
        {"options": options}, PAIR, **{"mechanism.reward": reward, "mechanism.beta_inference": 1.0}
    )
    for node in range(6):
        for machine in range(len(economy.population.machines)):
            cost, _ = economy.population.costs_on(node, machine, 10.0, economy.hours)
            assert 0.0 <= cost <= 1.0


def test_a_price_too_high_for_the_horizon_keeps_everybody_where_they_are() -> None:
    options = {"hardware": ["h100_sxm"]}
    dear = {**UPGRADE, "price": 1e6, "horizon": 10.0}
    economy = market({"options": options, "adaptation": [dear]}, PAIR)
    before = economy.population.machine.copy()
    economy.run()
    assert np.array_equal(economy.population.machine, before)


def test_an_upgrade_is_paid_for_once_and_booked() -> None:
    economy = market(
        {"options": {"hardware": ["h100_sxm"]}, "adaptation": [{**UPGRADE, "price": 0.5}]}, PAIR
    )
    before = economy.population.machine.copy()
    economy.run()
    changed = economy.population.machine != before
    assert changed.any()
    np.testing.assert_array_equal(account(economy, "cost_in_money"), np.where(changed, 0.5, 0.0))
    assert economy.accounts.funds[Fund.OUTSIDE] == 0.5 * changed.sum()


def test_a_model_or_machine_that_does_not_fit_is_never_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    economy = market(
        {
            "options": {"hardware": ["h100_sxm", "t4"]},
            "adaptation": [UPGRADE, {"name": "model_switch", "rate": 1.0}],
        },
        PAIR,
    )
    table = economy.population._latency_ms["inference"]
    fast, llama = economy.population.machines.index("h100_sxm"), economy.population.models.index(
        "llama_3_2_3b"
    )  # fmt: skip
    table[llama, fast] = np.nan
    while not economy.finished:
        economy.step()
        running = economy.population.model, economy.population.machine[:6]
        assert np.isfinite(table[running]).all()
        assert np.isfinite(economy.population.nodes.inference_cost).all()


def test_a_node_takes_over_the_model_of_one_that_does_better() -> None:
    """f1 scores 9 and f0 scores 1: at a low temperature everybody runs f1 before long."""
    scores = np.ones((5, 2, 3))
    scores[:, 1, :] = 9.0
    profile = replace(small_profile(), scores=scores)
    economy = played(
        {
            "epochs": 8,
            "adaptation": [{"name": "model_switch", "rate": 1.0, "temperature": 1e-3}],
        },
        800,
        profile,
        mechanism__beta_inference=0.0,
    )
    assert economy.population.model.tolist() == [1, 1, 1, 1]
    assert (economy.population.nodes.model == 1).all()


# --------------------------------------------------------------------------------------- identities

ROOM = [{"model": "f0", "count": 40, "active": 2}, {"model": "f1", "count": 2}]
SPLIT = {"name": "sybil", "role": "inference", "rate": 1.0}


def test_identities_multiply_up_to_the_most_and_no_further() -> None:
    economy = opened(
        {"epochs": 8, "adaptation": [{**SPLIT, "fee": -1e9, "most": 5}]},
        population__inference=ROOM,
    )
    while not economy.finished:
        economy.step()
        active = economy.population.active[:42]
        owners = np.bincount(economy.population.operator[:42][active])
        assert owners.max() <= 5
    assert owners[:2].tolist() == [5, 5]


def test_an_identity_does_what_its_operator_does_and_puts_up_a_bond() -> None:
    people = [{**ROOM[0], "behaviour": "misreport_cost"}, ROOM[1]]
    economy = opened(
        {"epochs": 3, "stake": {"bond": 6.0}, "adaptation": [{**SPLIT, "fee": -1e9}]},
        population__inference=people,
    )
    economy.step()
    new = np.flatnonzero(economy.population.active[:40])[2:]
    assert new.size == 2
    assert sorted(economy.population.operator[new]) == [0, 1]
    assert (held(economy, Holding.BOND)[new] == 6.0).all()
    assert economy.population.misreports[new].all()


def test_where_a_bond_costs_more_than_it_brings_identities_merge_to_one() -> None:
    economy = opened(
        {
            "epochs": 6,
            "payment": {"scheme": "pool", "pool": 1.0},
            "stake": {"bond": 1000.0, "capital_rate": 0.1},
            "adaptation": [SPLIT],
        },
        population__inference=ROOM,
    )
    population = economy.population
    extra = np.zeros(population.size, np.bool_)
    extra[5:9] = True
    population.operator[5:9] = 1
    economy.enter(extra)
    economy.run()
    assert np.flatnonzero(population.active[:42]).tolist() == [0, 1, 40, 41]
    assert np.array_equal(population.operator, np.arange(population.size))


# ----------------------------------------------------------------------------------------- registry


@pytest.mark.parametrize(
    ("spec", "said", "path"),
    [
        ({"name": "imitate"}, "did you mean 'imitation'", ()),
        ({"name": "entry_exit", "ouside": 1.0}, "'outside'", ("ouside",)),
        ({"name": "imitation"}, "needs 'role'", ("role",)),
        ({"name": "imitation", "role": "inferense"}, "must be 'inference' or", ("role",)),
        ({"name": "upgrade", "rate": 1.5}, "rate must lie in [0, 1]", ("rate",)),
        ({"name": "upgrade", "price": -1.0}, "price must be at least 0", ("price",)),
        ({"name": "sybil", "role": "inference", "most": "8"}, "must be a number", ("most",)),
    ],
)
def test_what_a_scenario_gets_wrong_about_a_rule(
    spec: dict[str, Any], said: str, path: tuple[str, ...]
) -> None:
    with pytest.raises(RuleError) as caught:
        resolve_adaptation(spec)
    assert said in caught.value.message
    assert caught.value.path == path


def test_a_name_that_is_taken_is_refused() -> None:
    class Other(Adaptation):
        name, formula, source = "imitation", "x", Source("assumed", "a test")

    with pytest.raises(InputError, match="already"):
        register(Other)
    assert rules(ADAPTATIONS)["imitation"] is not Other
