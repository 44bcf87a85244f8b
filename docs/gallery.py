"""The gallery: every kind of figure, drawn by the commands that the page shows.

``python docs/gallery.py`` plays the runs in a folder of its own and draws every figure into
``docs/images/gallery``; ``python docs/generated.py`` writes the page. The tests draw the same
figures of the same scenarios, with fewer rounds. ``python docs/gallery.py terminal`` takes the
picture of a terminal in which a run was played, ``docs/images/terminal.svg``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.text import Text

from poq_abm.analysis.questions import figures
from poq_abm.cli import main
from poq_abm.experiment.files import write_text

__all__ = ["FIGURES", "RUNS", "SESSION", "gallery"]

IMAGES: Final = Path(__file__).parent / "images" / "gallery"
#: what is played: a scenario that ships, and what of it is set
RUNS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "base": ("cost_aware_poq", {}),
    "committees": ("committee_size", {}),
    "attacks": (
        "adversary_sweep",
        {
            "rounds": 2000,
            "sweep": {
                "malicious.share": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
                "mechanism.aggregation": ["mean", "median", "trimmed_mean"],
            },
        },
    ),
    "trust": ("trust_saturation", {"replications": 10}),
    "payments": ("pay_for_information", {}),
    "doses": ("goodhart", {}),
    "economy": ("entry_exit", {}),
    "protocols": ("verification_trilemma", {}),
}
#: of which run or profile each kind is drawn, and what is asked of it
FIGURES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "figure4": ("published", {}),
    "figure5": ("published", {}),
    "figure6": ("base", {}),
    "costs": ("base", {}),
    "frontier": ("base", {}),
    "ecdf": ("committees", {}),
    "violins": ("committees", {"role": "evaluator"}),
    "lorenz": ("base", {}),
    "lines": ("attacks", {"metric": "bias", "x": "share", "y": "aggregation"}),
    "heatmap": ("attacks", {"metric": "bias", "x": "share", "y": "aggregation"}),
    "forest": ("committees", {"treatment": "committee_size=2", "against": "committee_size=3"}),
    "phases": ("attacks", {}),
    "trust": ("trust", {"treatment": "b=3,update=relative"}),
    "accuracy": ("payments", {}),
    "dose": ("doses", {}),
    "cascade": ("published", {}),
    "economy": ("economy", {"metric": "nodes"}),
    "trilemma": ("protocols", {}),
}


def run_command(name: str) -> str:
    """Return the command that plays a run.

    >>> run_command("committees")
    'poq run committee_size --out committees'
    """
    scenario, settings = RUNS[name]
    parts = ["poq", "run", scenario]
    for path, value in settings.items():
        text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).strip()
        parts += ["--set", f"{path}={text.removesuffix('...').strip()}"]
    return shlex.join([*parts, "--out", name])


def plot_command(kind: str) -> str:
    """Return the command that draws a figure.

    >>> plot_command("violins")
    'poq plot violins committees --role evaluator'
    """
    source, asked = FIGURES[kind]
    options = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    return shlex.join(["poq", "plot", kind, source, *options])


def gallery() -> str:
    """Return the page's text: the runs, then each figure with its command."""
    runs = "\n".join(map(run_command, RUNS))
    parts = [f"```sh\n{runs}\n```"]
    for kind in FIGURES:
        shows = figures()[kind].shows
        picture = f"![{shows}](images/gallery/{kind}.svg)"
        parts.append(f"## `{kind}`: {shows}\n\n```sh\n{plot_command(kind)}\n```\n\n{picture}")
    return "\n\n".join(parts)


def _calls(only: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the calls that draw some kinds, and before them those that play what they show."""
    for name in dict.fromkeys(source for source, _ in only.values()):
        if name in RUNS:
            yield shlex.split(run_command(name))
    for kind in only:
        yield [*shlex.split(plot_command(kind)), "--format", "svg", "--out", str(IMAGES / kind)]


def draw(kinds: list[str]) -> None:
    """Play what is needed in a folder of its own, and draw these kinds into the repository."""
    only = {kind: FIGURES[kind] for kind in kinds or FIGURES}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for call in _calls(only):
            sys.argv = call
            try:
                main()
            except SystemExit as stop:
                if stop.code:
                    raise


#: what the picture of a terminal shows, and how wide it is
SESSION: Final = "poq run cost_aware_poq"
COLUMNS: Final = 80


def picture_terminal() -> None:
    """Play a run and draw what it printed, as a terminal shows it; the picture loads nothing."""
    printed = io.StringIO()
    os.environ["COLUMNS"] = str(COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.argv = shlex.split(SESSION)
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(printed):
            main()
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text(f"$ {SESSION}", style="bold"))
    # Rich cuts the last line below its baseline: one more follows, and is empty.
    console.print(Text(f"{printed.getvalue().rstrip()}\n"))
    picture = console.export_svg(title="poq_abm", unique_id="terminal")
    fonts = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # which would be asked of a CDN
    write_text(IMAGES.parent / "terminal.svg", fonts.sub("", picture))


if __name__ == "__main__":
    if sys.argv[1:] == ["terminal"]:
        picture_terminal()
    else:
        draw(sys.argv[1:])
