from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from economy_support import account, opened, scenario_of, small_profile

import poq_abm
from poq_abm.profile.hardware import hardware
from poq_abm.scenario.schema.economy import Cost
from poq_abm.simulation.arrays import EvaluatorColumn, InferenceColumn
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.economy_population import EconomyPopulation, _prices
from poq_abm.simulation.epochs.prices import ResourceUse, hourly_usd
from poq_abm.simulation.game import build_game
from poq_abm.simulation.replication import State

PUBLISHED = poq_abm.load_profile("published")
_CHEAPER = ("tinylama_1_1b", "llama_3_2_3b")  # of which one is bought by others
OPTIONS = {"options": {"inference": ["freeload", "misreport_cost"], "evaluator": ["noise"]}}


def test_behaviours_in_play_come_first_and_options_follow_once() -> None:
    options = {"options": {"inference": ["honest", "freeload"], "evaluator": ["noise", "honest"]}}
    population = opened({"epochs": 1, **options}).population
    said = [(role, spec["name"]) for role, spec in population.behaviours]
    assert said[-2:] == [("inference", "freeload"), ("evaluator", "noise")]
    assert said[0] == ("inference", "honest")
    names = [said[i] for i in population.options("inference")]
    assert names[-1] == ("inference", "freeload")


def test_each_behaviour_is_an_option_once() -> None:
    """Groups that behave alike share a behaviour: it is not more likely for being common."""
    population = opened({"epochs": 1, **OPTIONS}).population
    for role in ("inference", "evaluator"):
        names = [str(population.behaviours[i][1]) for i in population.options(role)]
        assert len(names) == len(set(names))


def test_the_first_of_a_group_are_there() -> None:
    people = [{"model": "f0", "count": 3, "active": 1}, {"model": "f1", "count": 2}]
    population = opened({"epochs": 1}, population__inference=people).population
    assert population.active.tolist() == [True, False, False, True, True] + [True] * 5


def test_a_mix_spreads_those_who_are_there_over_its_machines_in_order() -> None:
    mix = {"rtx_4090": 0.5, "rtx_3090": 0.5}
    people = [{"model": "qwen2_1_5b", "count": 4, "active": 3, "hardware": mix}]
    scenario = poq_abm.load("cost_aware_poq").replace(
        {"population.inference": people, "economy": {"epochs": 1}}
    )
    game = build_game(scenario, PUBLISHED)
    assert [group.label for group in game.population.groups[:2]] == [
        "qwen2_1_5b on rtx_4090",
        "qwen2_1_5b on rtx_3090",
    ]

    population = EconomyPopulation(scenario, game, PUBLISHED)
    assert population.active[:4].tolist() == [True, True, True, False]
    assert [population.machines[m] for m in population.machine[:4]] == ["rtx_4090"] * 2 + [
        "rtx_3090"
    ] * 2


def test_refreshing_a_roster_in_which_nobody_changed_changes_nothing() -> None:
    economy = opened({"epochs": 1, **OPTIONS}, malicious={"share": 0.4, "behaviour": "noise"})
    population, game = economy.population, economy.game
    population.refresh()
    for mine, theirs in ((population.conduct, game.conduct), (population.nodes, game.nodes)):
        for name, left, right in zip(mine._fields, mine, theirs, strict=True):
            np.testing.assert_array_equal(left, right, err_msg=name)


def test_a_price_can_be_what_a_class_is_charged() -> None:
    profile = small_profile()
    costs = profile.costs.assign(usd_per_answer=[4e-5, 1e-5, *[np.nan] * 3])
    profile = replace(profile, costs=costs)
    scenario = scenario_of({"epochs": 1}, mechanism__cost_inference="price")
    population = EconomyPopulation(scenario, build_game(scenario, profile), profile)
    assert population.true_cost.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert population.costs_on(2, int(population.machine[2]), 10.0, 1.0) == (0.0, 0.0)
    assert population.fits(0, 0)
    unpriced = replace(profile, costs=costs.assign(usd_per_answer=[np.nan, 1e-5, *[np.nan] * 3]))
    assert not np.isfinite(_prices(unpriced, unpriced.models, population.machines)[0, 0])


