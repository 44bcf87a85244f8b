"""Playing blocks: on this thread, on threads, on processes or on a Dask cluster, through joblib.

What runs where never changes a result. A worker that dies costs its block, which is played again; a
parent that dies takes its worker processes with it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import cloudpickle

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.blocks import Block
from poq_abm.experiment.lifetime import end_with
from poq_abm.experiment.plan import Plan
from poq_abm.experiment.study import Progress
from poq_abm.rules.registry import own_rules, register

__all__ = ["BACKENDS", "Backend", "Workers", "backend_of", "map_blocks"]

Backend = Literal["threading", "loky", "dask"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
T = TypeVar("T")
Work = Callable[[Plan, Block, Progress | None], T]

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


def map_blocks(
    plan: Plan,
    blocks: Sequence[Block],
    work: Work[T],
    workers: Workers,
    *,
    engine: str = "compiled",
    progress: Progress | None = None,
) -> Iterator[T]:
    """Yield what ``work`` returns for every block, as they come.

    Raises
    ------
    InputError
        If workers keep dying, or the scheduler of a cluster does not answer.
    """
    kind = workers.kind(engine)
    alone = kind != "dask" and (workers.count == 1 or len(blocks) == 1)
    if alone and (kind == "threading" or engine == "compiled" or len(blocks) == 1):
        for block in blocks:
            yield work(plan, block, progress)
        return
    left = {block.name: block for block in blocks}
    deaths = 0
    with _cluster(workers, kind) as cluster:
        deadly: tuple[type[Exception], ...] = (BrokenProcessPool, *cluster)
        while left:
            try:
                for name, result in _parallel(plan, left, work, workers, kind, progress):
                    deaths = 0
                    del left[name]
                    yield result
            except deadly as death:
                deaths += 1
                if deaths >= _DEATHS_IN_A_ROW:
                    raise InputError(
                        f"workers died {deaths} times in a row without finishing a block, perhaps "
                        "for want of memory; what was finished is kept"
                    ) from death


def _parallel(
    plan: Plan,
    blocks: dict[str, Block],
    work: Work[T],
    workers: Workers,
    kind: Backend,
    progress: Progress | None,
) -> Iterator[tuple[str, T]]:
    """Yield the names of blocks and what ``work`` returned for them."""
    import joblib  # noqa: PLC0415  (slow to import, and a run with one worker does without)

    count = -1 if kind == "dask" else workers.count
    watched = {"initializer": end_with, "initargs": (os.getpid(),)} if kind == "loky" else {}
    with joblib.parallel_config(backend=kind):  # which alone knows of Dask
        parallel = joblib.Parallel(
            n_jobs=count, batch_size=1, return_as="generator_unordered", **watched
        )
    if kind == "threading":
        yield from parallel(
            joblib.delayed(_here)(work, plan, block, progress) for block in list(blocks.values())
        )
        return
    packed = PackedPlan.of(plan)
    tasks = (joblib.delayed(_elsewhere)(work, packed, block) for block in list(blocks.values()))
    for name, result in parallel(tasks):
        if progress:
            progress(sum(plan.rounds_of(span) for span in blocks[name].spans))
        yield name, result


def _here(work: Work[T], plan: Plan, block: Block, progress: Progress | None) -> tuple[str, T]:
    return block.name, work(plan, block, progress)


def _elsewhere(work: Work[T], packed: PackedPlan, block: Block) -> tuple[str, T]:
    return block.name, work(packed.open(), block, None)


@dataclass(frozen=True)
class PackedPlan:
    """A plan with the users' own rules it may name, for worker processes.

    Packed once, and unpacked once by each of them.
    """

    digest: str
    content: bytes

    @classmethod
    def of(cls, plan: Plan) -> PackedPlan:
        """Pack a plan."""
        own = own_rules()
        # Workers elsewhere lack the user's module: its code travels along.
        modules = {sys.modules[rule.__module__] for rule in own}
        modules.discard(sys.modules["__main__"])
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            content = cloudpickle.dumps((own, cloudpickle.dumps(plan)))
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)
        return cls(hashlib.sha256(content).hexdigest(), content)

    def open(self) -> Plan:
        """Return the plan, its rules registered."""
        return _open(self)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, PackedPlan) and self.digest == other.digest


@functools.lru_cache(maxsize=2)
def _open(packed: PackedPlan) -> Plan:
    own, content = cloudpickle.loads(packed.content)
    for rule in own:
        register(rule)
    plan = cloudpickle.loads(content)  # its scenario may have sections of these rules
    if not isinstance(plan, Plan):
        raise TypeError("what was packed is no plan")
    return plan


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
