"""What running a node costs in money: by machine, by region, busy or idle.

    job = watts x seconds x USD/kWh / 3.6e6 + hourly x seconds / 3600 + bytes x USD/byte
    epoch = (watts x busy + idle watts x idle) x USD/kWh / 3.6e6 + hourly x hours + bytes x USD/byte

in USD; hourly is the rent of a machine, or its price over the hours of its life. Who buys its
answers from somebody else pays for them and for nothing else:

    job = USD/answer, epoch = answers x USD/answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.profile.hardware import Hardware, hardware, region

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario
    from poq_abm.scenario.schema.economy import Cost
    from poq_abm.simulation.game import Game

__all__ = ["Prices", "ResourceUse", "hourly_usd"]

Array = NDArray[np.float64]

_HOURS_PER_YEAR = 8766.0  # of 365.25 days
_JOULES_PER_KWH = 3.6e6
_BYTES_PER_GIGABYTE = 1e9


def hourly_usd(machine: Hardware, cost: Cost) -> float:
    """Return what an hour with a machine costs in USD, before energy: its rent or its capital.

    Bought, the price is written off straight over its life, whether it works or not. What nobody
    rents out is taken as bought.
    """
    if cost.ownership == "rent" and machine.rental_usd_per_hour is not None:
        return machine.rental_usd_per_hour
    return machine.purchase_usd / (machine.life_years * _HOURS_PER_YEAR)


class ResourceUse(NamedTuple):
    """What N nodes use in an epoch; arrays of shape (N,)."""

    machine: NDArray[np.int64]
    busy_s: Array  #: seconds of work taken on, of one place
    worked_s: Array  #: seconds of work done in the epoch, of one place
    jobs: Array
    bought: Array  #: USD for the answers of a job; NaN for who runs a model itself
    hours: float  #: length of the epoch
    operator: NDArray[np.int64]  #: whose machine it is
    #: machines behind each identity: 1, a part where several share one, 0 for who is not there
    held: Array


class Prices:
    """The prices that N nodes face, in USD; all zero unless costs are money.

    A machine draws full power while all its places work and idle power while none does; in between
    in proportion, so that a second of a place costs its part of a second of the machine.

    Attributes
    ----------
    bought
        What an answer is bought for, in USD, shape (N,); NaN for who runs a model itself.
    """

    def __init__(self, scenario: Scenario, game: Game, machines: list[str]) -> None:
        economy = scenario.economy
        self.in_money = economy is not None and economy.cost.basis == "money"
        prices = [group.usd_per_answer for group in game.population.groups]
        self.bought: Array = np.array(prices, dtype=np.float64)[game.population.group]
        if economy is None or not self.in_money:
            return
        cost = economy.cost
        known = [hardware(name) for name in machines]
        watts = np.array([machine.power_w for machine in known])
        self._hourly = np.array([hourly_usd(machine, cost) for machine in known])
        self._watts, self._idle_watts = watts, cost.idle_share * watts
        self._bandwidth = cost.bytes_per_job / _BYTES_PER_GIGABYTE * cost.usd_per_gigabyte
        of_group = [_usd_per_kwh(scenario, group.region) for group in game.population.groups]
        places = np.where(
            np.arange(game.population.size) < game.population.inference_count,
            economy.service.capacity,
            1,
        )
        self._places = places.astype(np.float64)
        joule = [1.0 / _JOULES_PER_KWH * price for price in of_group]
        self._usd_per_joule = np.array(joule)[game.population.group]

    def per_job(self, machine: NDArray[np.int64], service_s: Array) -> Array:
        """Return what a job costs each node: energy, the machine for its time, bandwidth."""
        if not self.in_money:
            return np.zeros(machine.size)
        total = self._job(machine, service_s / self._places, self._usd_per_joule)
        return np.where(np.isnan(self.bought), total, self.bought)

    def job_on(self, node: int, machine: int, service_s: float) -> float:
        """Return what a job of one node would cost on another machine."""
        if not np.isnan(self.bought[node]):
            return float(self.bought[node])
        seconds = service_s / self._places[node]
        return float(self._job(machine, seconds, self._usd_per_joule[node]))

    def per_epoch(self, use: ResourceUse) -> Array:
        """Return what an epoch costs each node: energy, the machine for all of it, bandwidth.

        All work taken on is billed, in the epoch that pays for it, also what is done later; a
        machine is idle while it does no work, whenever that was taken on.
        """
        if not self.in_money:
            return np.zeros(use.machine.size)
        shared = np.bincount(use.operator, use.worked_s / self._places, use.operator.size)
        seconds = 3600.0 * use.hours
        idle = use.held * np.maximum(seconds - shared[use.operator], 0.0)
        busy = use.busy_s / self._places
        total = self._epoch(
            use.machine, busy, idle, use.jobs, use.hours * use.held, self._usd_per_joule
        )
        return np.where(np.isnan(use.bought), total, use.bought * use.jobs)

    def epoch_on(self, node: int, machine: int, busy_s: float, jobs: float, hours: float) -> float:
        """Return what an epoch of one node would cost on another machine; 0 unless in money."""
        if not self.in_money:
            return 0.0
        busy = busy_s / self._places[node]
        idle = max(3600.0 * hours - busy, 0.0)
        joule = self._usd_per_joule[node]
        return float(self._epoch(machine, busy, idle, jobs, hours, joule))

    def _job(self, machine: Any, seconds: Any, joule: Any) -> Any:
        """Price a job, of one node or of all."""
        energy = self._watts[machine] * seconds * joule
        return energy + self._hourly[machine] * seconds / 3600.0 + self._bandwidth

    def _epoch(
        self, machine: Any, busy_s: Any, idle_s: Any, jobs: Any, hours: Any, joule: Any
    ) -> Any:
        """Price an epoch, of one node or of all."""
        joules = self._watts[machine] * busy_s + self._idle_watts[machine] * idle_s
        return joules * joule + self._hourly[machine] * hours + jobs * self._bandwidth


def _usd_per_kwh(scenario: Scenario, name: str | None) -> float:
    economy = scenario.economy
    if economy is None:
        return 0.0
    if name is None:
        return economy.cost.usd_per_mwh / 1000.0
    if name in economy.regions:
        return economy.regions[name] / 1000.0
    return region(name).usd_per_kwh
