"""Signs of life on the error stream, so that results on the output stream stay clean."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from poq_abm.experiment.runner import Progress as Report
from poq_abm.jit import is_cached

__all__ = ["announce_compilation", "progress_bar"]


def announce_compilation() -> None:
    """Say that the first run compiles, where it does."""
    from poq_abm.network.rounds import play_rounds  # noqa: PLC0415  (imports Numba)

    if not is_cached(play_rounds):
        Console(stderr=True).print(
            "Compiling the round loop; this happens once and takes a quarter of a minute.",
            style="dim",
        )


@contextlib.contextmanager
def progress_bar(rounds: int, label: str) -> Iterator[Report]:
    """Yield a function to be told of rounds as they are played, and draw a bar with the rate."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(label, total=rounds, rate="")
        begun = time.perf_counter()

        def report(played: int) -> None:
            bar.advance(task, played)
            elapsed = max(time.perf_counter() - begun, 1e-9)
            bar.update(task, rate=f"{bar.tasks[0].completed / elapsed / 1e6:.1f} M rounds/s")

        yield report
