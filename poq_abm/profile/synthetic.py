"""A profile made of a formula: for cases whose answer is known by hand.

Nothing here is measured. The answer of model m to record r has a truth T, and evaluator e gives it
the score S::

    T = clip(mu + s_T (sqrt(h) a_r + sqrt(1 - h) b_rm))
    S = clip(mu + k_e (T - mu) + bias_e + s_e (sqrt(rho) c_rm + sqrt(1 - rho) d_rme))

with a, b, c and d independent standard normals and clip to [0, 10]. As long as nothing is clipped

    sd S = sqrt(k_e^2 s_T^2 + s_e^2),    cor(T, S) = k_e s_T / sd S,

the errors of any two evaluators have correlation rho, and the truths of two models on one record
have correlation h. The slope k may differ by evaluator and by task, so that an evaluator can follow
the truth in one task and run against it in another.

Each normal has a key of its own, made of the seed, the task, the record, the model and the
evaluator: a larger profile contains the smaller one, bit for bit, and a changed coefficient leaves
the luck as it was.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from reprlib import repr as shortened
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.compilation import compiled_loop
from poq_abm.errors import InputError, nearest
from poq_abm.limits import MAX_SEED
from poq_abm.profile.profile import Profile
from poq_abm.profile.validity import COST_COLUMNS, COST_KEYS, TOP, content_hash
from poq_abm.random import Purpose, normal

__all__ = ["MAX_SCORES", "SyntheticSettings", "synthetic_profile"]

Array = NDArray[np.float64]
PerEntry = float | tuple[float, ...]  #: one value for all evaluators (or models), or one for each

FORMAT: Final = 1  #: raised whenever the same settings would give another table
MAX_RECORDS: Final = 1_000_000
MAX_MODELS: Final = 1_000
MAX_EVALUATORS: Final = 10_000
MAX_TASKS: Final = 100
MAX_SCORES: Final = 20_000_000  #: 160 MB; the draws and their sum need about four times that
MAX_SIZE: Final = 1e6  #: of a slope, bias or spread: far off any scale, and no sum overflows
MIN_LATENCY_MS: Final = 1e-3
EVALUATOR_LATENCY_MS: Final = 1.0
HARDWARE: Final = "none"

_PURPOSE: Final = int(Purpose.PROFILE)
_TASK_SHIFT: Final = 32  # round: task number above bit 32, record below
_RECORD: Final = 1  # replication: 0 is the published profile's, 1 the record, then the models
_FIRST_MODEL: Final = 2
_OWN_TRUTH, _COMMON_ERROR, _FIRST_ERROR = range(3)  # slots of a model on a record

_SIZES = {"records": MAX_RECORDS, "models": MAX_MODELS, "evaluators": MAX_EVALUATORS}
_SCALARS = {"truth_mean": TOP, "truth_sd": MAX_SIZE, "error_correlation": 1.0, "record_share": 1.0}
_NUMBERS = (int, float, np.integer, np.floating)
_TASK = re.compile(r"[a-z0-9_]{1,80}")


@dataclass(frozen=True, kw_only=True)
class SyntheticSettings:
    """What a synthetic profile is made of; score points are points on the scale from 0 to 10.

    Settings that exist are valid: making them raises :class:`~poq_abm.errors.InputError` for a
    wrong type, a value out of range, a list of the wrong length and an unknown or missing task.

    Attributes
    ----------
    records
        Records of each task.
    models, evaluators
        How many there are; they are called ``model_1``, ..., and ``evaluator_1``, ....
    truth_mean, truth_sd
        Mean and standard deviation (0 allowed) of the truth over records and models, before
        clipping, in score points.
    slope
        What a point of truth adds to a score: one number, one for each evaluator, or either of the
        two for each task by name.
    bias, noise_sd
        Shift of the scores, and standard deviation (0 allowed) of the error, in score points: one
        number or one for each evaluator.
    error_correlation
        Correlation of any two evaluators' errors on the same answer, in [0, 1).
    record_share
        Share of the variance of truth that belongs to the record and not to the answer, in [0, 1].
    task
        One task or several; a name is made of a-z, 0-9 and _.
    seed
        Key of every draw.
    latency_ms
        Latency of a job, in milliseconds: one number or one for each model. Equal latencies give
        every inference node cost 0. All evaluators take 1 ms.

    Examples
    --------
    >>> settings = SyntheticSettings(
    ...     evaluators=2, task=("qa", "news"), slope={"qa": 1.0, "news": (-1.0, 1.0)})
    >>> settings.slopes().tolist()
    [[1.0, 1.0], [-1.0, 1.0]]
    """

    records: int = 2000
    models: int = 1
    evaluators: int = 10
    truth_mean: float = 5.0
    truth_sd: float = 1.5
    slope: PerEntry | Mapping[str, PerEntry] = 1.0
    bias: PerEntry = 0.0
    noise_sd: PerEntry = 1.0
    error_correlation: float = 0.0
    record_share: float = 0.5
    task: str | tuple[str, ...] = "qa"
    seed: int = 1
    latency_ms: PerEntry = 1000.0

    def __post_init__(self) -> None:
        for name, value in _checked(self).items():
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash(self.content_hash)  # a mapping of slopes has no hash

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, in order, also where there is only one.

        >>> SyntheticSettings().tasks
        ('qa',)
        """
        return (self.task,) if isinstance(self.task, str) else self.task

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON of all values written out, and of a format version.

        Two ways to write down the same values have the same hash.

        >>> short, long = SyntheticSettings(bias=1.0), SyntheticSettings(bias=(1.0,) * 10)
        >>> short.content_hash == long.content_hash
        True
        """
        return content_hash({"format": f"poq_abm synthetic {FORMAT}", **self.written_out()})

    def slopes(self) -> Array:
        """Return the slope of every evaluator in every task; shape (tasks, evaluators)."""
        slope = self.slope
        by_task = slope if isinstance(slope, Mapping) else dict.fromkeys(self.tasks, slope)
        return np.stack([_each(by_task[task], self.evaluators) for task in self.tasks])

    def written_out(self) -> dict[str, Any]:
        """Return all values as plain JSON, one for each task, evaluator and model.

        They can be read back: ``SyntheticSettings(**settings.written_out())``.

        >>> SyntheticSettings(models=2).written_out()["latency_ms"]
        [1000.0, 1000.0]
        """
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "slope": dict(zip(self.tasks, self.slopes().tolist(), strict=True)),
            "bias": _each(self.bias, self.evaluators).tolist(),
            "noise_sd": _each(self.noise_sd, self.evaluators).tolist(),
            "task": list(self.tasks),
            "latency_ms": _each(self.latency_ms, self.models).tolist(),
        }


def synthetic_profile(settings: SyntheticSettings) -> Profile:
    """Return the profile that ``settings`` describe; nothing is read or written.

    It can be used wherever a measured one can. There is no judge (NaN), and ``provenance`` says
    that everything in it is assumed.

    >>> exact = synthetic_profile(SyntheticSettings(
    ...     records=3, evaluators=2, truth_mean=4.0, truth_sd=0.0, noise_sd=0.0, bias=(0.0, 2.5)))
    >>> exact.scores[0].tolist(), exact.truth.tolist()
    ([[4.0, 6.5]], [[4.0], [4.0], [4.0]])
    """
    tables = [_task_tables(settings, number) for number in range(len(settings.tasks))]
    truth, scores = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    models = tuple(f"model_{i + 1}" for i in range(settings.models))
    evaluators = tuple(f"evaluator_{i + 1}" for i in range(settings.evaluators))
    return Profile(
        name="synthetic",
        content_hash=settings.content_hash,
        tasks=settings.tasks,
        records=tuple(f"{t}_{i + 1:07d}" for t in settings.tasks for i in range(settings.records)),
        task_of_record=np.repeat(np.arange(len(settings.tasks), dtype=np.int64), settings.records),
        models=models,
        evaluators=evaluators,
        scores=scores,
        truth=truth,
        judge=np.full_like(truth, np.nan),
        costs=_costs(models, _each(settings.latency_ms, len(models)), evaluators),
        provenance=_provenance(settings),
    )


# ------------------------------------------------------------------------------------------ tables


@compiled_loop
def _fill_normals(drawn: Array, seed: int, first_replication: int, first_round: int) -> None:
    """Fill ``drawn[t, i, s]`` with the normal of that round, replication and slot."""
    rounds, replications, slots = drawn.shape
    for t in range(rounds):
        for i in range(replications):
            for s in range(slots):
                drawn[t, i, s] = normal(seed, first_replication + i, _PURPOSE, first_round + t, s)


def _task_tables(settings: SyntheticSettings, number: int) -> tuple[Array, Array]:
    """Return one task's truth (records, models) and scores (records, models, evaluators)."""
    first_round = number << _TASK_SHIFT
    record = np.empty((settings.records, 1, 1))
    answer = np.empty((settings.records, settings.models, _FIRST_ERROR + settings.evaluators))
    _fill_normals(record, settings.seed, _RECORD, first_round)
    _fill_normals(answer, settings.seed, _FIRST_MODEL, first_round)
    mean = settings.truth_mean
    luck = _mix(settings.record_share, record[:, :, 0], answer[:, :, _OWN_TRUTH])
    truth = np.clip(mean + settings.truth_sd * luck, 0.0, TOP)
    scores = _mix(
        settings.error_correlation,
        answer[:, :, _COMMON_ERROR, np.newaxis],
        answer[:, :, _FIRST_ERROR:],
    )
    scores *= _each(settings.noise_sd, settings.evaluators)
    scores += mean + _each(settings.bias, settings.evaluators)
    scores += (truth - mean)[:, :, np.newaxis] * settings.slopes()[number]
    return truth, np.clip(scores, 0.0, TOP, out=scores)


