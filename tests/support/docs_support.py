"""The commands that pages show, and whether what they print fits a terminal."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from rich.cells import cell_len

ROOT = Path(__file__).parents[2]
WIDTH = 80  # columns of the terminal that a page is read beside

#: what a table leaves of a cell that it has no room for: -0.0..., [-0...., treatm…
_CUT = re.compile(r"[^\s.`]\.\.\.+|…")


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of every call of ``poq`` that a page shows, in its order."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    calls = (line.partition(" > ")[0] for line in lines if line.startswith("poq "))
    return [shlex.split(call, comments=True)[1:] for call in calls]


def misfits(printed: str) -> list[str]:
    """Return the lines that a terminal of 80 columns would break, or that hold a cut cell."""
    return [line for line in printed.splitlines() if cell_len(line) > WIDTH or _CUT.search(line)]
