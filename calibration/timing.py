"""How long one piece of work takes: a generation step by step, or one batch of pairs.

The device is synchronised before the clock starts and before it stops, so that no work of another
call is counted and none of this one is missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.libraries import library
from calibration.meters import StepClock, synchronise

__all__ = ["Timed", "quantiles", "time_call", "time_generation", "token_batches"]

_STRIDE = 7919  # a prime, so that neighbours differ
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Timed:
    """One timed batch, milliseconds.

    ``prefill_ms`` is from the start to the first new token, ``decode_ms`` has one entry for each
    token after it, and both lie inside ``latency_ms``; a batch of pairs has neither. ``tokens``
    counts the new tokens of the whole batch, without padding.
    """

    latency_ms: float
    prefill_ms: float | None = None
    decode_ms: tuple[float, ...] = ()
    tokens: int = 0


def time_generation(model: Any, inputs: Mapping[str, Any], *, device: str, settings: Any) -> Timed:
    """Return the times of a call of ``model.generate`` with these generation ``settings``.

    ``inputs`` are tensors with ``input_ids`` of shape (batch, prompt) on ``device``. A stopping
    criterion that never stops marks each step.
    """
    torch = library("torch")
    clock = StepClock(device)

    def mark(input_ids: Any, *_: Any, **__: Any) -> Any:
        clock.mark()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    marks = library("transformers").StoppingCriteriaList([mark])
    model.generation_config = settings
    synchronise(device)
    start = time.perf_counter()
    clock.mark()
    with torch.inference_mode():
        output = model.generate(**inputs, stopping_criteria=marks)
    synchronise(device)
    latency_ms = 1000.0 * (time.perf_counter() - start)
    prefill_ms, *decode_ms = clock.gaps_ms()
    new = output[:, inputs["input_ids"].shape[1] :]
    return Timed(
        latency_ms, prefill_ms, tuple(decode_ms), _written(new.tolist(), settings.eos_token_id)
    )


def time_call(call: Callable[[], object], *, device: str = "cpu") -> float:
    """Return the milliseconds that ``call`` takes.

    >>> time_call(lambda: None) >= 0.0
    True
    """
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return 1000.0 * (time.perf_counter() - start)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the number of values and their quantiles, by name.

    >>> quantiles([1.0, 2.0, 3.0])["p50"]
    2.0
    """
    found = np.quantile(np.asarray(values, dtype=np.float64), QUANTILES) if len(values) else ()
    named = {f"p{round(100 * q):02d}": float(v) for q, v in zip(QUANTILES, found, strict=False)}
    return {"count": len(values), **named}


def token_batches(
    lengths: Sequence[int], batch_size: int, calls: int, *, vocabulary: int
) -> list[NDArray[np.int64]]:
    """Return ``calls`` batches of made-up token ids; shape (batch, longest prompt of the batch).

    Prompts take their lengths from ``lengths`` in a circle. Every row is as long as the longest of
    its batch, as it would be with padding: padding costs what tokens cost. The ids walk through the
    vocabulary; which ones they are costs nothing.

    >>> [batch.shape for batch in token_batches([3, 5], 2, 1, vocabulary=10)]
    [(2, 5)]
    """
    batches = []
    for call in range(calls):
        first = call * batch_size
        longest = max(lengths[(first + i) % len(lengths)] for i in range(batch_size))
        steps = np.arange(first, first + batch_size * longest, dtype=np.int64)
        batches.append((steps * _STRIDE % vocabulary).reshape(batch_size, longest))
    return batches


def _written(rows: Sequence[Sequence[int]], ends: Sequence[int] | None) -> int:
    """Count the new tokens of each row up to and with its first end."""
    stops = frozenset(ends or ())
    firsts = (next((i + 1 for i, t in enumerate(row) if t in stops), len(row)) for row in rows)
    return sum(firsts)
