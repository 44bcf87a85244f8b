"""The files of blocks: one Parquet file for each table, whole or absent, that says what it is of.

A file is called by its block and by the checksum of its bytes, which follow from the plan and the
block alone. It is written aside, flushed and renamed into the folder of its table, that of the main
table last: then the block is done, and whoever reads it can see that it is whole. The folders of
tables are Parquet datasets, which pandas, DuckDB and Polars read by their names
(``nodes.parquet``), as R does with ``arrow::open_dataset``: so nothing is joined or written twice,
damage costs a block, and more replications are more files. A block holds rounds
across treatments, a few million of them or its share of a long run, so that there are some dozen
files, or hundreds, and never thousands.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from poq_abm.experiment.blocks import Block, Span
from poq_abm.experiment.execute import play_block, without
from poq_abm.experiment.files import (
    BackgroundWriter,
    TableWriter,
    checksum,
    naming_the_folder,
    write_table,
)
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.experiment.study import Engine, Failure, Options, Played, Progress

__all__ = ["BlockLabel", "BlockWriter", "StoredBlock", "block_fault", "read_blocks", "table_folder"]

_CONFIGURATION, _REPLICATIONS, _FAILURES = "configuration", "replications", "failures"
_DIGITS = 16  # of a checksum: accidents are found, forgeries are what replays are for


def table_folder(table: str) -> str:
    """Return the name of the folder that holds the blocks of a table."""
    return f"{table}.parquet"


class BlockLabel(NamedTuple):
    """What a file says it is of, in its Parquet metadata."""

    configuration: str  #: hash of what is played, :meth:`Plan.played_hash`
    spans: tuple[Span, ...]
    failures: tuple[Failure, ...] = ()  #: which left no rows; told by the main table alone

    def metadata(self) -> dict[str, str]:
        """Return the label as key and value metadata.

        >>> BlockLabel("ab12", (Span(0, 0, 20),)).metadata()
        {'configuration': 'ab12', 'replications': '[[0, 0, 20]]'}
        """
        said = {_CONFIGURATION: self.configuration, _REPLICATIONS: json.dumps(self.spans)}
        raised = [failure.as_data() for failure in self.failures]
        return {**said, _FAILURES: json.dumps(raised)} if raised else said

    @classmethod
    def of(cls, file: Path) -> BlockLabel | None:
        """Return the label of a Parquet file, or nothing if it bears none."""
        try:
            held: Mapping[bytes, bytes] = pq.read_schema(file).metadata or {}
            spans = tuple(Span(*span) for span in json.loads(held[_REPLICATIONS.encode()]))
            raised = json.loads(held.get(_FAILURES.encode(), b"[]"))
            failures = tuple(Failure(**failure) for failure in raised)
            return cls(held[_CONFIGURATION.encode()].decode(), spans, failures)
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):
            return None


class StoredBlock(NamedTuple):
    """A block that is done: what it is of, and its file in the folder of every table."""

    label: BlockLabel
    files: dict[str, str]

    @property
    def name(self) -> str:
        """The block's name."""
        return Block(self.label.spans).name


@dataclass(frozen=True)
class BlockWriter:
    """Plays blocks into one results folder; crosses to worker processes.

    Whatever it writes lies in the folder ``aside`` until it is whole. That folder is made for one
    run and removed by the next: a worker that outlives its run has nowhere to write any more.
    """

    folder: Path
    engine: Engine
    configuration: str  #: hash of what is played
    metadata: dict[str, str]
    aside: Path
    play: Callable[[Plan, Block, Options], Played] | None = None  #: default: :func:`play_block`

    def __call__(self, plan: Plan, block: Block, progress: Progress | None = None) -> StoredBlock:
        """Play and store one block."""
        drafts = {name: self.aside / f"{block.name}.{name}" for name in plan.tables}
        label = BlockLabel(self.configuration, block.spans)
        with naming_the_folder(self.folder):
            played = self._play(plan, block, progress, drafts, label)
            label = label._replace(failures=played.failures)
            for name, table in played.tables.items():
                said = label if name == plan.main else label._replace(failures=())
                write_table(drafts[name], table, {**self.metadata, **said.metadata()})
            files = {}
            for name in sorted(plan.tables, key=lambda table: table == plan.main):
                files[name] = f"{block.name}.{checksum(drafts[name])[:_DIGITS]}.parquet"
                drafts[name].replace(self.folder / table_folder(name) / files[name])
        return StoredBlock(label, files)

    def _play(
        self,
        plan: Plan,
        block: Block,
        progress: Progress | None,
        drafts: dict[str, Path],
        label: BlockLabel,
    ) -> Played:
        """Play a block; write its trace, if it has one, as it comes."""
        play = self.play or play_block
        if not plan.trace:
            return play(plan, block, Options(self.engine, None, progress))
        path, schema = drafts[plan.traced], SCHEMAS[plan.traced]
        metadata = {**self.metadata, **label.metadata()}
        with TableWriter(path, schema, metadata) as writer, BackgroundWriter(writer) as sink:
            played = play(plan, block, Options(self.engine, sink.write, progress))
        if played.failures:
            whole = path.with_name(f"{path.name}.whole")
            with TableWriter(whole, schema, metadata) as writer:
                for rows in _groups(path):
                    writer.write(without(rows, plan, played.failures))
            whole.replace(path)
        return played


