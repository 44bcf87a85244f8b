"""The roofline: the least time a model's bytes and arithmetic can take on a machine.

A phase of work that moves B bytes and takes F operations lasts at least max(B / bandwidth,
F / peak) (Williams, Waterman and Patterson, Communications of the ACM 52, 2009). Reading the
prompt is one such phase; each token written is another, which reads all weights and the cache of
keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass

from poq_abm.profile.hardware import Hardware
from poq_abm.profile.shapes import ModelShape

__all__ = [
    "EVALUATOR_WORK",
    "INFERENCE_WORK",
    "RESERVED_GB",
    "Workload",
    "decode_seconds",
    "ideal_seconds",
    "memory_fault",
    "memory_gb",
    "prefill_seconds",
    "usual_work",
]

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
    >>> from poq_abm.profile.shapes import model_shapes
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
    >>> from poq_abm.profile.shapes import model_shapes
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

    >>> from poq_abm.profile.shapes import model_shapes
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
