from __future__ import annotations

from collections import Counter

from poq_abm.scenario.schema.key_reference import Key, keys_below, markdown
from poq_abm.scenario.schema.settings import Settings

KEYS = {key.path: key for key in keys_below(Settings)}


def test_every_key_is_told_once() -> None:
    counts = Counter(key.path for key in keys_below(Settings))
    assert max(counts.values()) == 1


def test_sections_and_lists_are_entered() -> None:
    assert {"mechanism.trust.rate", "population.inference.*.model", "economy.stake.bond",
            "economy.controllers.*.move"} <= KEYS.keys()  # fmt: skip


def test_ranges_defaults_and_kinds_are_those_of_the_schema() -> None:
    assert KEYS["mechanism.committee_size"].takes.startswith("whole number, at least 1")
    assert KEYS["mechanism.beta_inference"].default == "0.3"
    assert KEYS["economy.payment.scheme"].takes == "`per_round`, `pool`"
    assert KEYS["population.inference"].default == "required"
    assert KEYS["economy.audits.forfeit"].default == "`true`"


def test_every_key_says_what_it_means() -> None:
    assert [path for path, key in KEYS.items() if not key.meaning] == []


def test_a_table_escapes_what_would_end_a_cell() -> None:
    table = markdown(iter([Key("a", "x | y", "1", "either")]))
    assert table.splitlines()[-1] == "| `a` | x / y | 1 | either |"
