"""Where each stage of a calibration leaves its rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from poq_abm.errors import InputError

__all__ = ["NAME", "Workspace"]

#: What a model, an evaluator or a task may be called: a profile allows no more, and no file
#: system minds any of it.
NAME = re.compile(r"[a-z0-9_]{1,80}")


@dataclass(frozen=True)
class Workspace:
    """The folder of one calibration; making one writes nothing.

    >>> workspace = Workspace(Path("runs/mine"))
    >>> workspace.generations("llama_3_2_3b").as_posix()
    'runs/mine/generations/llama_3_2_3b.jsonl'
    >>> workspace.efficiency("inference", "llama_3_2_3b", 8).as_posix()
    'runs/mine/efficiency/inference.llama_3_2_3b.b8.json'
    """

    out: Path

    @property
    def corpus(self) -> Path:
        """The records."""
        return self.out / "corpus.jsonl"

    @property
    def judgements(self) -> Path:
        """The judge's scores and refusals."""
        return self.out / "judgements.jsonl"

    @property
    def profile(self) -> Path:
        """The folder of the finished profile."""
        return self.out / "profile"

    def generations(self, model: str) -> Path:
        """Return where the outputs are of one inference model."""
        return self.out / "generations" / f"{_safe(model)}.jsonl"

    def scores(self, evaluator: str) -> Path:
        """Return where the raw scores are of one evaluator."""
        return self.out / "scores" / f"{_safe(evaluator)}.jsonl"

    def efficiency(self, role: str, node: str, batch_size: int) -> Path:
        """Return where the timings are of one node at one batch size.

        ``role`` is ``inference`` or ``evaluator``.
        """
        return self.out / "efficiency" / f"{_safe(role)}.{_safe(node)}.b{batch_size}.json"

    def efficiencies(self) -> list[Path]:
        """Return the timings that are there, sorted by name."""
        return sorted((self.out / "efficiency").glob("*.json"))


def _safe(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(f"the name {name[:80]!r} must be made of a-z, 0-9 and _, at most 80")
    return name
