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

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from calibration.configuration import Calibration
from calibration.corpus.records import read_corpus
from calibration.latency.machine import hardware_name, hardware_stamp, slug
from calibration.latency.subjects import (
    LoadedSubject,
    TimedSubject,
    evaluator_like,
    model_like,
    real_evaluator,
    real_model,
    spread,
)
from calibration.latency.timing import (
    EnergyMeter,
    Timed,
    memory_kind,
    peak_memory_mb,
    quantiles,
    reset_peak_memory,
)
from calibration.models.devices import chosen_device, is_out_of_memory, release
from calibration.models.endpoint_answers import AskedEndpoint
from calibration.models.generation import outputs
from calibration.models.scoring import scores
from calibration.models.server_keys import origin
from calibration.progress import Report, progress
from calibration.stage_settings import AskedEvaluatorSpec, EfficiencySettings, EndpointSpec
from calibration.workspace import (
    Log,
    Workspace,
    digest,
    naming,
    without_folder,
    write_whole,
)
from poq_abm.errors import InputError

__all__ = [
    "FEWEST_CALLS",
    "TimingJob",
    "is_measured",
    "jobs_of",
    "key_of",
    "measure",
    "measure_all",
    "measure_asked",
    "measure_batches",
    "measure_endpoint",
    "read_measurement",
    "summary",
    "write_measurement",
]


@dataclass(frozen=True)
class TimingJob:
    """A subject and the batch sizes to time it at."""

    subject: TimedSubject
    batch_sizes: tuple[int, ...]
    hardware: str | None = None


def measure(calibration: Calibration, report: Report, *, resend: bool = False) -> list[Path]:
    """Time every model and evaluator of a calibration; return the files, in order.

    ``resend`` asks servers again for what was on its way when an earlier run was killed.

    Raises :class:`~poq_abm.errors.InputError` when a device, a model or a library is not there.
    """
    workspace = Workspace(calibration.out)
    jobs = jobs_of(calibration)
    asked = [
        measure_endpoint(calibration, spec, report, resend=resend) for spec in calibration.endpoints
    ]
    scored = [measure_asked(calibration, spec, report) for spec in calibration.asked_evaluators]
    return [*asked, *scored, *measure_all(jobs, workspace, calibration.efficiency, report)]


def measure_asked(calibration: Calibration, spec: AskedEvaluatorSpec, report: Report) -> Path:
    """Write the times of an evaluator behind a server: those its scores took, all of them."""
    rows = [
        {"served": spec.model, **row, "first_token_s": None, "token_s": None}
        for row in scores(calibration, spec).values()
    ]
    return _write_answers(calibration, spec, rows, spec.concurrency, report)


def measure_endpoint(
    calibration: Calibration, spec: EndpointSpec, report: Report, *, resend: bool = False
) -> Path:
    """Time an endpoint with ``efficiency.concurrency`` requests at once, and return the file.

    The outputs that were asked for in just that way are its timings: nothing is paid for twice.
    Where there are none, ``prompts`` answers are asked for, each kept once it is there.
    """
    workspace, settings = Workspace(calibration.out), calibration.efficiency
    records = read_corpus(workspace.corpus)
    made = outputs(calibration, spec, records).values()
    rows = [row for row in made if row["concurrency"] == settings.concurrency]
    if not rows:
        log = Log(workspace.timed(spec.name, settings.concurrency))
        some = spread(records, settings.prompts)
        asked = AskedEndpoint(calibration, spec, some, log, settings.concurrency)
        asked.complete(report, resend=resend)
        rows = asked.rows()
    return _write_answers(calibration, spec, rows, settings.concurrency, report)


def _write_answers(
    calibration: Calibration,
    spec: EndpointSpec | AskedEvaluatorSpec,
    rows: Sequence[dict[str, Any]],
    concurrency: int,
    report: Report,
) -> Path:
    """Write the measurement that answers make, unless it is there, and return the file."""
    if not rows:
        raise InputError(f"{spec.name}: no answer to time; run again when the server gives any")
    role = "inference" if isinstance(spec, EndpointSpec) else "evaluator"
    path = Workspace(calibration.out).efficiency(role, spec.name, 1)
    key = digest({"format": _FORMAT, "rows": [[row["key"], row["seconds"]] for row in rows]})
    if is_measured(path, key):
        report(f"{spec.name}: already measured")
        return path
    measured = _of_answers(calibration, spec, rows, role, concurrency)
    write_measurement(path, {**measured, "key": key})
    report(summary(measured))
    return path


