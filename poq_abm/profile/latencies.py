"""The latency of a model on a machine: as measured, or estimated from what was measured elsewhere.

An estimate scales each measurement of the model by the roofline, the least time its bytes and
arithmetic can take:

    latency(model, machine) = ideal(model, machine) / efficiency(model)

where efficiency(model) is the geometric mean of ideal over measured latency on the machines that
were measured. It belongs to the model because it holds, beside the efficiency of the runtime, how
long the model's answers are, which a profile does not tell.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from poq_abm.errors import InputError, nearest
from poq_abm.profile.hardware import Hardware, catalogue, hardware

if TYPE_CHECKING:
    from poq_abm.profile.profile import Profile

__all__ = [
    "EVALUATOR_WORK",
    "INFERENCE_WORK",
    "RESERVED_GB",
    "Efficiency",
    "MeanLatency",
    "ModelShape",
    "Workload",
    "decode_seconds",
    "efficiency_of",
    "hardware_fault",
    "ideal_seconds",
    "latency_of",
    "memory_fault",
    "memory_gb",
    "model_shapes",
    "prefill_seconds",
    "usual_work",
]

_TABLE = Path(__file__).parent / "data" / "model_shapes.csv"


@dataclass(frozen=True)
class ModelShape:
    """The dimensions of one model that bytes and arithmetic depend on.

    >>> shape = model_shapes()["llama_3_2_3b"]
    >>> round(shape.weight_bytes / 1e9, 2), shape.cache_bytes_per_token
    (6.43, 114688)
    """

    key: str
    kind: str  #: ``decoder``, which writes token by token, or ``encoder``, which reads once
    parameters: int
    layers: int
    hidden: int  #: width of a layer
    kv_heads: int  #: heads whose keys and values are kept
    head_dim: int
    bytes_per_parameter: int

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        return self.parameters * self.bytes_per_parameter

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token leaves behind; an encoder keeps none."""
        if self.kind == "encoder":
            return 0
        return 2 * self.layers * self.kv_heads * self.head_dim * self.bytes_per_parameter

    def operations(self, context: float) -> float:
        """Return the arithmetic of one token that attends to ``context`` others.

        ``2 parameters + 4 layers hidden context``: a multiplication and an addition for each
        weight, and twice the same for each pair of tokens in attention.

        >>> ModelShape("tiny", "decoder", 1000, 2, 8, 1, 8, 2).operations(10)
        2640.0
        """
        return 2.0 * self.parameters + 4.0 * self.layers * self.hidden * context


@cache
def model_shapes() -> Mapping[str, ModelShape]:
    """Return every known shape by the key of its model.

    >>> "phi3_mini_4k" in model_shapes()
    True
    """
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = [
            ModelShape(row["key"], row["kind"], *(int(row[name]) for name in _NUMBERS))
            for row in csv.DictReader(file)
        ]
    return MappingProxyType({row.key: row for row in rows})


_NUMBERS = ("parameters", "layers", "hidden", "kv_heads", "head_dim", "bytes_per_parameter")
RESERVED_GB = 1.0  #: activations and the runtime itself, beside weights and cache; assumed


@dataclass(frozen=True)
class Workload:
    """One batch of jobs: tokens read and written by each, and how many share a batch."""

    prompt_tokens: int
    new_tokens: int
    batch: int = 1


#: means of the corpora that the published study draws from, answers of 128 tokens; assumed
INFERENCE_WORK = Workload(prompt_tokens=610, new_tokens=128)
#: a question or summary beside an answer, in the published batch of 32; lengths assumed
EVALUATOR_WORK = Workload(prompt_tokens=168, new_tokens=0, batch=32)


def usual_work(shape: ModelShape) -> Workload:
    """Return the workload that estimates of a model of this kind assume."""
    return EVALUATOR_WORK if shape.kind == "encoder" else INFERENCE_WORK


def prefill_seconds(shape: ModelShape, machine: Hardware, work: Workload) -> float:
    """Return the least time in seconds in which a batch of prompts can be read.

    max(weights / bandwidth, batch x prompt x operations / peak).

    >>> from poq_abm.profile.hardware import hardware
    >>> from poq_abm.profile.latencies import model_shapes
    >>> shape = model_shapes()["llama_3_2_3b"]
    >>> round(1000 * prefill_seconds(shape, hardware("rtx_4090"), INFERENCE_WORK), 1)
    24.1
    """
    operations = work.batch * work.prompt_tokens * shape.operations(work.prompt_tokens / 2)
    return _phase(shape.weight_bytes, operations, machine)


