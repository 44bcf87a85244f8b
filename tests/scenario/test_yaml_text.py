from __future__ import annotations

import math

import pytest

from poq_abm.scenario.yaml_text import resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("", None), ("NULL", None),
        ("true", True), ("False", False),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("tRue", "tRue"),
        ("0", 0), ("-3", -3), ("+7", 7), ("010", 10), ("0o17", 15), ("0xFf", 255),
        ("1e-3", 1e-3), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-.5e1", -5.0), ("1e999",
        math.inf), (".inf", math.inf), ("-.INF", -math.inf),
        ("1_000", "1_000"), ("1:30", "1:30"), ("2020-01-01", "2020-01-01"), ("0b1", "0b1"),
        ("nan", "nan"), ("inf", "inf"), ("-", "-"), (".", "."), ("1e", "1e"), ("٣", "٣"), ("<<",
        "<<"),
    ],
)  # fmt: skip
def test_core_schema(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(float(resolve(".nan") or 0))


@pytest.mark.parametrize("text", ["9" * 101, "0x" + "f" * 99, "0." + "1" * 99])
def test_long_numbers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number of 101 characters; at most 100 are read"):
        resolve(text)
