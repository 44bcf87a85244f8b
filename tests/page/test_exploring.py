from __future__ import annotations

from pathlib import Path

import pytest

from poq_abm.errors import InputError
from poq_abm.page.exploring import Exploration, free_name, save_scenario
from poq_abm.scenario import load


def test_what_is_saved_is_the_scenario_that_was_seen(
    exploration: Exploration, tmp_path: Path
) -> None:
    state = exploration.start.moved("rule", "median").moved("share", 0.4).moved("alpha_F", 1.37)
    seen = exploration.scenario(state)
    path = save_scenario(seen, tmp_path, "mine.yaml")
    assert path == tmp_path / "mine.yaml"
    assert load(path) == seen.replace({"name": "mine"})
    assert load(path).question == seen.question


def test_a_file_is_never_overwritten(exploration: Exploration, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("precious")
    assert free_name(tmp_path, "mine") == "mine_2"
    with pytest.raises(InputError, match=r"exists already; nothing was written\. mine_2 is free"):
        save_scenario(exploration.page.scenario, tmp_path, "mine")
    assert (tmp_path / "mine.yaml").read_text() == "precious"


@pytest.mark.parametrize("name", ["", "../mine", "/tmp/mine", "a b", ".hidden", "x" * 81, "a\nb"])
def test_a_name_cannot_leave_the_folder(
    exploration: Exploration, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="is no name of a scenario"):
        save_scenario(exploration.page.scenario, tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(exploration: Exploration, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        save_scenario(exploration.page.scenario, tmp_path / "absent", "mine")