def test_who_buys_its_answers_pays_their_price_and_for_no_machine() -> None:
    """A constant is billed for nothing, a downgrade for what it buys, or for the machine."""
    usd, less = 3e-5, 1e-5
    options = ["freeload", *({"name": "downgrade", "model": m} for m in _CHEAPER)]
    scenario = scenario_of(
        {"epochs": 1, "cost": {"basis": "money"}, "options": {"inference": options}},
        population__inference=[
            {"model": "qwen2_1_5b", "count": 2, "usd_per_answer": usd},
            {"model": "phi3_mini_4k", "count": 2},
            {"model": _CHEAPER[0], "usd_per_answer": less},
        ],
        population__evaluators=[{"model": "sts_stsb", "count": 3}],
    )
    population = EconomyPopulation(scenario, build_game(scenario, PUBLISHED), PUBLISHED)
    assert population.usd_per_job[:2].tolist() == [usd, usd]
    assert np.isfinite(population.usd_per_job).all()
    size = population.size
    jobs = np.arange(1.0, size + 1.0)
    bought = population.bought_with(np.arange(5), population.behaviour[:5])
    use = ResourceUse(
        machine=population.machine,
        busy_s=jobs,
        worked_s=jobs,
        jobs=jobs,
        bought=np.append(bought, np.full(size - bought.size, np.nan)),
        hours=1.0,
        operator=np.arange(size),
        held=np.ones(size),
    )
    paid = population.prices.per_epoch(use)
    assert paid[:2] == pytest.approx([usd, 2.0 * usd], rel=1e-12)
    assert (paid[2:4] > 0.01).all() and (paid[5:] > 0.01).all()  # an hour of a machine
    freeload = [spec["name"] for _, spec in population.behaviours].index("freeload")
    played = SimpleNamespace(jobs=jobs, acted=np.zeros(size - population.inference))
    tried = population.prices.per_epoch(population.use_with(use, played, 1, freeload))
    assert tried[1] == 0.0
    for place, expected in ((freeload + 1, less), (freeload + 2, np.nan)):
        (price,) = population.bought_with(np.array([1]), np.array([place]))
        assert price == pytest.approx(expected, nan_ok=True)
    np.testing.assert_array_equal(np.delete(tried, 1), np.delete(paid, 1))


def test_who_optimises_answers_takes_longer_and_is_charged_for_it() -> None:
    """Half as long again at 2 s, where costs span 1 s: a whole more. Families stay as they are."""
    options = {"inference": [{"name": "hack", "pressure": 5.0, "family": "m1"}]}
    population = opened({"epochs": 1, "options": options}).population
    families = population.conduct.evaluators[:, EvaluatorColumn.FAMILY].copy()
    hack = [spec["name"] for _, spec in population.behaviours].index("hack")
    seconds, costs = population.service_s.copy(), population.nodes.inference_cost.copy()
    tried, conduct = population.columns_with(2, hack)
    population.behaviour[2] = hack
    population.refresh()
    changed = population.nodes.inference_cost - costs
    np.testing.assert_allclose(changed, [0.0, 0.0, 0.5 * seconds[2] / np.ptp(seconds[:4]), 0.0])
    assert population.service_s[2] == 1.5 * seconds[2]
    assert not population.misreports.any()
    np.testing.assert_array_equal(tried.inference_cost, population.nodes.inference_cost)
    np.testing.assert_array_equal(conduct.inference, population.conduct.inference)
    np.testing.assert_array_equal(
        population.conduct.evaluators[:, EvaluatorColumn.FAMILY], families
    )
    assert families.tolist().count(population.conduct.inference[2, InferenceColumn.FAMILY]) > 0


