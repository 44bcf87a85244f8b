from __future__ import annotations

import numpy as np
import pytest
from economy_support import network, played
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.scenario.schema.economy import Controller, EconomySettings, Preference
from poq_abm.simulation.epochs.controllers import Coefficients, preferred, stepped

FIRST = {
    "alpha_inference": 1.0,
    "beta_inference": 0.5,
    "alpha_evaluator": 1.0,
    "beta_evaluator": 0.3,
    "fee": 0.2,
}


def rule(**fields: object) -> Controller:
    return Controller(**{"move": "fee", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("utilisation", "value"),
    [(0.5, 8.0), (0.75, 8.5), (1.0, 9.0), (3.0, 9.0), (0.0, 7.0), (0.25, 7.5)],
)
def test_a_step_is_proportional_to_the_distance_and_bounded(
    utilisation: float, value: float
) -> None:
    assert stepped(8.0, utilisation, rule(target=0.5, step=0.125)) == (value, False)


def test_a_negative_step_goes_against_utilisation() -> None:
    assert stepped(8.0, 1.0, rule(target=0.5, step=-0.125)) == (7.0, False)


def test_nothing_moves_in_the_zone() -> None:
    zoned = rule(target=0.5, zone=0.1)
    assert stepped(8.0, 0.6, zoned) == (8.0, False)
    assert stepped(8.0, 0.61, zoned)[0] > 8.0


def test_a_bound_holds_and_says_so() -> None:
    assert stepped(9.9, 1.0, rule(maximum=10.0)) == (10.0, True)
    assert stepped(0.1, 0.0, rule(minimum=0.1)) == (0.1, True)
    assert stepped(20.0, 0.5, rule(maximum=10.0)) == (10.0, True)


def test_a_value_without_a_minimum_stops_at_a_thousandth_of_its_first_and_says_so() -> None:
    assert stepped(2.0, 0.0, rule(step=1.0), first=0.5) == (0.0005, True)
    assert stepped(0.0005, 1.0, rule(step=1.0), first=0.5) == (0.001, False)


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.floats(0.0, 5.0), max_size=50),
    st.sampled_from([-1.0, -0.125, 0.125, 1.0]),
    st.floats(0.01, 0.5),
    st.floats(1e-9, 1.0),
)
def test_no_path_of_utilisation_leads_where_a_value_stays_for_ever(
    path: list[float], step: float, target: float, first: float
) -> None:
    """Whatever came before, the value moves up again as soon as utilisation asks for it."""
    value, moves = first, rule(step=step, target=target)
    for utilisation in path:
        value, _ = stepped(value, utilisation, moves, first)
        assert value >= first / 1000.0
    up = 1.0 if step > 0.0 else 0.0
    assert value == 10.0 or stepped(value, up, moves, first)[0] > value


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(0.0, 5.0), max_size=50), st.floats(-1.0, 1.0), st.floats(0.01, 1.0))
def test_a_value_never_leaves_its_bounds(path: list[float], step: float, target: float) -> None:
    value = 1.0
    for utilisation in path:
        moves = rule(step=step, target=target, minimum=0.2, maximum=3.0)
        value, _ = stepped(value, utilisation, moves)
        assert 0.2 <= value <= 3.0


def test_an_even_mix_of_users_changes_nothing_and_the_mix_moves_in_a_line() -> None:
    assert preferred(Preference(start=0.5, end=0.5), 0.3) == (1.0, 1.0)
    both = [preferred(Preference(start=0.0, end=1.0), p) for p in (0.0, 0.5, 1.0)]
    assert both == [(0.0, 2.0), (1.0, 1.0), (2.0, 0.0)]


def test_controllers_and_preference_go_together() -> None:
    settings_ = EconomySettings(
        epochs=3,
        controllers=(Controller(move="alpha_inference", target=0.5, step=0.5),),
        preference=Preference(start=0.5, end=1.0),
    )
    values = Coefficients(settings_, FIRST)
    values.follow(1.0)
    assert values.now(2)["alpha_inference"] == 1.5 * 2.0
    assert values.now(2)["beta_inference"] == 0.0
    assert values.held == 0


def test_the_highest_that_a_coefficient_can_become() -> None:
    settings_ = EconomySettings(
        controllers=(Controller(move="alpha_inference", maximum=4.0),),
        preference=Preference(start=0.75, end=0.25),
    )
    values = Coefficients(settings_, FIRST)
    assert values.highest("alpha_inference") == 4.0 * 1.5
    assert values.highest("beta_inference") == 0.5 * 1.5
    assert values.highest("alpha_evaluator") == 1.0


def test_an_epoch_is_recorded_with_the_coefficients_that_it_was_played_with() -> None:
    """Nobody works in a tenth of the time, so alpha falls by an eighth from the second epoch on."""
    economy = played(
        {
            "epochs": 3,
            "epoch_hours": 80_000.0,
            "payment": {"fee": 1.0},
            "controllers": [{"move": "alpha_inference"}, {"move": "fee"}],
        },
        rounds=99,
    )
    expected = 0.875 ** np.arange(3)
    np.testing.assert_allclose(network(economy, "alpha_inference"), expected, rtol=1e-4)
    np.testing.assert_allclose(network(economy, "price"), expected, rtol=1e-4)
    assert network(economy, "beta_inference").tolist() == [0.3, 0.3, 0.3]


def test_rewards_follow_the_preference_of_users() -> None:
    economy = played({"epochs": 3, "preference": {"start": 0.5, "end": 0.0}}, rounds=99)
    assert network(economy, "alpha_inference").tolist() == [1.0, 0.5, 0.0]
    assert network(economy, "beta_inference").tolist() == [0.3, 0.3 * 1.5, 0.6]


def test_a_controller_that_diverges_is_bounded_and_reported() -> None:
    economy = played(
        {
            "epochs": 40,
            "epoch_hours": 0.01,  # overloaded throughout
            "controllers": [{"move": "beta_inference", "step": 1.0, "maximum": 7.0}],
        },
        rounds=4000,
    )
    beta = network(economy, "beta_inference")
    assert beta.max() == beta[-1] == 7.0
    assert network(economy, "bounded")[-30:].tolist() == [1.0] * 30
    assert network(economy, "bounded")[0] == 0.0


def test_where_coefficients_vanish_the_run_still_ends() -> None:
    economy = played(
        {"epochs": 2, "preference": {"start": 0.0, "end": 0.0}},
        rounds=40,
        mechanism__beta_inference=0.0,
    )
    assert np.isfinite(economy.memory.histograms.scales).all()


def test_a_fee_that_nobody_pays_does_not_fall_to_nothing() -> None:
    """Utilisation above target doubles the fee, nobody comes, and the fee falls to its bound."""
    economy = played(
        {
            "epochs": 6,
            "demand": {"arrivals": "poisson", "elasticity": 10.0},
            "payment": {"fee": 1.0},
            "controllers": [{"move": "fee", "target": 0.001, "step": 1.0, "maximum": 1e6}],
        },
        rounds=300,
    )
    price, held = network(economy, "price"), network(economy, "bounded")
    assert price[:3].tolist() == [1.0, 2.0, 0.001]
    assert held[:3].tolist() == [0.0, 1.0, 0.0]
    assert price.min() > 0.0
    np.testing.assert_allclose(price[3:], [0.002, 0.004, 0.008])
    assert (network(economy, "queries")[2:] > 0.99 * 50_000 - 5 * 224).all()
