"""The figures that fit a run, inside the page."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import NamedTuple

from poq_abm.analysis.figure_style import write
from poq_abm.analysis.questions import Request, figures
from poq_abm.analysis.stored_run import StoredRun
from poq_abm.errors import InputError

__all__ = ["Picture", "pictures"]

MOST_BYTES = 400_000  #: vector graphics that are larger go into the page as PNG


class Picture(NamedTuple):
    """A figure as the page holds it."""

    kind: str
    title: str
    shows: str
    data: str  #: a data URI


def pictures(run: StoredRun) -> list[Picture]:
    """Return the figures that fit a run; those that cannot be drawn of it are left out."""
    found: list[Picture] = []
    asked = [(kind, settings) for kind in figures().values() for settings in kind.fits(run)]
    with tempfile.TemporaryDirectory() as folder:
        for kind, settings in asked:
            try:
                figure = kind.draw(Request(str(run.folder), **settings))
            except InputError:
                continue
            stem = Path(folder) / str(len(found))
            (path,) = write(figure, stem, ["svg"])
            if path.stat().st_size > MOST_BYTES:
                (path,) = write(figure, stem, ["png"])
            shows = kind.shows.split(" (")[0]
            found.append(Picture(kind.name, figure.get_suptitle(), shows, _uri(path)))
    return found


def _uri(path: Path) -> str:
    kind = "image/svg+xml" if path.suffix == ".svg" else "image/png"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
