"""Who answers, when, and who judges: routings, committees by weight, outages, patience."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from economy_support import account, groups, network, opened, played, small_profile

from poq_abm.simulation.epochs.double_entry import Fund, Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.epoch_rounds import _outages

SEEDS = range(5)


def one_epoch(economy: dict[str, Any], rounds: int, **changes: Any) -> Economy:
    """An economy after its only epoch, whose assignments can be looked at."""
    made = opened({"epochs": 1, **economy}, rounds, **changes)
    made.step()
    return made


def jobs(economy: Economy) -> np.ndarray:
    return np.bincount(economy.play.assigned.node, minlength=economy.roster.inference)


# ------------------------------------------------------------------------------------------ routing


def test_the_cheapest_idle_node_answers_and_the_next_one_while_it_is_busy() -> None:
    """Every 1.25 s a query; f0 takes 1 s and costs 0: it is always free."""
    idle = one_epoch({"epoch_hours": 125 / 3600.0}, 100, schedule="cheapest")
    assert jobs(idle).tolist() == [100, 0, 0, 0]
    # Every 0.75 s: the two of f0 are enough; f1 costs 1.
    busy = one_epoch({"epoch_hours": 75 / 3600.0}, 100, schedule="cheapest")
    assert jobs(busy).tolist() == [50, 50, 0, 0]
    # Every 0.25 s, one more than the four can do: all of them work all the time.
    over = one_epoch({"epoch_hours": 25 / 3600.0}, 100, schedule="cheapest")
    assert jobs(over)[2:].min() > 0
    assert jobs(over).sum() == 100


def test_a_false_report_comes_before_a_cheaper_node() -> None:
    """Costs are 0, 1/2 and 1; half of 1 undercuts nobody, a quarter undercuts the second."""
    profile = small_profile((1000.0, 1500.0, 2000.0, 50.0), models=3)
    shares = {}
    for factor in (1.0, 0.25):
        liar = {"name": "misreport_cost", "factor": factor}
        people = [{"model": "f0"}, {"model": "f1"}, {"model": "f2", "behaviour": liar}]
        economy = one_epoch(
            {"epoch_hours": 75.0 / 3600.0},
            100,
            profile=profile,
            schedule="cheapest",
            population={"inference": people, "evaluators": [{"model": "m0"}]},
            mechanism__committee_size=1,
        )
        shares[factor] = jobs(economy)
    assert shares[1.0].tolist() == [50, 50, 0]
    assert shares[0.25].tolist() == [50, 25, 25]


def test_two_choices_shorten_queues() -> None:
    economy = {
        "epoch_hours": 1000.0 / 3600.0,
        "latency": {"distribution": "exponential"},
        "demand": {"arrivals": "poisson"},
    }
    people = {"inference": [{"model": "f0", "count": 10}], "evaluators": [{"model": "m0"}]}
    for seed in SEEDS:
        waits = []
        for schedule in ("uniform", "power_of_two"):
            made = one_epoch(
                economy, 8000, schedule=schedule, population=people, seed=seed,
                mechanism__committee_size=1,
            )  # fmt: skip
            count = int(network(made, "queries")[0])
            waits.append(made.play.queries.wait[:count].mean())
        # M/M/1 at 0.8 waits 4 s; with two choices sum_k>1 0.8^(2^k - 1) - 0.8 in equilibrium
        assert waits[0] == pytest.approx(4.0, rel=0.5)
        assert waits[1] < 0.5 * waits[0]


def test_two_choices_are_two_draws_of_all_who_are_there() -> None:
    """Idle nodes tie, so the first draw stands; each of four is drawn a quarter of the time."""
    counts = sum(
        jobs(one_epoch({"epoch_hours": 1e4}, 2000, schedule="power_of_two", seed=seed))
        for seed in SEEDS
    )
    assert (np.abs(counts / 10_000 - 0.25) < 4.0 * math.sqrt(0.1875 / 10_000)).all()


def test_jobs_follow_stakes() -> None:
    """Bonds of 1, 1, 3 and 3: shares to 4 s.d. of a binomial share, pooled over seeds."""
    people = [{"model": "f0", "count": 2}, {"model": "f1", "count": 2, "stake": 3.0}]
    counts = sum(
        jobs(
            one_epoch({"stake": {"bond": 5.0}}, 2000, schedule="stake_weighted", seed=seed,
                      population__inference=people)
        )
        for seed in SEEDS
    )  # fmt: skip
    share = np.array([1.0, 1.0, 3.0, 3.0]) / 8.0
    assert (np.abs(counts / 10_000 - share) < 4.0 * np.sqrt(share * (1 - share) / 10_000)).all()


def test_jobs_follow_the_softmax_of_reputation() -> None:
    total = np.zeros(4)
    reputation = np.array([0.2, 0.4, 0.6, 0.6])
    for seed in SEEDS:
        economy = opened(
            {"epochs": 1, "service": {"temperature": 0.2}}, 2000, schedule="trust_softmax",
            seed=seed,
        )  # fmt: skip
        economy.reputation[:] = reputation
        economy.step()
        total += jobs(economy)
    share = np.exp(reputation / 0.2)
    share /= share.sum()
    assert (np.abs(total / 10_000 - share) < 4.0 * np.sqrt(share * (1 - share) / 10_000)).all()


def test_reputation_moves_towards_quality_by_its_memory() -> None:
    economy = one_epoch({"service": {"memory": 0.25}}, 400, profile=small_profile(scores=8.0))
    np.testing.assert_allclose(economy.reputation, 0.5 + 0.25 * (0.8 - 0.5))


def test_round_robin_turns_over_those_who_are_there() -> None:
    people = [{"model": "f0", "count": 3, "active": 2}, {"model": "f1"}]
    economy = one_epoch({}, 300, schedule="round_robin", population__inference=people)
    assert jobs(economy).tolist() == [100, 100, 0, 100]


# --------------------------------------------------------------------------------------- committees

FIVE = [{"model": "m0", "stake": float(stake)} for stake in (1, 2, 3, 4, 10)]
SHARES = np.array([1.0, 2.0, 3.0, 4.0, 10.0]) / 20.0
BY_STAKE = {"stake": {"bond": 1.0, "sampling": "stake"}}


def committees(size: int, seed: int, **changes: Any) -> np.ndarray:
    economy = one_epoch(
        BY_STAKE, 4000, population__evaluators=FIVE, mechanism__committee_size=size, seed=seed,
        **changes,
    )  # fmt: skip
    return economy.play.assigned.committee.copy()


def test_a_seat_has_the_share_of_its_stake() -> None:
    drawn = np.concatenate([committees(1, seed)[:, 0] for seed in SEEDS])
    share = np.bincount(drawn, minlength=5) / drawn.size
    assert (np.abs(share - SHARES) < 4.0 * np.sqrt(SHARES * (1 - SHARES) / drawn.size)).all()


def test_a_second_seat_is_drawn_from_those_without_one() -> None:
    """P(second = j) = sum over i != j of p_i p_j / (1 - p_i)."""
    drawn = np.concatenate([committees(2, seed)[:, 1] for seed in SEEDS])
    p = SHARES
    second = np.array([sum(p[i] * p[j] / (1 - p[i]) for i in range(5) if i != j)
                       for j in range(5)])  # fmt: skip
    share = np.bincount(drawn, minlength=5) / drawn.size
    assert (np.abs(share - second) < 4.0 * np.sqrt(second * (1 - second) / drawn.size)).all()


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_smaller_committee_is_a_prefix_and_nobody_sits_twice(size: int) -> None:
    for seed in SEEDS:
        larger, smaller = committees(size, seed), committees(size - 1, seed)
        assert np.array_equal(larger[:, : size - 1], smaller)
        ordered = np.sort(larger, axis=1)
        assert (np.diff(ordered, axis=1) > 0).all()


def test_a_seat_goes_by_trust() -> None:
    economy = opened(
        {"epochs": 1, "stake": {"sampling": "trust"}}, 8000, mechanism__committee_size=1
    )
    economy.memory.trust[:, 0] = [1.0, 1.0, 2.0, 0.5, 0.5]
    economy.step()
    share = np.bincount(economy.play.assigned.committee[:, 0], minlength=5) / 8000
    p = np.array([0.2, 0.2, 0.4, 0.1, 0.1])
    assert (np.abs(share - p) < 4.0 * np.sqrt(p * (1 - p) / 8000)).all()


def test_those_without_a_stake_sit_only_where_nobody_else_is_left() -> None:
    economy = opened(BY_STAKE | {"epochs": 1}, 500, mechanism__committee_size=3)
    first = economy.roster.inference
    lost = np.zeros(economy.roster.size)
    lost[first:] = [1.0, 1.0, 0.0, 0.0, 1.0]
    economy.books.move(Holding.BOND, Fund.BURNED, lost)
    economy.step()
    committee = economy.play.assigned.committee
    assert set(np.unique(committee[:, :2])) == {2, 3}
    assert set(np.unique(committee[:, 2])) == {0, 1, 4}


# -------------------------------------------------------------------- patience, outages, task mixes


def test_demand_beyond_capacity_is_dropped_and_counted() -> None:
    """One node a second, two queries a second, nobody waits beyond 5 s: half is dropped."""
    economy = played(
        {"epochs": 4, "epoch_hours": 250.0 / 3600.0, "service": {"patience_s": 5.0}},
        rounds=2000,
        population__inference=[{"model": "f0"}],
    )
    queries, dropped = network(economy, "queries"), network(economy, "dropped")
    assert queries.tolist() == [500.0] * 4
    assert dropped[1:] == pytest.approx([250.0] * 3, abs=2)
    assert economy.served == queries.sum() - dropped.sum()
    assert account(economy, "jobs")[0] == economy.served
    assert account(economy, "jobs")[1:].sum() == 3 * economy.served  # nobody judged the dropped
    assert network(economy, "latency_p95").max() == pytest.approx(6.0, rel=1e-9)


def test_a_dropped_query_pays_nobody_and_no_fee() -> None:
    economy = played(
        {
            "epochs": 1,
            "epoch_hours": 50.0 / 3600.0,
            "service": {"patience_s": 0.5},
            "payment": {"fee": 1.0},
        },
        rounds=200,
        population__inference=[{"model": "f0"}],
    )
    assert 0 < economy.served < 200
    assert network(economy, "fees")[0] == economy.served


def test_nobody_waits_into_an_outage() -> None:
    """Work begins outside outages; what has begun is finished."""
    economy = opened(
        {
            "epochs": 1,
            "latency": {"outage_probability": 1.0, "outage_share": 0.3},
            "epoch_hours": 2000.0 / 3600.0,
        },
        1000,
    )
    economy.step()
    queries, node = economy.play.queries, economy.play.assigned.node
    begin = queries.arrival + queries.wait
    for each in range(4):
        mine = np.sort(begin[node == each])
        gap = np.diff(mine).max()
        assert gap >= 600.0  # 30 % of 2,000 s without a beginning
    assert groups(economy, "busy")[0, 0] < 0.5


def test_outages_come_with_their_probability_and_cost_availability() -> None:
    down = 0.0
    for seed in SEEDS:
        economy = opened(
            {"epochs": 1, "latency": {"outage_probability": 0.3, "outage_share": 0.2}}, 1,
            population__inference=[{"model": "f0", "count": 2000}], seed=seed,
        )  # fmt: skip

        share, start, end = _outages(economy)
        ill = share > 0.0
        down += ill.mean() / len(SEEDS)
        np.testing.assert_allclose(end[ill] - start[ill], 720.0)
        assert start[ill].min() >= 0.0
        assert end[ill].max() <= 3600.0
        assert np.isinf(start[~ill]).all()
    assert abs(down - 0.3) < 4.0 * math.sqrt(0.21 / 10_000)


def test_the_task_mix_drifts_in_a_line() -> None:
    economy = opened(
        {"epochs": 5, "demand": {"tasks_end": {"t0": 0.2, "t1": 0.8}}}, 20_000,
        tasks={"t0": 1.0, "t1": 0.0},
    )  # fmt: skip
    shares = []
    while not economy.finished:
        economy.step()
        shares.append((economy.play.assigned.task == 0).mean())
    assert shares[0] == 1.0
    sd = np.sqrt(0.25 / 4000)
    assert (np.abs(np.array(shares) - np.linspace(1.0, 0.2, 5)) < 4.0 * sd).all()


def test_realised_costs_are_charged_only_where_asked() -> None:
    """The mean reward of f1, of cost 1, is the same; its spread comes from the time it took."""
    section = {"epochs": 1, "latency": {"distribution": "exponential"}}
    rewards = {}
    for charged in ("mean", "realised"):
        section["latency"] = {"distribution": "exponential", "charged": charged}
        economy = opened(
            section, 20_000, profile=small_profile(scores=5.0), mechanism__beta_inference=0.5
        )
        economy.step()
        slow = economy.play.assigned.node >= 2
        rewards[charged] = economy.play.trace.inference_reward[slow]
    assert np.ptp(rewards["mean"]) == 0.0
    assert rewards["mean"][0] == 0.0  # 0.5 - 0.5
    error = 0.5 / math.sqrt(rewards["realised"].size)
    assert abs(rewards["realised"].mean()) < 4.0 * error
    assert rewards["realised"].std() == pytest.approx(0.5, rel=0.05)
