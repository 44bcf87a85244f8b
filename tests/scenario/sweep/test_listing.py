from __future__ import annotations

import pytest
from scenario_support import POPULATION, error, errors, small

LISTED = """\
sweep:
  list:
    - {rounds: 5, schedule: uniform}
    - {schedule: weighted, rounds: 9}
"""


def ids(text: str) -> list[str]:
    return [treatment.id for treatment in small(text).treatments()]


def test_a_list_is_a_zip_written_by_rows() -> None:
    zipped = "sweep:\n  zip: {rounds: [5, 9], schedule: [uniform, weighted]}\n"
    listed, same = small(LISTED).treatments(), small(zipped).treatments()
    assert [(t.id, t.settings) for t in listed] == [(t.id, t.settings) for t in same]
    assert [t.scenario.rounds for t in listed] == [5, 9]


def test_a_list_is_crossed_with_other_axes() -> None:
    assert ids(LISTED + "  mechanism.committee_size: [1, 2]\n")[:3] == [
        "rounds=5,schedule=uniform,committee_size=1",
        "rounds=5,schedule=uniform,committee_size=2",
        "rounds=9,schedule=weighted,committee_size=1",
    ]


def test_entries_may_have_ids() -> None:
    text = "sweep:\n  list:\n  - {id: few, rounds: 5}\n  - {id: many, rounds: 9}\n"
    assert ids(text) == ["few", "many"]
    assert ids(text + "  mechanism.committee_size: [2]\n")[1] == "many,committee_size=2"
    assert small(text).treatments()[1].settings == {"rounds": 9}


def test_mistakes_have_the_line_of_their_entry() -> None:
    wrong = LISTED.replace("rounds: 9", "rounds: 0") + "    - {rounds: x, schedule: uniform}\n"
    assert sorted(errors(POPULATION + wrong)) == [
        "bad.yaml:11: rounds: must be at least 1, got 0",
        "bad.yaml:12: rounds: must be a whole number, got 'x'",
    ]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("[]", "sweep.list: must list at least one treatment, got []"),
        ("{rounds: [1]}", "sweep.list: must list at least one treatment, got {'rounds': [1]}"),
        ("[3]", "sweep.list.0: a treatment is a mapping of paths to values, got 3"),
        ("[{}]", "sweep.list.0: sets nothing: a treatment maps paths to values"),
        ("[{id: x}]", "sweep.list.0: sets nothing: a treatment maps paths to values"),
        ("[{ronds: 1}]", "sweep.list.0.ronds: no such field: unknown key; did you mean 'rounds'?"),
        ("[{seed: 1}]", "sweep.list.0.seed: seed cannot be swept: "),
        ("[{rounds: 1}, {rounds: 2, schedule: uniform}]", "sweep.list.1.schedule: the first entry "
         "does not set this, and all entries set the same paths; known: 'rounds'"),
        ("[{rounds: 1, schedule: uniform}, {rounds: 2}]", "sweep.list.1: schedule is not set, but "
         "the first entry sets it"),
        ("[{rounds: 1}, {rounds: 2}, {rounds: 1}]", "sweep.list.2: the same treatment as entry 1"),
        ("[{rounds: 1, id: a}, {rounds: 2}]", "sweep.list.1: has no id, but another entry has one"),
        ("[{rounds: 1, id: a}, {rounds: 2, id: a}]", "sweep.list.1.id: a stands here twice"),
        ("[{rounds: 1, id: 'a,b'}]", "sweep.list.0.id: must be letters, digits or '_.+-', got "
         "'a,b'"),
        ("[{rounds: 1, id: 3}]", "sweep.list.0.id: must be letters, digits or '_.+-', got 3"),
    ],
)  # fmt: skip
def test_mistakes(entries: str, said: str) -> None:
    assert error(f"sweep:\n  list: {entries}").startswith(f"bad.yaml:9: {said}")


def test_listed_fields_cannot_be_silently_overridden() -> None:
    line = error(LISTED, ["rounds=3"])
    assert line.startswith("--set rounds=3: rounds: this is an axis of the sweep")
    assert "set sweep.list=[...]" in line
    assert ids_of(["sweep.list=[{rounds: 7}]"]) == ["rounds=7"]


def ids_of(overrides: list[str]) -> list[str]:
    return [treatment.id for treatment in small(LISTED, overrides).treatments()]
