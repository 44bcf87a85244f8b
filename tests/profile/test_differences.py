"""What differs between two profiles."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from profile_support import write_parts

from poq_abm.profile import Profile, load_profile, read_profile
from poq_abm.profile.differences import differences

Parts = dict[str, Any]


@pytest.fixture
def compared(parts: Parts, tmp_path: Path) -> Callable[[Callable[[Parts], object]], dict[str, Any]]:
    def compare(change: Callable[[Parts], object]) -> dict[str, Any]:
        changed = deepcopy(parts)
        change(changed)
        first = read_profile(write_parts(tmp_path / "first", **parts))
        second = read_profile(write_parts(tmp_path / "second", **changed))
        found = differences(first, second)
        turned = differences(second, first)
        assert {(d.what, d.second, d.first) for d in turned} == {tuple(d) for d in found}
        return {d.what: (d.first, d.second) for d in found if d.what != "content hash"}

    return compare


def published() -> Profile:
    return load_profile("published")


def test_a_profile_does_not_differ_from_itself() -> None:
    assert differences(published(), published()) == []


def test_a_name(compared) -> None:
    assert compared(lambda p: p.update(name="other")) == {"name": ("tiny", "other")}


def test_one_score(compared) -> None:
    found = compared(lambda p: p["scores_table"].__setitem__("bi", p["scores_table"]["bi"] + 0.5))
    assert found == {
        "mean score of bi": ("2.75", "3.25"),
        "scores of shared records that differ": ("6 of 12", "6 of 12"),
    }


def test_a_judgement_more(compared) -> None:
    found = compared(lambda p: p.update(scores_table=p["scores_table"].fillna({"judge": 3.0})))
    assert found["judge of shared records that differ"] == ("1 of 6", "1 of 6")


def test_costs(compared) -> None:
    def change(parts: Parts) -> None:
        parts["costs_table"].loc[1, "latency_ms"] = 33.0
        parts["costs_table"] = parts["costs_table"].drop(index=2)

    assert compared(change) == {
        "latency_ms of large on gpu_a": ("30", "33"),
        "costs of large on gpu_b": ("measured", "-"),
    }


def test_records_and_a_task(compared) -> None:
    def change(parts: Parts) -> None:
        table = parts["scores_table"]
        parts["scores_table"] = table[table["record"] == "q0"]
        parts["tasks"] = ["qa"]

    found = compared(change)
    assert found["tasks of one only"] == ("news", "-")
    assert found["records of qa"] == ("2 (1 shared)", "1 (1 shared)")
    assert found["mean judge of small"] == ("5", "3")
    assert not any("that differ" in what for what in found)


def test_order_counts(compared) -> None:
    found = compared(lambda p: p.update(evaluators=["cross", "bi"]))
    assert found == {"order of evaluators": ("bi, cross", "cross, bi")}


def test_provenance_is_compared_as_a_whole(compared) -> None:
    found = compared(lambda p: p.update(provenance={"summary": "Nothing."}))
    assert found == {"provenance": ("-", "Nothing.")}
