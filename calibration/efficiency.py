"""The efficiency stage: what every model and evaluator costs on this machine.

Each node is timed at each of its batch sizes, warm-up first, and each result is written whole as
soon as it is there. A result whose key is still the right one is not measured again, so the stage
can be stopped at any moment.

``weights: real`` loads the checkpoints, reads the prompts of the corpus and lets every answer end
where the model ends it, with at most ``new_tokens`` tokens. ``weights: random`` builds the
architectures without their weights and makes every answer exactly ``new_tokens`` long: lengths are
then the same for all models, and a latency holds for that length alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from calibration import random_subjects, real_subjects
from calibration.batching import is_out_of_memory
from calibration.configuration import Calibration
from calibration.folders import Workspace
from calibration.loading import chosen_device, release
from calibration.measurement import (
    is_measured,
    key_of,
    measure_batches,
    summary,
    write_measurement,
)
from calibration.subjects import Subject
from poq_abm.errors import InputError

__all__ = ["Task", "measure", "measure_all", "tasks_of"]

Report = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """A subject and the batch sizes to time it at."""

    subject: Subject
    batch_sizes: tuple[int, ...]
    hardware: str | None = None


def measure(calibration: Calibration, report: Report) -> list[Path]:
    """Time every model and evaluator of a calibration; return the files, in order.

    Raises :class:`~poq_abm.errors.InputError` when a device, a model or a library is not there.
    """
    settings = calibration.efficiency
    return measure_all(
        tasks_of(calibration),
        Workspace(calibration.out),
        prompts=settings.prompts,
        warm_up=settings.warm_up,
        new_tokens=settings.new_tokens,
        report=report,
    )


def measure_all(
    tasks: Iterable[Task],
    workspace: Workspace,
    *,
    prompts: int,
    warm_up: int,
    new_tokens: int,
    report: Report,
) -> list[Path]:
    """Time every task and return the files; a batch that does not fit in memory has none.

    A model is in memory only while it is timed, and is not loaded at all when nothing of it is
    left to time.
    """
    written: list[Path] = []
    for task in tasks:
        subject, loaded = task.subject, False
        try:
            for batch_size in task.batch_sizes:
                path = workspace.efficiency(subject.role, subject.node, batch_size)
                key = key_of(
                    subject, batch_size, prompts=prompts, warm_up=warm_up, hardware=task.hardware
                )
                if is_measured(path, key):
                    report(f"{subject.node}, batch {batch_size}: already measured")
                    written.append(path)
                    continue
                if not loaded:
                    report(f"{subject.node}: loading on {subject.device}")
                    subject.load()
                    loaded = True
                measured = _measured(task, batch_size, prompts, warm_up, new_tokens, report)
                if measured is not None:
                    write_measurement(path, measured)
                    report(summary(measured))
                    written.append(path)
        finally:
            subject.release()
            if loaded:
                release(subject.device)
    return written


def tasks_of(calibration: Calibration) -> list[Task]:
    """Return what a calibration times: its models, then its evaluators."""
    settings = calibration.efficiency
    models = [calibration.generation.device] * len(calibration.models)
    evaluators = [calibration.scoring.device] * len(calibration.evaluators)
    devices = {setting: chosen_device(setting) for setting in {*models, *evaluators}}
    kind = random_subjects if settings.weights == "random" else real_subjects
    tasks = [
        Task(
            kind.model_subject(calibration, spec, devices[calibration.generation.device]),
            settings.batch_sizes,
            spec.hardware,
        )
        for spec in calibration.models
    ]
    return tasks + [
        Task(
            kind.evaluator_subject(calibration, spec, devices[calibration.scoring.device]),
            (spec.batch_size,),
        )
        for spec in calibration.evaluators
    ]


def _measured(
    task: Task, batch_size: int, prompts: int, warm_up: int, new_tokens: int, report: Report
) -> dict[str, object] | None:
    """Return one measurement, or ``None`` after saying that the batch does not fit."""
    subject = task.subject
    try:
        return measure_batches(
            subject,
            batch_size,
            prompts=prompts,
            warm_up=warm_up,
            new_tokens=new_tokens if subject.role == "inference" else None,
            hardware=task.hardware,
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if batch_size == min(task.batch_sizes):
            raise InputError(
                f"{subject.node}: out of memory on {subject.device} at batch {batch_size}; "
                "choose a smaller dtype, batch or device"
            ) from error
    report(f"{subject.node}, batch {batch_size}: out of memory; left out")
    return None
