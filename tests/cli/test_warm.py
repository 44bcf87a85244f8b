"""``poq warm``: code compiled before anybody waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from poq_abm.cli import warm
from tests.conftest import Poq


def test_it_plays_the_scenarios_in_processes_and_says_where_the_code_is(
    poq: Poq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "_names", lambda: ["cost_aware_poq"])
    monkeypatch.setenv("NUMBA_CACHE_DIR", "unset when the test is over")
    outcome = poq("warm", "--jobs", 1, "--out", "code")
    assert outcome.code == 0, outcome.err
    assert "1 scenario is kept in code" in outcome.out
    assert list((tmp_path / "code").rglob("*play_replications_in_stages*.nbi"))
    assert list((tmp_path / "code").rglob("*play_rounds*.nbi")), "of traces, too"


def test_every_scenario_that_ships_is_played_the_kinds_of_game_first() -> None:
    names = warm._names()
    assert len(names) == len(set(names)) > len(warm._FIRST)
    assert set(warm._FIRST) <= set(names)


def test_a_folder_that_cannot_be_made_is_refused(poq: Poq, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = poq("warm", "--out", "file/code")
    assert (outcome.code, outcome.out) == (2, "")
    assert "cannot make the folder 'file/code'" in outcome.err