def _mix(share: float, common: Array, own: Array) -> Array:
    """Return the standard normal with ``share`` of its variance from ``common``."""
    return np.asarray(math.sqrt(share) * common + math.sqrt(1.0 - share) * own)


def _each(value: PerEntry, count: int) -> Array:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (count,))


def _costs(models: Sequence[str], latency_ms: Array, evaluators: Sequence[str]) -> pd.DataFrame:
    rows = [
        *(("inference", m, HARDWARE, float(ms)) for m, ms in zip(models, latency_ms, strict=True)),
        *(("evaluator", e, HARDWARE, EVALUATOR_LATENCY_MS) for e in evaluators),
    ]
    table = pd.DataFrame(rows, columns=[*COST_KEYS, "latency_ms"])
    return table.reindex(columns=list(COST_COLUMNS))  # what is not known is NaN


def _provenance(settings: SyntheticSettings) -> dict[str, Any]:
    return {
        "summary": "Synthetic: drawn from a formula, not measured on any model.",
        "source": "poq_abm.profile.synthetic",
        "published": [],
        "inferred": [],
        "assumed": [
            "Everything: truth and scores are clipped normals with the settings given here.",
            "Latencies are set, not measured; an evaluator takes 1 ms.",
        ],
        "settings": settings.written_out(),
    }


