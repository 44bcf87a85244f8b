"""The first stage: a keyed sample of every source, in one file of records.

A record's place in the order of its source depends on the seed and its own id, on nothing else. So
a sample of ``n + 1`` contains the sample of ``n``, two files may be merged or re-sorted, and a
larger study keeps all that a smaller one has generated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.configuration import Calibration
from calibration.corpus.formats import read_source
from calibration.corpus.records import DEFAULT, Record, read_corpus, write_corpus
from calibration.profile.truth import leaves_nothing
from calibration.stage_settings import CorpusSource
from calibration.workspace import Workspace
from poq_abm.errors import InputError, nearest
from poq_abm.random import Purpose, uniform

__all__ = ["CorpusSummary", "build_corpus", "draw_records", "sample_records", "sampled"]


_SHOWN = 5


@dataclass(frozen=True)
class CorpusSummary:
    """What the corpus holds: its file, and the number of records of every task."""

    path: Path
    records_of_task: dict[str, int]


def build_corpus(calibration: Calibration, report: Callable[[str], None]) -> CorpusSummary:
    """Write ``corpus.jsonl`` from the sources; nothing is written when a source has a fault.

    Raises :class:`~poq_abm.errors.InputError` as :func:`draw_records` does.
    """
    records = draw_records(calibration, report)
    path = Workspace(calibration.out).corpus
    _write(path, records, report)
    return CorpusSummary(path, _counts(records))


def draw_records(calibration: Calibration, report: Callable[[str], None]) -> list[Record]:
    """Return the records that a calibration is of.

    Raises :class:`~poq_abm.errors.InputError` for the faults of
    :func:`calibration.corpus.formats.read_source`, references of which the metric of truth leaves
    nothing, fewer records than asked, an id in two sources, a task with a single record (minimum
    and maximum need two), and a template of a task that no record has.
    """
    records: dict[str, Record] = {}
    for source in calibration.corpus:
        for record in _taken(source, calibration, report):
            if record.id in records:
                raise InputError(f"{source.path}: the id {record.id!r} is taken by another source")
            records[record.id] = record
    _check_tasks(_counts(records.values()), calibration.prompts)
    return list(records.values())


def sampled(records: Iterable[Record], seed: int, size: int | None = None) -> list[Record]:
    """Return the first ``size`` records, or all, in the order that seed and ids give them.

    >>> records = [Record(name, "qa", "?", ("!",)) for name in "abcdef"]
    >>> sampled(records, 1, 3)[:2] == sampled(reversed(records), 1, 2)
    True
    """
    return sorted(records, key=lambda record: (_place(seed, record.id), record.id))[:size]


def _place(seed: int, name: str) -> float:
    """Return a record's place in (0, 1): uniform, keyed by the seed and 80 bits of its id."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    high, low = int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:10], "big")
    return float(uniform(seed, high, int(Purpose.CORPUS), low, 0))


def _taken(
    source: CorpusSource, calibration: Calibration, report: Callable[[str], None]
) -> list[Record]:
    def told(line: str) -> None:
        report(f"{source.path.name}: {line}")

    by_task: dict[str, list[Record]] = {}
    for record in _with_words(read_source(source, told), source, calibration, told):
        by_task.setdefault(record.task, []).append(record)
    taken: list[Record] = []
    for task, records in by_task.items():
        if source.sample is not None and source.sample > len(records):
            raise InputError(
                f"{source.path}: {source.sample} records of task {task!r} are asked for, "
                f"{len(records)} are there"
            )
        chosen = sampled(records, calibration.seed, source.sample)
        report(f"{task}: {len(chosen)} of {len(records)} records of {source.path.name}")
        taken += chosen
    return taken


def _with_words(
    records: list[Record],
    source: CorpusSource,
    calibration: Calibration,
    report: Callable[[str], None],
) -> list[Record]:
    """Return the records with the references of which the metric of truth leaves something.

    An empty output would be worth as much as can be beside one of which it leaves nothing.
    """
    kept: list[Record] = []
    bare: list[str] = []
    for record in records:
        metric = calibration.metric_of(record.task)
        lost = [text for text in record.references if leaves_nothing(text, metric)]
        bare += [f"{record.id!r} ({text[:40]!r})" for text in lost[:1]]
        left = tuple(text for text in record.references if text not in lost)
        kept += [replace(record, references=left) if lost else record] if left else []
    if not bare:
        return records
    count = "1 record has" if len(bare) == 1 else f"{len(bare):,} records have"
    said = f"{count} a reference of which the normalisation of truth leaves nothing"
    if source.unreferenced == "refuse":
        shown = "; ".join(bare[:_SHOWN]) + ("; ..." if len(bare) > _SHOWN else "")
        raise InputError(
            f"{source.path}: {said}, so that an empty output would be worth 10: {shown} "
            f"('unreferenced: skip' leaves such out)"
        )
    gone = len(records) - len(kept)
    report(f"left out: {said}, and {gone:,} of them no other")
    return kept


def _counts(records: Iterable[Record]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records:
        counts[record.task] = counts.get(record.task, 0) + 1
    return counts


def _check_tasks(counts: dict[str, int], templates: Iterable[str]) -> None:
    for task, count in counts.items():
        if count < 2:
            raise InputError(
                f"task {task!r} has a single record; normalising its scores needs at least two"
            )
    for task in templates:
        if task != DEFAULT and task not in counts:
            raise InputError(
                f"prompts: no record has the task {task[:80]!r}; "
                f"{nearest(task[:80], [*counts, DEFAULT])}"
            )


def _write(path: Path, records: Sequence[Record], report: Callable[[str], None]) -> None:
    """Write the corpus unless it is there already; say what becomes of an older one."""
    before = _readable(path)
    if before == list(records):
        report(f"{path} is complete: {len(records)} records")
        return
    write_corpus(path, records)
    kept = len(set(before).intersection(records))
    older = f"; {kept} of {len(before)} records of the corpus before are kept" if before else ""
    report(f"{path}: {len(records)} records{older}")


def _readable(path: Path) -> list[Record]:
    try:
        return read_corpus(path)
    except InputError:
        return []


def sample_records(records: Iterable[Record], seed: int, per_group: int) -> list[Record]:
    """Return at most ``per_group`` records of each task, interleaved so that any prefix is fair.

    Each record has a uniform keyed by (seed, task, id) and a task takes its lowest: the order of
    the corpus does not matter, and a larger sample contains every smaller one. Models play no part,
    so that all are judged on the same records and differences between them are paired.

    >>> records = [Record(f"q{i}", "qa", "?", ("!",)) for i in range(9)]
    >>> few, more = (sample_records(records, 1, n) for n in (2, 5))
    >>> few == more[:2]
    True
    """
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: _luck(seed, record)):
        groups.setdefault(record.task, []).append(record)
    chosen = [groups[task][:per_group] for task in sorted(groups)]
    return _interleaved(chosen)


def _interleaved(groups: Sequence[Sequence[Record]]) -> list[Record]:
    longest = max(map(len, groups), default=0)
    return [group[rank] for rank in range(longest) for group in groups if rank < len(group)]


def _luck(seed: int, record: Record) -> tuple[float, str]:
    digest = hashlib.sha256(repr((record.task, record.id)).encode(errors="replace")).digest()
    replication, round_ = int.from_bytes(digest[:4]), int.from_bytes(digest[4:10])
    return uniform(seed, replication, int(Purpose.JUDGE), round_, 0), record.id
