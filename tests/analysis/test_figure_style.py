"""How figures get to the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from poq_abm.analysis.figure_style import FORMATS, canvas, write
from poq_abm.errors import InputError
from poq_abm.experiment import files

# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)


@pytest.mark.parametrize("form", FORMATS)
def test_a_figure_is_whole_or_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    figure, _ = canvas()
    (path,) = write(figure, tmp_path / "figure", [form])
    content = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        write(figure, tmp_path / "figure", [form])
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