# -------------------------------------------------------------------------------------- validation


def _checked(settings: SyntheticSettings) -> dict[str, Any]:
    """Return the settings as plain numbers, tuples and dicts, or raise."""
    checked: dict[str, Any] = {
        name: _whole(name, getattr(settings, name), 1, most) for name, most in _SIZES.items()
    }
    checked["seed"] = _whole("seed", settings.seed, 0, MAX_SEED)
    for name, most in _SCALARS.items():
        checked[name] = _number(name, getattr(settings, name), 0.0, most)
    if checked["error_correlation"] == 1.0:
        raise _refusal("error_correlation must be below 1; alike evaluators are one evaluator")
    tasks = _task_names(settings.task)
    checked["task"] = settings.task if isinstance(settings.task, str) else tasks
    models, evaluators = checked["models"], checked["evaluators"]
    scores = checked["records"] * len(tasks) * models * evaluators
    if scores > MAX_SCORES:
        raise _refusal(f"{scores:,} scores in all; at most {MAX_SCORES:,} are possible")
    checked["bias"] = _entries("bias", settings.bias, evaluators, -MAX_SIZE)
    checked["noise_sd"] = _entries("noise_sd", settings.noise_sd, evaluators, 0.0)
    checked["latency_ms"] = _entries("latency_ms", settings.latency_ms, models, MIN_LATENCY_MS)
    checked["slope"] = _checked_slope(settings.slope, tasks, evaluators)
    return checked


def _refusal(message: str) -> InputError:
    return InputError(f"synthetic profile: {message}")


def _whole(name: str, value: object, least: int, most: int) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or not least <= number <= most:
        raise _refusal(
            f"{name} must be a whole number from {least:,} to {most:,}, got {shortened(value)}"
        )
    return number


def _number(name: str, value: Any, least: float, most: float) -> float:
    if type(value) is bool or not isinstance(value, _NUMBERS) or not least <= value <= most:
        raise _refusal(
            f"{name} must be a number from {least:g} to {most:g}, got {shortened(value)}"
        )
    return float(value) + 0.0  # -0.0 and 0.0 are the same settings


def _entries(name: str, value: object, count: int, least: float) -> PerEntry:
    """Return one number, or a tuple of ``count`` numbers, from ``least`` to the largest size."""
    if not isinstance(value, (list, tuple)):
        return _number(name, value, least, MAX_SIZE)
    if len(value) != count:
        raise _refusal(f"{name} must be one number or a list of {count}, got {len(value)} entries")
    return tuple(_number(f"{name}[{i}]", entry, least, MAX_SIZE) for i, entry in enumerate(value))


def _checked_slope(
    value: object, tasks: Sequence[str], evaluators: int
) -> PerEntry | dict[str, PerEntry]:
    if not isinstance(value, Mapping):
        return _entries("slope", value, evaluators, -MAX_SIZE)
    for task in value:
        if task not in tasks:
            raise _refusal(f"slope of unknown task {shortened(task)}; {nearest(task, tasks)}")
    for task in tasks:
        if task not in value:
            raise _refusal(f"slope is missing for task {task!r}")
    return {task: _entries(f"slope.{task}", value[task], evaluators, -MAX_SIZE) for task in tasks}


def _task_names(value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not 1 <= len(names) <= MAX_TASKS:
        raise _refusal(f"task must be a name or 1 to {MAX_TASKS} of them, got {shortened(value)}")
    for name in names:
        if not isinstance(name, str) or not _TASK.fullmatch(name):
            raise _refusal(f"task {shortened(name)} must be made of 1 to 80 of a-z, 0-9 and _")
    if len(set(names)) < len(names):
        raise _refusal(f"task names something twice: {', '.join(names)}")
    return tuple(names)
