"""What electricity costs by region: mean wholesale prices of one year."""

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

__all__ = ["Region", "region", "regions"]

_TABLE = Path(__file__).parent / "data" / "electricity.csv"


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
    with _TABLE.open(encoding="utf-8", newline="") as file:
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
