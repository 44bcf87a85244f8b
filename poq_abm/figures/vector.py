"""Vector graphics that are the same bytes whenever the picture is the same."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from poq_abm.experiment.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["renumbered", "write_svg"]

_CLIP = re.compile(r'<clipPath id="(p[0-9a-f]+)"')


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, without a date; letters become paths, so that no font is missing."""
    from matplotlib import rc_context  # noqa: PLC0415

    stream = io.StringIO()
    with rc_context({"svg.hashsalt": "poq_abm", "svg.fonttype": "path"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    write_text(path, renumbered(stream.getvalue()))


def renumbered(svg: str) -> str:
    """Return a picture with its clip paths numbered as they come.

    Matplotlib names some of them by where an object lies in memory.

    >>> renumbered('<g clip-path="url(#pa1)"/><clipPath id="pa1">')
    '<g clip-path="url(#clip1)"/><clipPath id="clip1">'
    """
    names = {name: f"clip{n}" for n, name in enumerate(_CLIP.findall(svg), start=1)}
    if not names:
        return svg
    found = re.compile("|".join(rf"(?<=[#\"]){name}(?=[)\"])" for name in names))
    return found.sub(lambda match: names[match[0]], svg)
