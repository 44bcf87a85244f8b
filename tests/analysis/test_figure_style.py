"""How figures get to the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from poq_abm.analysis import figure_style
from poq_abm.analysis.figure_style import FORMATS, canvas, printed, write
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


def test_a_font_that_is_not_there_is_refused_with_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    bundled = [each for each in font_manager.fontManager.ttflist if "mpl-data" in each.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", bundled)
    for font, message in {
        "tims": "did you mean 'times'",
        "Palatino": "sans, serif, times come along.*installed are DejaVu",
        "CMU Serif": "is not installed. Computer Modern.*fonts-cmu.*'times'",
        "Latin Modern Roman": "is not installed. Computer Modern",
        "cmr10": "has no underscore. Computer Modern",
    }.items():
        with pytest.raises(InputError, match=message), printed(font=font):
            pass


def renamed(path: Path, family: str) -> Path:
    """Write DejaVu Sans under another name."""
    font = TTFont(font_manager.findfont("DejaVu Sans"))
    for record in font["name"].names:
        if record.nameID in (1, 4, 16):
            record.string = family
    font.save(path)
    return path


def test_a_font_that_was_just_installed_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = renamed(tmp_path / "fresh.ttf", "Fresh Serif")
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", list(manager.ttflist))
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(fresh)])
    with printed(font="Fresh Serif"):
        figure, (axes,) = canvas()
        axes.set_title("a_b")
        (path,) = write(figure, tmp_path / "figure", ["pdf"])
    assert b"/FontFile2" in path.read_bytes()


def test_postscript_outlines_are_embedded_as_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlines = tmp_path / "outlines.otf"
    outlines.write_bytes(b"OTTO")
    found = font_manager.findfont
    monkeypatch.setattr(font_manager, "findfont", lambda *_a, **_k: str(outlines))
    embedded = figure_style._pdf_font_type()
    monkeypatch.setattr(font_manager, "findfont", found)
    assert (embedded, figure_style._pdf_font_type()) == (3, 42)
