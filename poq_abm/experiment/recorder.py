"""What a worker does: play a chunk, store its rows as a shard, return the receipt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poq_abm.experiment.files import TableWriter, naming_the_folder, write_table
from poq_abm.experiment.harvest import Harvest, Progress, play_chunk
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.playing import Engine
from poq_abm.experiment.receipts import Receipt, describe
from poq_abm.experiment.spans import Chunk
from poq_abm.experiment.streaming import BackgroundWriter
from poq_abm.experiment.tables import SCHEMAS

__all__ = ["SHARDS", "Recorder"]

SHARDS = "shards"


@dataclass(frozen=True)
class Recorder:
    """Plays chunks into the shards of one results folder; crosses to worker processes."""

    folder: Path
    engine: Engine
    metadata: dict[str, str]

    def __call__(self, plan: Plan, chunk: Chunk, progress: Progress | None = None) -> Receipt:
        """Play and store one chunk."""
        with naming_the_folder(self.folder):
            paths = {name: self._path(chunk, name) for name in plan.tables}
            harvest = self._play(plan, chunk, progress, paths)
            for name, table in harvest.tables.items():
                write_table(paths[name], table, self.metadata, flush=False)
            files = {name: describe(path) for name, path in paths.items()}
            receipt = Receipt(chunk.name, chunk.spans, harvest.seconds, files, harvest.failures)
            receipt.write(self.folder / SHARDS)
        return receipt

    def _path(self, chunk: Chunk, table: str) -> Path:
        return self.folder / SHARDS / f"{chunk.name}.{table}.parquet"

    def _play(
        self, plan: Plan, chunk: Chunk, progress: Progress | None, paths: dict[str, Path]
    ) -> Harvest:
        if not plan.trace:
            return play_chunk(plan, chunk, self.engine, None, progress)
        path = paths[plan.traced]
        with (
            TableWriter(path, SCHEMAS[plan.traced], self.metadata, flush=False) as writer,
            BackgroundWriter(writer) as sink,
        ):
            harvest = play_chunk(plan, chunk, self.engine, sink.write, progress)
        if harvest.failures:  # it was one replication, and its rounds are not whole
            write_table(path, SCHEMAS[plan.traced].empty_table(), self.metadata, flush=False)
        return harvest
