"""What a job costs its node in money: energy, capital or rent, and bandwidth.

    cost = watts x seconds x USD/kWh / 3.6e6 + seconds x USD/hour / 3600 + tokens x USD/token

All amounts are in USD. The parts are compiled scalars, for agents and compiled loops alike;
:class:`Tariff` holds the prices of one node.
"""

from __future__ import annotations

from dataclasses import dataclass

from poq_abm.compilation import compiled
from poq_abm.errors import InputError

__all__ = [
    "HOURS_PER_YEAR",
    "Tariff",
    "bandwidth_cost",
    "capital_rate",
    "critical_audit_rate",
    "energy_cost",
    "idle_cost",
    "job_cost",
    "misreport_profit",
    "rental_cost",
]

HOURS_PER_YEAR = 8766.0  #: of 365.25 days


@compiled
def energy_cost(watts: float, seconds: float, usd_per_kwh: float) -> float:
    """Return the price in USD of drawing ``watts`` for ``seconds``.

    A kilowatt-hour is 3.6e6 joules.

    >>> energy_cost(500.0, 3600.0, 0.10)
    0.05
    """
    return watts * seconds / 3.6e6 * usd_per_kwh


@compiled
def rental_cost(seconds: float, usd_per_hour: float) -> float:
    """Return the rent in USD of ``seconds`` at ``usd_per_hour``.

    >>> rental_cost(1800.0, 0.5)
    0.25
    """
    return seconds * usd_per_hour / 3600.0


@compiled
def capital_rate(purchase_usd: float, life_years: float, utilisation: float) -> float:
    """Return the capital of one busy hour in USD: price / (hours of life x utilisation).

    Straight-line, without interest or resale value; ``utilisation`` in (0, 1] is the share of its
    life that the machine works, so that the busy hours together repay the price.

    >>> capital_rate(1753.2, 4.0, 0.5)
    0.1
    """
    return purchase_usd / (life_years * HOURS_PER_YEAR * utilisation)


@compiled
def bandwidth_cost(tokens: float, usd_per_token: float) -> float:
    """Return the price in USD of moving ``tokens`` over the network.

    >>> bandwidth_cost(1000.0, 1e-6)
    0.001
    """
    return tokens * usd_per_token


@compiled
def job_cost(
    seconds: float,
    tokens: float,
    watts: float,
    usd_per_kwh: float,
    usd_per_hour: float,
    usd_per_token: float,
) -> float:
    """Return what one job costs in USD: energy, rent or capital, and bandwidth.

    >>> round(job_cost(3600.0, 1000.0, 450.0, 0.10, 0.5, 1e-6), 6)
    0.546
    """
    return (
        energy_cost(watts, seconds, usd_per_kwh)
        + rental_cost(seconds, usd_per_hour)
        + bandwidth_cost(tokens, usd_per_token)
    )


@compiled
def idle_cost(idle_watts: float, usd_per_kwh: float, usd_per_hour: float) -> float:
    """Return what an hour of waiting costs in USD: idle energy, and rent that runs on.

    Capital that :func:`capital_rate` spreads over busy hours is not paid again: pass a rate of 0.

    >>> idle_cost(45.0, 0.10, 0.5)
    0.5045
    """
    return energy_cost(idle_watts, 3600.0, usd_per_kwh) + usd_per_hour


@compiled
def misreport_profit(gain: float, audit_rate: float, slash: float, forfeited: float) -> float:
    """Return the expected profit of misreporting a cost once: G - p (S + F).

    G is what the false report earns beyond the truth, p the chance of an audit, S the stake and F
    the pay that an audited misreport loses, in one currency. What was reported cannot be changed
    after an audit is drawn: that is what the commitment is for.

    >>> misreport_profit(1.0, 0.1, 8.0, 2.0)
    0.0
    """
    return gain - audit_rate * (slash + forfeited)


def critical_audit_rate(gain: float, slash: float, forfeited: float) -> float:
    """Return the audit rate from which misreporting no longer pays: G / (S + F).

    A rate above 1 cannot be played: no audit deters that gain. Infinite with nothing to lose, and 0
    without a gain.

    >>> critical_audit_rate(1.0, 8.0, 2.0)
    0.1
    """
    if gain <= 0.0:
        return 0.0
    lost = slash + forfeited
    return gain / lost if lost > 0.0 else float("inf")


@dataclass(frozen=True)
class Tariff:
    """The prices one node faces; what is not given costs nothing.

    Raises :class:`~poq_abm.errors.InputError` for a price or a power below zero or not finite.

    >>> card = Tariff(watts=450.0, idle_watts=45.0, usd_per_kwh=0.10, rent_usd_per_hour=0.5)
    >>> round(card.per_job(3600.0), 4), round(card.per_idle_hour(), 4)
    (0.545, 0.5045)
    """

    watts: float = 0.0  #: drawn while working
    idle_watts: float = 0.0  #: drawn while waiting
    usd_per_kwh: float = 0.0
    rent_usd_per_hour: float = 0.0  #: paid for every hour, busy or not
    capital_usd_per_hour: float = 0.0  #: paid for busy hours, see :func:`capital_rate`
    usd_per_token: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 <= value < float("inf"):
                raise InputError(f"{name} must be at least 0 and finite, got {value!r}")

    @property
    def usd_per_busy_second(self) -> float:
        """What a second of work costs in USD, so that a job is linear in its latency."""
        return self.per_job(1.0)

    def per_job(self, seconds: float, tokens: float = 0.0) -> float:
        """Return what a job of ``seconds`` and ``tokens`` costs in USD, see :func:`job_cost`."""
        hourly = self.rent_usd_per_hour + self.capital_usd_per_hour
        return job_cost(seconds, tokens, self.watts, self.usd_per_kwh, hourly, self.usd_per_token)

    def per_idle_hour(self) -> float:
        """Return what an hour of waiting costs in USD, see :func:`idle_cost`."""
        return idle_cost(self.idle_watts, self.usd_per_kwh, self.rent_usd_per_hour)