def _groups(path: Path) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def block_fault(folder: Path, table: str, file: str, configuration: str) -> str | None:
    """Return what is wrong with a file of a block, if anything: its bytes, or what it is of."""
    shown = f"{table_folder(table)}/{file}"
    path = folder / shown
    name, _, digest = file.removesuffix(".parquet").rpartition(".")
    if not path.is_file():
        return f"{shown} is missing"
    label = BlockLabel.of(path)
    if checksum(path)[:_DIGITS] != digest:
        return f"{shown} is not what was written: its checksum differs"
    if label is None or label.configuration != configuration:
        return f"{shown} is of another configuration"
    if not label.spans or Block(label.spans).name != name:
        return f"{shown} is of other replications"
    return None


def read_blocks(
    folder: Path, tables: Sequence[str], configuration: str, *, checked: bool = True
) -> tuple[list[StoredBlock], dict[str, str]]:
    """Return the blocks that are whole, in the order of their names, and what is wrong with others.

    The main table is the last of those that bear a failure. Faults are given by file; a block of
    which a file is missing is none. Without ``checked`` files are believed by what they say.
    """
    found: dict[str, dict[str, str]] = defaultdict(dict)
    faults: dict[str, str] = {}
    for table in tables:
        for path in sorted((folder / table_folder(table)).glob("[!.]*")):
            shown, name = f"{table_folder(table)}/{path.name}", path.name.split(".")[0]
            said = block_fault(folder, table, path.name, configuration) if checked else None
            if said is None and table in found[name]:
                said = f"{shown} is there twice"
            if said is None:
                found[name][table] = path.name
            else:
                faults[shown] = said
    blocks = []
    for name in sorted(found):
        files = found[name]
        labels = [BlockLabel.of(folder / table_folder(t) / file) for t, file in files.items()]
        known = [label for label in labels if label is not None]
        lost = [table for table in tables if table not in files]
        if lost or len({label[:2] for label in known}) != 1:
            said = f"has no block in {table_folder(lost[0])}" if lost else "is of two kinds"
            faults |= {f"{table_folder(t)}/{f}": f"{table_folder(t)}/{f} {said}"
                       for t, f in files.items()}  # fmt: skip
        else:
            blocks.append(StoredBlock(max(known, key=lambda label: len(label.failures)), files))
    return blocks, faults


def rows_of(table: Any, spans: Sequence[Span], ids: Sequence[str]) -> Any:
    """Return the rows of a table that belong to some spans, span by span."""
    place = {id_: number for number, id_ in enumerate(ids)}
    coded = table.column("treatment").combine_chunks()
    if not pa.types.is_dictionary(coded.type):
        coded = coded.dictionary_encode()
    numbers = np.array([place[id_] for id_ in coded.dictionary.to_pylist()], np.int64)
    treatment = numbers[coded.indices.to_numpy()] if len(numbers) else np.empty(0, np.int64)
    replication = table.column("replication").to_numpy()
    parts = [
        np.flatnonzero((treatment == number) & (replication >= first) & (replication < last))
        for number, first, last in spans
    ]
    return table.take(pa.array(np.concatenate(parts)))
