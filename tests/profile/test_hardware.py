from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from poq_abm.errors import InputError
from poq_abm.profile.hardware import Hardware, catalogue, hardware, region, regions

ROWS = list(catalogue().values())


@pytest.mark.parametrize("machine", ROWS, ids=list(catalogue()))
def test_every_machine_is_complete_and_says_where_its_figures_come_from(machine: Hardware) -> None:
    numbers = (getattr(machine, f.name) for f in fields(machine) if f.type == "float")
    assert all(number > 0 for number in numbers)
    assert machine.specification in ("published", "inferred")
    assert machine.rental == ("inferred" if machine.rental_usd_per_hour else "")
    assert machine.purchase == "assumed"


def test_the_card_of_the_published_study() -> None:
    card = hardware("rtx_4090")
    assert (card.memory_gb, card.bandwidth_gb_s, card.power_w) == (24.0, 1008.0, 450.0)


def test_what_nobody_rents_out_has_no_rental_price() -> None:
    free = [machine.key for machine in ROWS if machine.rental_usd_per_hour is None]
    assert free == ["m2_ultra"]


def test_an_unknown_machine_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'rtx_4090'"):
        hardware("rtx4090")


def test_regions_run_from_the_cheapest_to_the_dearest() -> None:
    prices = [found.usd_per_mwh for found in regions().values()]
    assert prices == sorted(prices)
    assert (prices[0], prices[-1]) == (22.41, 131.13)
    assert len({found.code for found in regions().values()}) == len(prices)


def test_an_unknown_region_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'germany'"):
        region("germny")


def test_the_page_on_hardware_holds_every_machine_and_price_and_its_example_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "hardware.md").read_text()
    for row in ROWS:
        assert f"| `{row.key}` | {row.memory_gb:g} | {row.bandwidth_gb_s:,.0f} |" in text
    assert all(f"`{key}` {found.usd_per_mwh:.2f}" in text for key, found in regions().items())
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, float] = {}
    exec(example, names)
    # 450 W at 0.08458 USD/kWh and 1,800 USD over the 35,064 hours of 4 years, for 1.0777 s
    assert names["cents"] == pytest.approx(100 * 1.0777 / 3600 * (0.45 * 0.08458 + 1800 / 35064))
