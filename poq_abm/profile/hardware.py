"""The hardware catalogue: what a machine holds, how fast it is, and what it and its power cost.

Memory, bandwidth, arithmetic and power are vendors' specifications (published; inferred for the
two entries that no vendor states in these units). Rental prices are typical of marketplaces in 2024
and 2025 (inferred from the ranges asked). Purchase prices and lives are assumed. Electricity prices
of the regions are means of wholesale prices over one year.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Hardware", "Region", "catalogue", "hardware", "region", "regions"]

_TABLE = Path(__file__).parent / "data" / "hardware.csv"


@dataclass(frozen=True)
class Hardware:
    """One machine that a node can run on; GB are 10**9 bytes.

    >>> hardware("rtx_4090").memory_gb
    24.0
    """

    key: str
    name: str
    kind: str
    memory_gb: float  #: memory that weights and caches share
    bandwidth_gb_s: float  #: peak memory bandwidth, GB per second
    tflops: float  #: peak dense arithmetic in 16 bits, 10**12 operations per second
    power_w: float  #: rated power in watts: an upper bound on what a job draws
    rental_usd_per_hour: float | None  #: typical rental; ``None`` where nobody rents it out
    purchase_usd: float  #: price of buying it; assumed
    life_years: float  #: years over which the price is spread; assumed
    specification: str  #: published or inferred: memory, bandwidth, arithmetic and power
    rental: str  #: inferred, or empty without a rental price
    purchase: str  #: assumed: purchase price and life


@cache
def catalogue() -> Mapping[str, Hardware]:
    """Return every machine of the catalogue by its key, in the order of the table.

    >>> len(catalogue())
    12
    """
    with _TABLE.open(encoding="utf-8", newline="") as file:
        machines = [_machine(row) for row in csv.DictReader(file)]
    return MappingProxyType({machine.key: machine for machine in machines})


def hardware(name: str) -> Hardware:
    """Return the machine called ``name``.

    Raises :class:`~poq_abm.errors.InputError` with the nearest name.

    >>> hardware("h100_sxm").bandwidth_gb_s
    3350.0
    """
    machine = catalogue().get(name)
    if machine is None:
        raise InputError(f"the hardware catalogue has no {name!r}; {nearest(name, catalogue())}")
    return machine


def _machine(row: dict[str, str]) -> Hardware:
    return Hardware(
        key=row["key"],
        name=row["name"],
        kind=row["kind"],
        memory_gb=float(row["memory_gb"]),
        bandwidth_gb_s=float(row["bandwidth_gb_s"]),
        tflops=float(row["tflops"]),
        power_w=float(row["power_w"]),
        rental_usd_per_hour=float(rent) if (rent := row["rental_usd_per_hour"]) else None,
        purchase_usd=float(row["purchase_usd"]),
        life_years=float(row["life_years"]),
        specification=row["specification"],
        rental=row["rental"],
        purchase=row["purchase"],
    )


_PRICES = Path(__file__).parent / "data" / "electricity.csv"


@dataclass(frozen=True)
class Region:
    """A region with its mean wholesale price: published by the grid's operator, without retail.

    >>> round(region("germany").usd_per_kwh, 5)
    0.08458
    """

    key: str
    name: str
    code: str  #: code of the bidding zone or grid
    usd_per_mwh: float  #: mean over the hours of the year
    year: int

    @property
    def usd_per_kwh(self) -> float:
        """The same price in USD per kilowatt-hour."""
        return self.usd_per_mwh / 1000.0


@cache
def regions() -> Mapping[str, Region]:
    """Return every region by its key, from the cheapest to the dearest.

    >>> list(regions())[0], list(regions())[-1]
    ('sao_paulo', 'new_south_wales')
    """
    with _PRICES.open(encoding="utf-8", newline="") as file:
        rows = [
            Region(
                row["key"], row["name"], row["code"], float(row["usd_per_mwh"]), int(row["year"])
            )
            for row in csv.DictReader(file)
        ]
    return MappingProxyType({row.key: row for row in rows})


def region(name: str) -> Region:
    """Return the region called ``name``.

    Raises :class:`~poq_abm.errors.InputError` with the nearest name.

    >>> region("texas").usd_per_mwh
    28.08
    """
    found = regions().get(name)
    if found is None:
        raise InputError(f"no electricity price of region {name!r}; {nearest(name, regions())}")
    return found
