"""Playing designs: figures by replication, and a file in which what was found is found again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poq_abm.analysis.design.objectives import is_field
from poq_abm.errors import InputError
from poq_abm.experiment.executor import Workers
from poq_abm.experiment.plan import RESULTS_VERSION, as_before, source_of, study_of
from poq_abm.experiment.search import PlayInMemory, Step, Tables
from poq_abm.experiment.study import Progress
from poq_abm.rules.registry import own_rules
from poq_abm.scenario import Scenario
from poq_abm.scenario.paths import split, value_at
from poq_abm.simulation.playable import profile_of

__all__ = ["FigurePlayer", "Figures", "PlayedDesigns"]

Figures = dict[str, NDArray[np.float64]]  #: by metric, replication by replication
_MOST_ROUNDS = 200_000_000  #: that are played before what came of them is written


def _figures(data: Mapping[str, Any]) -> Figures:
    return {name: np.array(values, dtype=np.float64) for name, values in data.items()}


@dataclass
class PlayedDesigns:
    """What was played, by what determines it; kept in a file if one is given.

    A line a scenario, or a part of an audit, appended and flushed step by step. A line that a kill
    cut short is dropped when the file is read, and what it said is played again.
    """

    path: Path | None = None
    known: dict[str, Any] = field(default_factory=dict)  #: figures; of an audit, plain data
    found: int = 0  #: how often something was found again

    def __post_init__(self) -> None:
        """Read what the file holds."""
        if self.path is None or not self.path.exists():
            return
        with self._clearly():
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(self.path, whole)
        for line in content[:whole].splitlines():
            entry = json.loads(line)
            values = entry["values"]
            self.known[entry["key"]] = _figures(values) if isinstance(values, dict) else values

    def keep(self, played: Sequence[tuple[str, Any]]) -> None:
        """Take what was played."""
        self.known.update(played)
        if self.path is None or not played:
            return
        lines = [
            json.dumps({"key": key, "values": values}, default=np.ndarray.tolist)
            for key, values in played
        ]
        with self._clearly():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write("".join(f"{line}\n" for line in lines))
                stream.flush()
                os.fsync(stream.fileno())

    @contextlib.contextmanager
    def _clearly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from error


@dataclass
class FigurePlayer:
    """Plays the steps of a search and answers with figures; what was played before is looked up."""

    metrics: tuple[str, ...]  #: columns of replications, and fields of a scenario by path
    played: PlayedDesigns = field(default_factory=PlayedDesigns)
    workers: Workers = field(default_factory=Workers)
    progress: Progress | None = None
    _profiles: dict[str, str] = field(default_factory=dict)  #: hashes by source

    def __post_init__(self) -> None:
        """Make the player of what is not known yet."""
        self._play: Callable[[Step], list[Tables]] = PlayInMemory(
            self.workers,
            self.progress,
            wanted=frozenset(name for name in self.metrics if not is_field(name)),
        )

    def __call__(self, step: Step) -> list[Figures]:
        """Return the figures of every scenario of a step."""
        wanted, span = list(self.metrics), (step.first, step.last)
        keys = [self.key(scenario, wanted, *span) for scenario in step.scenarios]
        new: dict[str, Scenario] = {}
        for key, scenario in zip(keys, step.scenarios, strict=True):
            if key not in self.played.known:
                new.setdefault(key, scenario)
        self.played.found += len(keys) - len(new)
        for part in self._parts(new, step):
            tables = self._play(Step([new[key] for key in part], step.first, step.last))
            figures = [self._figures(new[key], one) for key, one in zip(part, tables, strict=True)]
            self.played.keep(list(zip(part, figures, strict=True)))
        return [self.played.known[key] for key in keys]

    @staticmethod
    def _parts(new: dict[str, Scenario], step: Step) -> Iterator[list[str]]:
        part, rounds = list[str](), 0
        for key, scenario in new.items():
            part.append(key)
            rounds += scenario.rounds * (step.last - step.first)
            if rounds >= _MOST_ROUNDS:
                yield part
                part, rounds = [], 0
        if part:
            yield part

    def _figures(self, scenario: Scenario, tables: Tables) -> Figures:
        main = tables[study_of(scenario).main]
        data = scenario.resolved() if any(map(is_field, self.metrics)) else {}
        return {
            name: np.full(main.num_rows, value_at(split(name), data), dtype=np.float64)
            if is_field(name)
            else main.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
            for name in self.metrics
        }

    def key(self, scenario: Scenario, what: Any, *keys: int) -> str:
        """Return the digest of all that determines what comes of a scenario on some keys.

        ``what`` says which figures are meant, as data.
        """
        source = source_of(scenario)
        if source not in self._profiles:
            self._profiles[source] = profile_of(scenario).content_hash
        data = as_before(scenario.resolved())
        for name in ("name", "replications"):
            data.pop(name, None)
        text = json.dumps(
            [RESULTS_VERSION, {**data, "profile": self._profiles[source]}, what,
             [rule.digest() for rule in own_rules()], *keys],
            sort_keys=True,
        )  # fmt: skip
        return hashlib.sha256(text.encode()).hexdigest()
