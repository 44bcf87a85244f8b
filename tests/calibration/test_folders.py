"""The folder of a calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.folders import Workspace
from poq_abm.errors import InputError


def test_every_stage_has_a_place_of_its_own_and_none_is_made(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "mine")
    places = [
        workspace.corpus,
        workspace.judgements,
        workspace.profile,
        workspace.generations("a"),
        workspace.generations("b"),
        workspace.scores("a"),
        workspace.efficiency("inference", "a", 1),
        workspace.efficiency("inference", "a", 8),
        workspace.efficiency("evaluator", "a", 8),
    ]
    assert len(set(places)) == len(places)
    assert all(workspace.out in place.parents for place in places)
    assert not workspace.out.exists()


def test_timings_are_listed_by_name(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.efficiencies() == []
    made = [workspace.efficiency("inference", node, 1) for node in ("b", "a")]
    made[0].parent.mkdir()
    for path in made:
        path.write_text("{}")
    (made[0].parent / "note.txt").write_text("")
    assert workspace.efficiencies() == sorted(made)


@pytest.mark.parametrize("name", ["../up", "a/b", "", "A", "a.b", "a" * 81, "nul\0"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="must be made of a-z"):
        Workspace(Path("x")).scores(name)