def _of_answers(
    calibration: Calibration,
    spec: EndpointSpec | AskedEvaluatorSpec,
    rows: Sequence[dict[str, Any]],
    role: str,
    concurrency: int,
) -> dict[str, Any]:
    """Return the measurement that the answers of a server make."""
    timed = [
        Timed(
            1000.0 * row["seconds"],
            None if row["first_token_s"] is None else 1000.0 * row["first_token_s"],
            () if row["token_s"] is None else (1000.0 * row["token_s"],),
            row["output_tokens"] or 0,
        )
        for row in rows
    ]
    counted = [row["input_tokens"] for row in rows]
    place, served = origin(spec.base_url), without_folder(rows[0]["served"])
    return {
        "role": role,
        "node": spec.name,
        "hardware": spec.hardware or slug(place.partition("://")[2]),
        "batch_size": 1,
        "concurrency": concurrency,
        "new_tokens": calibration.generation.max_new_tokens if role == "inference" else None,
        "weights": "endpoint",
        **_times(role, 1, timed),
        "input_tokens": None if None in counted else counted,
        "peak_memory_mb": None,
        "peak_memory_of": "the server's, which it does not tell",
        "energy_j": None,
        "prompts": len(rows),
        "warm_up": 0,
        "stamp": {"endpoint": place, "served": served, "concurrency": concurrency},
    }


def measure_all(
    jobs: Iterable[TimingJob], workspace: Workspace, settings: EfficiencySettings, report: Report
) -> list[Path]:
    """Time every job and return the files; a batch that does not fit in memory has none.

    A model is in memory only while it is timed, and is not loaded at all when nothing of it is
    left to time.
    """
    written: list[Path] = []
    for job in jobs:
        subject = job.subject
        loaded: LoadedSubject | None = None
        try:
            for batch_size in job.batch_sizes:
                path = workspace.efficiency(subject.role, subject.node, batch_size)
                if is_measured(path, key_of(subject, batch_size, settings, job.hardware)):
                    report(f"{subject.node}, batch {batch_size}: already measured")
                    written.append(path)
                    continue
                if loaded is None:
                    report(f"{subject.node}: loading on {subject.device}")
                    loaded = subject.load()
                measured = _measured(job, loaded, batch_size, settings, report)
                if measured is not None:
                    write_measurement(path, measured)
                    report(summary(measured))
                    written.append(path)
        finally:
            if loaded is not None:
                loaded = None
                release(subject.device)
    return written


def jobs_of(calibration: Calibration) -> list[TimingJob]:
    """Return what a calibration times: its models, then its evaluators."""
    settings = calibration.efficiency
    models = [calibration.generation.device] * len(calibration.checkpoints)
    evaluators = [calibration.scoring.device] * len(calibration.encoders)
    devices = {setting: chosen_device(setting) for setting in {*models, *evaluators}}
    is_random = settings.weights == "random"
    of_model = model_like if is_random else real_model
    of_evaluator = evaluator_like if is_random else real_evaluator
    on, scored_on = calibration.generation.device, calibration.scoring.device
    return [
        *(
            TimingJob(of_model(calibration, spec, devices[on]), settings.batch_sizes, spec.hardware)
            for spec in calibration.checkpoints
        ),
        *(
            TimingJob(of_evaluator(calibration, spec, devices[scored_on]), (spec.batch_size,))
            for spec in calibration.encoders
        ),
    ]


def _measured(
    job: TimingJob,
    loaded: LoadedSubject,
    batch_size: int,
    settings: EfficiencySettings,
    report: Report,
) -> dict[str, object] | None:
    """Return one measurement, or ``None`` after saying that the batch does not fit."""
    subject = job.subject
    try:
        calls = settings.warm_up + timed_calls(settings.prompts, batch_size)
        with progress(report, f"{subject.node}, batch {batch_size}", calls) as advance:
            return measure_batches(subject, loaded, batch_size, settings, job.hardware, advance)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if batch_size == min(job.batch_sizes):
            raise InputError(
                f"{subject.node}: out of memory on {subject.device} at batch {batch_size}; "
                "choose a smaller dtype, batch or device"
            ) from error
    report(f"{subject.node}, batch {batch_size}: out of memory; left out")
    return None


#: With large batches a few calls would cover the prompts; a distribution needs more.
FEWEST_CALLS = 20
_FORMAT = 1
_NUMBERS = ("throughput_tokens_per_s", "peak_memory_mb", "energy_j")
_LATENCY_OF = {
    "inference": "an answer: until its whole batch is complete",
    "evaluator": "a pair: its equal share of the batch",
}