def decode_seconds(shape: ModelShape, machine: Hardware, work: Workload) -> float:
    """Return the least time in seconds in which a batch can write its answers.

    new x max((weights + batch x context x cache) / bandwidth, batch x operations / peak), at the
    mean context: the prompt and half of the answer.

    >>> from poq_abm.profile.hardware import hardware
    >>> from poq_abm.profile.latencies import model_shapes
    >>> shape = model_shapes()["llama_3_2_3b"]
    >>> round(1000 * decode_seconds(shape, hardware("rtx_4090"), INFERENCE_WORK), 1)
    825.8
    """
    context = work.prompt_tokens + work.new_tokens / 2
    moved = shape.weight_bytes + work.batch * context * shape.cache_bytes_per_token
    return work.new_tokens * _phase(moved, work.batch * shape.operations(context), machine)


def ideal_seconds(shape: ModelShape, machine: Hardware, work: Workload | None = None) -> float:
    """Return the least time per job in seconds: both phases, shared by the batch.

    Without ``work``, :func:`usual_work`. What a runtime takes is this over its efficiency.
    """
    work = work or usual_work(shape)
    phases = prefill_seconds(shape, machine, work) + decode_seconds(shape, machine, work)
    return phases / work.batch


def memory_gb(shape: ModelShape, work: Workload | None = None) -> float:
    """Return the memory a model needs, in GB: weights, the full cache, and what is reserved.

    >>> from poq_abm.profile.latencies import model_shapes
    >>> round(memory_gb(model_shapes()["llama_3_1_70b"]), 1)
    142.3
    """
    work = work or usual_work(shape)
    tokens = work.batch * (work.prompt_tokens + work.new_tokens)
    return (shape.weight_bytes + tokens * shape.cache_bytes_per_token) / 1e9 + RESERVED_GB


def memory_fault(model: str, need_gb: float, machine: Hardware) -> str | None:
    """Return what to say where ``need_gb`` exceeds the machine's memory, or ``None``.

    >>> from poq_abm.profile.hardware import hardware
    >>> memory_fault("huge", 142.3, hardware("rtx_4090"))
    "'huge' needs 142.3 GB of memory, and 'rtx_4090' has 24 GB"
    """
    if need_gb <= machine.memory_gb:
        return None
    return (
        f"{model!r} needs {need_gb:.1f} GB of memory, and {machine.key!r} has "
        f"{machine.memory_gb:g} GB"
    )


def _phase(moved: float, operations: float, machine: Hardware) -> float:
    return max(moved / (machine.bandwidth_gb_s * 1e9), operations / (machine.tflops * 1e12))


Source = Literal["measured", "estimated"]


class MeanLatency(NamedTuple):
    """The mean latency of one job, and where the number comes from."""

    ms: float
    source: Source


class Efficiency(NamedTuple):
    """Ideal over measured time: geometric mean over pairs, with Student's 95 % interval."""

    value: float
    low: float  #: NaN with fewer than two pairs
    high: float
    pairs: int  #: measured pairs of model and machine that both tables know


def latency_of(profile: Profile, model: str, machine: str) -> MeanLatency:
    """Return the mean latency of ``model`` on ``machine``: measured where that was done.

    Raises :class:`~poq_abm.errors.InputError` when it was not and cannot be estimated: neither
    profile nor catalogue knows the machine, the model does not fit into its memory, or there is
    nothing to scale from.

    >>> from poq_abm.profile import load_profile
    >>> profile = load_profile("published")
    >>> latency_of(profile, "llama_3_2_3b", "rtx_4090")
    MeanLatency(ms=1077.7, source='measured')
    >>> latency_of(profile, "llama_3_2_3b", "rtx_3090").source
    'estimated'
    """
    measured = profile.hardware_of(model)
    if machine in measured:
        return MeanLatency(profile.latency_ms(model, machine), "measured")
    if machine not in catalogue():
        raise InputError(
            f"{model!r} was not measured on {machine!r}, and the hardware catalogue has none of "
            f"that name; {nearest(machine, {*catalogue(), *measured})}"
        )
    return MeanLatency(_estimated(profile, model, hardware(machine)), "estimated")


