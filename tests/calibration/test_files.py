"""Whole files: written or as before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from calibration.files import write_whole
from poq_abm.errors import InputError


def test_a_file_is_replaced_whole_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    for text in ("first\n", "zweite Größe\n"):
        write_whole(path, text)
        assert path.read_bytes() == text.encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["b.json"]


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_whole(tmp_path / "b.json", "first\n")
    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(InputError, match=r"cannot write .*b\.json: No space left on device"):
        write_whole(tmp_path / "b.json", "second\n")
    assert (tmp_path / "b.json").read_text() == "first\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.json"]


def test_a_file_where_a_folder_should_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_whole(tmp_path / "a" / "b.json", "x")