def measure_batches(
    subject: TimedSubject,
    loaded: LoadedSubject,
    batch_size: int,
    settings: EfficiencySettings,
    hardware: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Return the measurement of a loaded subject as plain JSON; unknown numbers are ``None``.

    The warm-up batches come first and are not counted. The prompts are timed in whole batches, at
    least :data:`FEWEST_CALLS` of them or as many as there are prompts. Latencies are
    milliseconds, one per timed batch: of an inference model the time until the answers of the batch
    are complete, of an evaluator the batch's time divided by its pairs.
    """
    calls, warm_up = timed_calls(settings.prompts, batch_size), settings.warm_up
    batches = loaded.batches(batch_size, warm_up + calls)

    def run(batch: Any) -> Timed:
        timed = loaded.run(batch)
        advance()
        return timed

    for batch in batches[:warm_up]:
        run(batch)
    reset_peak_memory(subject.device)
    meter = EnergyMeter(subject.device)
    before = meter.joules()
    timed = [run(batch) for batch in batches[warm_up:]]
    joules = (meter.joules() - before) / (calls * batch_size)
    lengths = [loaded.tokens_in(batch) for batch in batches[warm_up:]]
    return {
        "role": subject.role,
        "node": subject.node,
        "hardware": hardware or hardware_name(subject.device),
        "batch_size": batch_size,
        "new_tokens": settings.new_tokens if subject.role == "inference" else None,
        "weights": subject.weights,
        **_times(subject.role, batch_size, timed),
        "input_tokens": None if None in lengths else lengths,
        "peak_memory_mb": _known(peak_memory_mb(subject.device)),
        "peak_memory_of": memory_kind(subject.device),
        "energy_j": _known(joules),
        "prompts": settings.prompts,
        "warm_up": warm_up,
        "key": key_of(subject, batch_size, settings, hardware),
        "stamp": hardware_stamp(subject.device),
    }


def timed_calls(prompts: int, batch_size: int) -> int:
    """Return the number of timed batches.

    >>> timed_calls(100, 1), timed_calls(100, 32), timed_calls(5, 32)
    (100, 20, 5)
    """
    return max(math.ceil(prompts / batch_size), min(prompts, FEWEST_CALLS))


def key_of(
    subject: TimedSubject,
    batch_size: int,
    settings: EfficiencySettings,
    hardware: str | None = None,
) -> str:
    """Return the SHA-256 (hex) of all that the times of a subject depend on, hardware included."""
    stamp = hardware_stamp(subject.device)
    return digest(
        {
            "format": _FORMAT,
            "role": subject.role,
            "node": subject.node,
            "weights": subject.weights,
            "identity": dict(subject.identity),
            "batch_size": batch_size,
            "prompts": settings.prompts,
            "warm_up": settings.warm_up,
            "hardware": hardware or stamp["hardware"],
            "versions": stamp["versions"],
        }
    )


def is_measured(path: Path, key: str) -> bool:
    """Say whether ``path`` holds the measurement with this key; a damaged file does not."""
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["key"] == key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_measurement(path: Path, measurement: dict[str, Any]) -> None:
    """Write a measurement, whole or not at all."""
    write_whole(path, json.dumps(measurement, indent=1, allow_nan=False) + "\n")


def read_measurement(path: Path) -> dict[str, Any]:
    """Return a measurement with NaN for numbers that are not known.

    Raises :class:`~poq_abm.errors.InputError` when the file cannot be read or is something else.
    """
    with naming(path, "read"):
        text = path.read_text(encoding="utf-8")
    try:
        found: dict[str, Any] = json.loads(text)
        unknown = {name: math.nan for name in _NUMBERS if found[name] is None}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no measurement; delete it and measure again") from error
    return {**found, **unknown}


def summary(measurement: dict[str, Any]) -> str:
    """Return a measurement in one line.

    >>> summary({"node": "m", "batch_size": 1, "latencies_ms": [1.0, 3.0, 2.0],
    ...          "decode_ms_per_token": []})
    'm, batch 1: median 2 ms'
    """
    line = f"{measurement['node']}, batch {measurement['batch_size']}: "
    line += f"median {median(measurement['latencies_ms']):.4g} ms"
    if measurement["decode_ms_per_token"]:
        line += f", {median(measurement['decode_ms_per_token']):.4g} ms per token"
    return line


def _times(role: str, batch_size: int, timed: list[Timed]) -> dict[str, Any]:
    share = batch_size if role == "evaluator" else 1
    seconds = sum(each.latency_ms for each in timed) / 1000.0
    tokens = sum(each.tokens for each in timed)
    steps = [step for each in timed for step in each.decode_ms]
    return {
        "latencies_ms": [each.latency_ms / share for each in timed],
        "latency_of": _LATENCY_OF[role],
        "prefill_ms": [each.prefill_ms for each in timed if each.prefill_ms is not None],
        "decode_ms_per_token": [median(each.decode_ms) for each in timed if each.decode_ms],
        "decode_steps_ms": quantiles(steps),
        "output_tokens": fmean(each.tokens for each in timed) / batch_size if tokens else None,
        "throughput_tokens_per_s": tokens / seconds if tokens else None,
        "throughput_items_per_s": batch_size * len(timed) / seconds,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
