"""What a worker does: play a chunk, store its rows as a shard, return the receipt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poq_abm.experiment.files import TableWriter, naming_the_folder, write_table
from poq_abm.experiment.harvest import Harvest, play_chunk
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.receipts import PieceLabel, Receipt, describe
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.experiment.spans import Chunk
from poq_abm.experiment.streaming import BackgroundWriter
from poq_abm.experiment.study import Engine, Progress

__all__ = ["SHARDS", "Recorder"]

SHARDS = "shards"


@dataclass(frozen=True)
class Recorder:
    """Plays chunks into the shards of one results folder; crosses to worker processes.

    Whatever it writes lies in the folder ``aside`` until it is whole. That folder is made for one
    run and removed by the next: a worker that outlives its run has nowhere to write any more.
    """

    folder: Path
    engine: Engine
    configuration: str  #: hash of what is played
    metadata: dict[str, str]
    aside: Path

    def __call__(self, plan: Plan, chunk: Chunk, progress: Progress | None = None) -> Receipt:
        """Play and store one chunk."""
        metadata = {**self.metadata, **PieceLabel(self.configuration, chunk.spans).metadata()}
        with naming_the_folder(self.folder):
            paths = {name: self._path(chunk, name) for name in plan.tables}
            harvest = self._play(plan, chunk, progress, paths, metadata)
            for name, table in harvest.tables.items():
                write_table(paths[name], table, metadata, flush=False, aside=self.aside)
            receipt = Receipt(
                chunk.name,
                self.configuration,
                chunk.spans,
                harvest.seconds,
                {name: describe(path) for name, path in paths.items()},
                harvest.failures,
            )
            receipt.write(self.folder / SHARDS, self.aside)
        return receipt

    def _path(self, chunk: Chunk, table: str) -> Path:
        return self.folder / SHARDS / f"{chunk.name}.{table}.parquet"

    def _play(
        self,
        plan: Plan,
        chunk: Chunk,
        progress: Progress | None,
        paths: dict[str, Path],
        metadata: dict[str, str],
    ) -> Harvest:
        if not plan.trace:
            return play_chunk(plan, chunk, self.engine, None, progress)
        path, schema = paths[plan.traced], SCHEMAS[plan.traced]
        with (
            TableWriter(path, schema, metadata, flush=False, aside=self.aside) as writer,
            BackgroundWriter(writer) as sink,
        ):
            harvest = play_chunk(plan, chunk, self.engine, sink.write, progress)
        if harvest.failures:  # it was one replication, and its rounds are not whole
            write_table(path, schema.empty_table(), metadata, flush=False, aside=self.aside)
        return harvest
