"""How a name or a path becomes a profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from profile_support import write_parts

from poq_abm.errors import InputError
from poq_abm.profile import load_profile, profile_names


def test_every_profile_that_ships_loads_under_its_name() -> None:
    assert "published" in profile_names()
    for name in profile_names():
        assert load_profile(name).name == name


def test_a_path_may_be_text_or_path(parts: dict[str, Any], tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "mine", **parts)
    assert load_profile(folder).content_hash == load_profile(str(folder)).content_hash


def test_a_shipped_name_wins_over_a_folder(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parts(tmp_path / "published", **parts)
    monkeypatch.chdir(tmp_path)
    assert load_profile("published").name == "published"
    assert load_profile("./published").name == "tiny"
    assert load_profile(Path("published")).name == "tiny"


def test_a_misspelt_name_gets_a_hint() -> None:
    with pytest.raises(InputError, match="did you mean 'published'"):
        load_profile("publised")


def test_a_missing_path_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a profile that ships nor a folder"):
        load_profile(tmp_path / "nowhere")


def test_a_folder_that_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"profile\.json is missing"):
        load_profile(tmp_path)
