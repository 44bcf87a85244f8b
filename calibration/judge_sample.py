"""Which outputs the judge sees: a keyed sample of each group, the same records for every model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from calibration.records import Record
from poq_abm.random import Purpose, uniform

__all__ = ["sample_records"]


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
