"""Running chunks: on this thread, on threads, on processes or on a Dask cluster, through joblib.

What runs where never changes a result. A worker that dies costs its chunk, which is played again; a
parent that dies takes its worker processes with it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import joblib

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.lifetime import end_with
from poq_abm.experiment.parcel import Parcel
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.spans import Chunk
from poq_abm.experiment.study import Progress

__all__ = ["BACKENDS", "Backend", "Workers", "backend_of", "play_chunks"]

Backend = Literal["threading", "loky", "dask"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
T = TypeVar("T")
Work = Callable[[Plan, Chunk, Progress | None], T]

_DEATHS_IN_A_ROW = 3
_SCHEDULER_TIMEOUT_S = 10


@dataclass(frozen=True)
class Workers:
    """How many workers there are, of which kind, and where.

    The compiled engine releases Python's global lock, so that threads serve it best: they start at
    once and share what was read and compiled. The agents need processes.
    """

    count: int = 1
    backend: Backend | None = None  #: default: threads for the compiled engine, else processes
    scheduler: str | None = None  #: address of the Dask scheduler

    def kind(self, engine: str) -> Backend:
        """Return the backend that plays with this engine."""
        if self.backend is not None:
            return self.backend
        return "threading" if engine == "compiled" else "loky"


def backend_of(name: str) -> Backend:
    """Return the backend of this name.

    Raises
    ------
    InputError
        If there is none.
    """
    for backend in BACKENDS:
        if backend == name:
            return backend
    raise InputError(f"unknown backend {name!r}; {nearest(name, BACKENDS)}")


def play_chunks(
    plan: Plan,
    chunks: Sequence[Chunk],
    work: Work[T],
    workers: Workers,
    *,
    engine: str = "compiled",
    progress: Progress | None = None,
) -> Iterator[tuple[Chunk, T]]:
    """Yield every chunk with what ``work`` returns for it, as they come.

    Raises
    ------
    InputError
        If workers keep dying, or the scheduler of a cluster does not answer.
    """
    kind = workers.kind(engine)
    alone = kind != "dask" and (workers.count == 1 or len(chunks) == 1)
    if alone and (kind == "threading" or engine == "compiled" or len(chunks) == 1):
        for chunk in chunks:
            yield chunk, work(plan, chunk, progress)
        return
    left = {chunk.name: chunk for chunk in chunks}
    deaths = 0
    with _cluster(workers, kind) as cluster:
        deadly: tuple[type[Exception], ...] = (BrokenProcessPool, *cluster)
        while left:
            try:
                for name, result in _parallel(plan, left, work, workers, kind, progress):
                    deaths = 0
                    yield left.pop(name), result
            except deadly as death:
                deaths += 1
                if deaths >= _DEATHS_IN_A_ROW:
                    raise InputError(
                        f"workers died {deaths} times in a row without finishing a chunk, perhaps "
                        "for want of memory; what was finished is kept"
                    ) from death


def _parallel(
    plan: Plan,
    chunks: dict[str, Chunk],
    work: Work[T],
    workers: Workers,
    kind: Backend,
    progress: Progress | None,
) -> Iterator[tuple[str, T]]:
    """Yield the names of chunks and what ``work`` returned for them."""
    count = -1 if kind == "dask" else workers.count
    watched = {"initializer": end_with, "initargs": (os.getpid(),)} if kind == "loky" else {}
    with joblib.parallel_config(backend=kind):  # which alone knows of Dask
        parallel = joblib.Parallel(
            n_jobs=count, batch_size=1, return_as="generator_unordered", **watched
        )
    if kind == "threading":
        yield from parallel(
            joblib.delayed(_here)(work, plan, chunk, progress) for chunk in list(chunks.values())
        )
        return
    parcel = Parcel.of(plan)
    tasks = (joblib.delayed(_elsewhere)(work, parcel, chunk) for chunk in list(chunks.values()))
    for name, result in parallel(tasks):
        if progress:
            progress(sum(plan.rounds_of(span) for span in chunks[name].spans))
        yield name, result


def _here(work: Work[T], plan: Plan, chunk: Chunk, progress: Progress | None) -> tuple[str, T]:
    return chunk.name, work(plan, chunk, progress)


def _elsewhere(work: Work[T], parcel: Parcel, chunk: Chunk) -> tuple[str, T]:
    return chunk.name, work(parcel.open(), chunk, None)


@contextlib.contextmanager
def _cluster(workers: Workers, kind: Backend) -> Iterator[tuple[type[Exception], ...]]:
    """Connect to a Dask cluster for the time of the block; yield how its workers' deaths show."""
    if kind != "dask":
        yield ()
        return
    try:
        from distributed import Client, KilledWorker  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InputError(
            'the backend dask needs an extra: pip install "poq-abm[distributed]"'
        ) from None
    if workers.scheduler is None:
        raise InputError("the backend dask needs --scheduler, as in tcp://127.0.0.1:8786")
    try:
        client = Client(workers.scheduler, timeout=_SCHEDULER_TIMEOUT_S)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler answers at {workers.scheduler}: {error}") from error
    with client:
        yield (KilledWorker,)
