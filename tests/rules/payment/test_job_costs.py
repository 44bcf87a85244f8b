from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.compilation import compiled_loop
from poq_abm.errors import InputError
from poq_abm.rules.payment.job_costs import (
    HOURS_PER_YEAR,
    Tariff,
    bandwidth_cost,
    capital_rate,
    critical_audit_rate,
    energy_cost,
    idle_cost,
    job_cost,
    misreport_profit,
    rental_cost,
)

property_test = settings(deadline=None, derandomize=True, max_examples=200)
amounts = st.floats(0.0, 1e6)
shares = st.floats(1e-3, 1.0)


def test_every_part_by_hand() -> None:
    assert energy_cost(1000.0, 3600.0, 0.25) == 0.25  # one kilowatt-hour
    assert rental_cost(900.0, 2.0) == 0.5
    assert bandwidth_cost(2000.0, 0.5e-3) == 1.0
    assert job_cost(3600.0, 2000.0, 1000.0, 0.25, 2.0, 0.5e-3) == 3.25
    assert idle_cost(100.0, 0.25, 2.0) == 2.025


@property_test
@given(amounts, st.floats(0.1, 20.0), shares)
def test_busy_hours_repay_the_price_over_the_life(price: float, life: float, used: float) -> None:
    busy = life * HOURS_PER_YEAR * used
    assert capital_rate(price, life, used) * busy == pytest.approx(price)


@property_test
@given(*[amounts] * 6)
def test_a_job_costs_what_its_two_halves_cost(s, t, watts, kwh, hour, token) -> None:
    half = job_cost(s / 2, t / 2, watts, kwh, hour, token)
    assert job_cost(s, t, watts, kwh, hour, token) == pytest.approx(2 * half)


def test_rent_runs_on_while_waiting_and_capital_does_not() -> None:
    rented = Tariff(watts=400.0, idle_watts=40.0, usd_per_kwh=0.1, rent_usd_per_hour=0.5)
    bought = Tariff(watts=400.0, idle_watts=40.0, usd_per_kwh=0.1, capital_usd_per_hour=0.5)
    assert rented.per_job(3600.0) == bought.per_job(3600.0) == pytest.approx(0.54)
    assert rented.per_idle_hour() == pytest.approx(0.504)
    assert bought.per_idle_hour() == pytest.approx(0.004)


def test_a_tariff_is_linear_in_latency_and_tokens() -> None:
    tariff = Tariff(300.0, 30.0, 0.2, 0.4, 0.1, 1e-6)
    expected = 7.0 * tariff.usd_per_busy_second + 500 * 1e-6
    assert tariff.per_job(7.0, 500) == pytest.approx(expected)
    assert Tariff().per_job(1e6, 1e6) == 0.0


@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf])
@pytest.mark.parametrize("name", ["watts", "usd_per_kwh", "rent_usd_per_hour", "usd_per_token"])
def test_a_price_below_zero_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 0 and finite, got"):
        Tariff(**{name: value})


@property_test
@given(st.floats(0.01, 1e3), st.floats(0.0, 1e3), st.floats(0.01, 1e3))
def test_misreporting_pays_exactly_below_the_critical_rate(gain, slash, forfeited) -> None:
    rate = critical_audit_rate(gain, slash, forfeited)
    scale = gain + slash + forfeited
    assert misreport_profit(gain, rate, slash, forfeited) == pytest.approx(0.0, abs=1e-12 * scale)
    assert misreport_profit(gain, 0.9 * rate, slash, forfeited) > 0.0
    assert misreport_profit(gain, 1.1 * rate, slash, forfeited) < 0.0


def test_no_audit_deters_who_has_nothing_to_lose_and_none_is_needed_without_a_gain() -> None:
    assert critical_audit_rate(1.0, 0.0, 0.0) == math.inf
    assert critical_audit_rate(0.0, 0.0, 0.0) == 0.0


def test_loops_can_call_the_parts() -> None:
    @compiled_loop
    def total(seconds: float, jobs: int) -> float:
        result = 0.0
        for _ in range(jobs):
            result += job_cost(seconds, 100.0, 450.0, 0.1, 0.5, 1e-6)
        return result

    once = job_cost(2.0, 100.0, 450.0, 0.1, 0.5, 1e-6)
    assert total(2.0, 3) == once + once + once
