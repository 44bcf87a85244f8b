from __future__ import annotations

import json

import pytest

from benchmarks.economy import main, play, scenario_with


def test_the_loops_are_a_part_of_the_run() -> None:
    wall, loops = play(scenario_with(40, 2))
    assert 0.0 < loops < wall


def test_json_says_what_was_measured_and_what_was_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--quick", "--repeats", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["goal"] for row in document["measurements"]] == [5.0, 0.05]
    assert all(row["value"] > 0.0 for row in document["measurements"])