def hardware_fault(profile: Profile, model: str, machine: str) -> str | None:
    """Return why there is no latency of ``model`` on ``machine``, or ``None`` where there is one.

    >>> from poq_abm.profile import load_profile
    >>> hardware_fault(load_profile("published"), "llama_3_2_3b", "rtx_3090") is None
    True
    """
    try:
        latency_of(profile, model, machine)
    except InputError as error:
        return str(error)
    return None


def efficiency_of(profile: Profile, role: Literal["inference", "evaluator"]) -> Efficiency:
    """Return the one efficiency that fits all measured pairs of a role best.

    exp(mean of log(ideal / measured)). Its interval says how far the models of a profile differ,
    in the runtime's efficiency and in the length of their answers together; no estimate of
    :func:`latency_of` depends on it, since each model has its own. NaN without any pair.

    >>> from poq_abm.profile import load_profile
    >>> efficiency = efficiency_of(load_profile("published"), "inference")
    >>> round(efficiency.value, 2), efficiency.pairs
    (0.37, 5)
    """
    names = profile.models if role == "inference" else profile.evaluators
    logs = [
        math.log(1000.0 * ideal_seconds(model_shapes()[name], hardware(machine)) / ms)
        for name in names
        if name in model_shapes()
        for machine, ms in _anchors(profile, name)
    ]
    if not logs:
        return Efficiency(math.nan, math.nan, math.nan, 0)
    mean, half = float(np.mean(logs)), math.nan
    if len(logs) > 1:
        from scipy.special import stdtrit  # noqa: PLC0415  (slow to import)

        error = float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
        half = error * float(stdtrit(len(logs) - 1, 0.975))
    return Efficiency(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(logs))


def _anchors(profile: Profile, model: str) -> list[tuple[str, float]]:
    """Return the machines of the catalogue on which a model was measured, with the latencies."""
    machines = [name for name in profile.hardware_of(model) if name in catalogue()]
    return [(name, profile.latency_ms(model, name)) for name in machines]


def _estimated(profile: Profile, model: str, machine: Hardware) -> float:
    """Return the geometric mean of what each measurement of the model implies for ``machine``."""
    anchors = _anchors(profile, model)
    if not anchors:
        known = ", ".join(map(repr, profile.hardware_of(model)))
        raise InputError(
            f"{model!r} was not measured on {machine.key!r} nor on any hardware of the catalogue, "
            f"so there is nothing to scale from; measured on: {known}"
        )
    fault = memory_fault(model, _needed_gb(profile, model), machine)
    if fault:
        raise InputError(fault)
    implied = [
        math.log(ms * _time(model, machine) / _time(model, hardware(name))) for name, ms in anchors
    ]
    return math.exp(math.fsum(implied) / len(implied))


def _time(model: str, machine: Hardware) -> float:
    """Return what latencies of one model are proportional to across machines.

    Without a shape it is the time to move a byte, to which the roofline of a decoder tends as
    answers grow long.
    """
    shape = model_shapes().get(model)
    return 1.0 / machine.bandwidth_gb_s if shape is None else ideal_seconds(shape, machine)


def _needed_gb(profile: Profile, model: str) -> float:
    """Return the memory a model needs, or raise where neither shape nor measurement tells."""
    shape = model_shapes().get(model)
    if shape is not None:
        return memory_gb(shape)
    peak_mb = _measured_peak_mb(profile, model)
    if peak_mb is None or model in profile.evaluators:
        known = ", ".join(map(repr, profile.hardware_of(model)))
        raise InputError(
            f"the latency of {model!r} cannot be estimated: the table of model shapes does not "
            f"know it, and without a shape only inference models with a measured peak memory are "
            f"scaled; measured on: {known}"
        )
    return peak_mb / 1000.0


def _measured_peak_mb(profile: Profile, model: str) -> float | None:
    """Return the most memory that any measurement of a model took, or ``None`` if not known."""
    if "peak_memory_mb" not in profile.costs.columns:
        return None
    peak = profile.costs.loc[profile.costs["node"] == model, "peak_memory_mb"].max()
    return None if math.isnan(peak) else float(peak)