def test_what_a_node_decides_reaches_the_columns() -> None:
    economy = opened({"epochs": 1, **OPTIONS})
    population = economy.population
    names = [(role, spec["name"]) for role, spec in population.behaviours]
    population.behaviour[0] = names.index(("inference", "freeload"))
    population.behaviour[2] = names.index(("inference", "misreport_cost"))
    population.behaviour[4] = names.index(("evaluator", "noise"))
    population.model[1] = 1
    population.refresh()
    assert population.deviates.tolist() == [
        True,
        False,
        True,
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    assert population.misreports.tolist() == [False, False, True, False]
    assert population.conduct.inference[0, InferenceColumn.FIXED] == 2.0
    assert population.nodes.model.tolist() == [0, 1, 1, 1]
    assert population.service_s[:4].tolist() == [0.0, 2.0, 2.0, 2.0]  # a constant takes no time
    assert population.nodes.inference_cost.tolist() == [0.0, 1.0, 0.5, 1.0]


def test_a_downgrade_takes_the_time_of_what_runs_and_is_charged_for_what_it_names() -> None:
    cheap = {"name": "downgrade", "model": "f0"}
    economy = opened({"epochs": 1, "options": {"inference": [cheap]}})
    population = economy.population
    before = population.nodes.inference_cost.copy()
    slow = int(population.service_s[: population.inference].argmax())
    names = [spec["name"] for _, spec in population.behaviours]
    population.behaviour[slow] = names.index("downgrade")
    population.refresh()
    assert population.service_s[slow] == population.service_s[: population.inference].min()
    assert population.nodes.inference_cost.tolist() == before.tolist()


def test_noise_and_bias_stay_a_node_s_own_whatever_it_does() -> None:
    people = [{"model": "m0", "count": 3, "noise_sd": 0.5, "bias_sd": 0.25}]
    population = opened({"epochs": 1, **OPTIONS}, population__evaluators=people).population
    population.behaviour[4] = population.options("evaluator")[-1]
    population.refresh()
    own = population.conduct.evaluators[:, [EvaluatorColumn.NOISE_SD, EvaluatorColumn.BIAS_SD]]
    assert own.tolist() == [[0.5, 0.25]] * 3


@pytest.mark.parametrize("node", [0, 2, 5])
def test_a_counterfactual_is_what_refreshing_would_make_and_touches_nothing(node: int) -> None:
    population = opened({"epochs": 1, **OPTIONS}).population
    role = "inference" if node < population.inference else "evaluator"
    before = [array.copy() for array in (*population.nodes, *population.conduct)]
    for behaviour in population.options(role):
        nodes, conduct = population.columns_with(node, int(behaviour))
        for was, now in zip(before, (*population.nodes, *population.conduct), strict=True):
            np.testing.assert_array_equal(was, now)
        other = opened({"epochs": 1, **OPTIONS}).population
        other.behaviour[node] = behaviour
        other.refresh()
        for left, right in ((nodes, other.nodes), (conduct, other.conduct)):
            for one, two in zip(left, right, strict=True):
                np.testing.assert_array_equal(one, two)


def test_who_sees_the_others_reports_undercuts_the_cheapest_honest_one() -> None:
    """f1 reports half of 1 where reports are sealed, and just less than f0's 0 where not."""
    people = [{"model": "f1", "behaviour": "misreport_cost"}, {"model": "f0"}, {"model": "f1"}]
    reported = {}
    for sealed in (True, False):
        section = {"epochs": 1, "audits": {"commit_reveal": sealed}, **OPTIONS}
        population = opened(section, population__inference=people).population
        reported[sealed] = population.nodes.inference_cost.tolist()
        liar = int(population.behaviour[0])
        asked, _ = population.columns_with(2, liar)
        population.behaviour[2] = liar
        population.refresh()
        assert asked.inference_cost[2] == population.nodes.inference_cost[2]
    assert reported == {True: [0.5, 0.0, 1.0], False: [0.0, 0.0, 1.0]}


def test_who_downgrades_answers_with_another_model_at_the_named_cost() -> None:
    downgrade = {"name": "downgrade", "model": "f0"}
    population = opened(
        {"epochs": 1},
        population__inference=[{"model": "f0"}, {"model": "f1", "behaviour": downgrade}],
    ).population
    assert population.nodes.model.tolist() == [0, 0]
    assert population.nodes.inference_cost.tolist() == [0.0, 1.0]


def test_identities_of_one_operator_share_a_machine() -> None:
    population = opened({"epochs": 1}).population
    population.operator[[1, 3]] = 0, 2
    active = np.array([True, True, True, False] + [True] * 5)
    assert population.machines_held(active).tolist() == [0.5, 0.5, 1.0, 0.0] + [1.0] * 5


def test_whoever_leaves_stands_for_itself_and_its_operator_goes_on() -> None:
    economy = opened({"epochs": 1})
    population = economy.population
    population.operator[[1, 2, 3]] = 0
    leaves = np.zeros(population.size, np.bool_)
    leaves[[0, 2]] = True
    economy.leave(leaves)
    assert population.operator[:4].tolist() == [0, 1, 2, 1]


def test_costs_are_normalised_over_who_is_there_and_anew_when_that_changes() -> None:
    profile = small_profile((1000.0, 2000.0, 50.0, 100.0, 100.0))
    people = [{"model": "f0"}, {"model": "f1", "active": 0}]
    population = opened({"epochs": 1}, 200, profile, population__inference=people).population
    np.testing.assert_array_equal(population.true_cost[:2], [0.0, np.nan])
    population.active[1] = True
    population.refresh()
    assert population.true_cost[:2].tolist() == [0.0, 1.0]
    population.active[0] = False
    population.refresh()
    np.testing.assert_array_equal(population.true_cost[:2], [np.nan, 0.0])


# ------------------------------------------------------------------------------------------- prices


def money(**cost: object) -> dict[str, object]:
    return {"epochs": 1, "cost": {"basis": "money", "usd_per_token": 0.01, **cost}}


def in_money(section: dict[str, object], rounds: int = 200, **changes: object) -> Economy:
    profile = small_profile(hardware="rtx_4090")
    return opened(section, rounds, profile, **changes)


def test_an_hour_is_rented_or_written_off() -> None:
    machine = hardware("rtx_4090")
    assert hourly_usd(machine, Cost()) == machine.rental_usd_per_hour
    written_off = machine.purchase_usd / (machine.life_years * 8760.0)
    assert hourly_usd(machine, Cost(ownership="own")) == pytest.approx(written_off, rel=1e-3)


def test_an_epoch_costs_rent_energy_busy_and_idle_and_bandwidth() -> None:
    """By hand: 2 h of rent, full watts while busy and a tenth while idle, bytes of every job."""
    section = money(usd_per_mwh=100.0, usd_per_gigabyte=2.0, bytes_per_job=1e6)
    economy = in_money({**section, "epoch_hours": 2.0})
    economy.step()
    machine = hardware("rtx_4090")
    sums = economy.record.sums
    jobs, running, busy = sums["jobs"], sums["cost_in_money"], sums["busy_s"][:4]
    joules = machine.power_w * (busy + 0.1 * (7200.0 - busy))
    usd = 2.0 * machine.rental_usd_per_hour + joules / 3.6e9 * 100.0 + jobs[:4] * 1e-3 * 2.0
    np.testing.assert_allclose(running[:4], usd / 0.01, rtol=1e-12)


def joules_billed(economy: Economy, hours: float) -> np.ndarray:
    """Energy of inference nodes in joules, from what they paid for an owned machine."""
    usd = account(economy, "cost_in_money")[:4] * 0.01
    hourly = hourly_usd(hardware("rtx_4090"), Cost(ownership="own"))
    return (usd - hourly * hours * economy.settings.epochs) / 1000.0 * 3.6e9


@pytest.mark.parametrize("capacity", [1, 3])
@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("distribution", ["fixed", "exponential"])
def test_all_work_is_billed_once_whenever_it_is_done(
    capacity: int, factor: float, distribution: str
) -> None:
    """Demand over capacity and below: full power for all work, idle power for the time without.

    The last epochs are empty, so that all queues run dry before the end: of a span of T seconds a
    machine of c places that did w seconds of work was idle for T - w / c.
    """
    hours, epochs = 0.05, 8
    surge = {"first": 0, "last": 1, "factor": factor * 600.0 * capacity}
    economy = in_money(
        {
            **money(usd_per_mwh=1000.0, ownership="own"),
            "epochs": epochs,
            "epoch_hours": hours,
            "service": {"capacity": capacity},
            "latency": {"distribution": distribution},
            "demand": {"surge": surge, "tasks_end": None},
        },
        rounds=epochs,
        population__inference=[{"model": "f0", "count": 4}],
    )
    calm = economy.arrivals
    calm.scale = lambda epoch, ratio: surge["factor"] if epoch < 2 else 0.0  # type: ignore[method-assign]
    economy.run()
    work = economy.record.sums["busy_s"][:4] / capacity
    assert economy.free_at.max() == 0.0
    watts = hardware("rtx_4090").power_w
    expected = watts * (work + 0.1 * (3600.0 * hours * epochs - work))
    np.testing.assert_allclose(joules_billed(economy, hours), expected, rtol=1e-9)


def test_work_that_is_left_at_the_end_is_billed_too() -> None:
    """One node, twice as much work in its only epoch as it can do: the second half as well."""
    economy = in_money(
        {**money(usd_per_mwh=1000.0, ownership="own"), "epoch_hours": 100.0 / 3600.0},
        population__inference=[{"model": "f0"}],
    )
    economy.step()
    assert economy.record.sums["busy_s"][0] == pytest.approx(200.0)
    waited = 0.25  # seconds until the first query
    expected = hardware("rtx_4090").power_w * (200.0 + 0.1 * waited)
    assert joules_billed(economy, 100.0 / 3600.0)[0] == pytest.approx(expected)


def test_identities_on_one_machine_pay_for_its_idle_time_once() -> None:
    economy = in_money(
        money(usd_per_mwh=1000.0, ownership="own"), schedule="round_robin",
        population__inference=[{"model": "f0", "count": 2}, {"model": "f1", "count": 2}],
    )  # fmt: skip
    economy.population.operator[:4] = [0, 1, 0, 1]  # a quick and a slow one on each of two machines
    economy.step()
    work = economy.record.sums["busy_s"][:4]
    assert work.tolist() == [50.0, 50.0, 100.0, 100.0]
    watts = hardware("rtx_4090").power_w
    paid = joules_billed(economy, 0.5)
    np.testing.assert_allclose(paid, watts * (work + 0.05 * (3600.0 - 150.0)), rtol=1e-9)


LAZY = [
    {"model": "m0"},
    {"model": "m0", "behaviour": {"name": "constant", "score": 6.0}},
    {"model": "m0", "behaviour": "copycat"},
    {"model": "m0", "behaviour": {"name": "intermittent", "p": 0.3, "inner": "constant"}},
    {"model": "m0", "behaviour": {"name": "sleeper", "trust": 0.0, "jobs": 150.0,
                                  "inner": "copycat"}},
    {"model": "m0", "behaviour": "boost"},
]  # fmt: skip


def test_who_does_not_run_a_model_does_not_pay_for_running_it() -> None:
    """By the trait of what is done, in the rounds in which it is done; rewards charge C as ever."""
    economy = in_money(
        money(usd_per_mwh=1000.0, ownership="own"), population__evaluators=LAZY,
        mechanism__committee_size=6,
    )  # fmt: skip
    economy.step()
    acted = economy.memory.state[:, State.ACTED]
    assert acted[[0, 1, 2, 4, 5]].tolist() == [0.0, 200.0, 200.0, 50.0, 200.0]
    assert 30.0 < acted[3] < 90.0
    run = np.array([200.0, 0.0, 0.0, 200.0 - acted[3], 150.0, 200.0])
    seconds = run * 0.05
    joules = hardware("rtx_4090").power_w * (seconds + 0.1 * (3600.0 - seconds))
    usd = joules / 3.6e9 * 1000.0 + hourly_usd(hardware("rtx_4090"), Cost(ownership="own"))
    np.testing.assert_allclose(economy.record.sums["cost_in_money"][4:], usd / 0.01, rtol=1e-9)
    assert len(set(economy.population.nodes.evaluator_cost.tolist())) == 1


def test_a_region_has_its_own_price_of_energy() -> None:
    people = [{"model": "f0", "region": "dear"}, {"model": "f0", "region": "free"}]
    economy = in_money(
        {**money(ownership="own"), "regions": {"dear": 1000.0, "free": 0.0}},
        population__inference=people,
    )
    job = economy.population.usd_per_job[:2]
    assert job[0] - job[1] == pytest.approx(hardware("rtx_4090").power_w * 1.0 / 3.6e6)
    assert economy.population.true_cost[:2].tolist() == [1.0, 0.0]


def test_a_latency_basis_costs_no_money() -> None:
    economy = opened({"epochs": 1})
    economy.step()
    assert economy.record.sums["cost_in_money"].tolist() == [0.0] * 9
