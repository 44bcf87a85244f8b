from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.profile.hardware import catalogue, hardware
from poq_abm.profile.roofline import (
    Workload,
    decode_seconds,
    ideal_seconds,
    memory_fault,
    memory_gb,
    prefill_seconds,
)
from poq_abm.profile.shapes import ModelShape, model_shapes

property_test = settings(deadline=None, derandomize=True, max_examples=200)
#: a thousand weights, 2 layers of width 8, one head: 64 bytes of cache per token
TINY = ModelShape("tiny", "decoder", 1000, 2, 8, 1, 8, 2)
SLOW = replace(hardware("t4"), bandwidth_gb_s=1e-6, tflops=1e-9)  # 1000 bytes/s, 1000 operations/s
FAST = 1e9

shapes = st.sampled_from(list(model_shapes().values()))
machines = st.sampled_from(list(catalogue().values()))
works = st.builds(Workload, st.integers(1, 4000), st.integers(0, 2000), st.integers(1, 64))


def test_reading_a_prompt_by_hand() -> None:
    work = Workload(prompt_tokens=10, new_tokens=0)
    by_arithmetic = replace(SLOW, bandwidth_gb_s=FAST)
    # 10 tokens x (2 x 1000 + 4 x 2 x 8 x 5) operations
    assert prefill_seconds(TINY, by_arithmetic, work) == pytest.approx(23.2)
    by_bytes = replace(SLOW, tflops=FAST)
    assert prefill_seconds(TINY, by_bytes, work) == pytest.approx(2.0)
    assert prefill_seconds(TINY, SLOW, work) == pytest.approx(23.2)


def test_writing_an_answer_by_hand() -> None:
    work = Workload(prompt_tokens=10, new_tokens=4, batch=2)
    # 4 tokens x (2000 bytes of weights + 2 x 12 tokens x 64 bytes of cache)
    assert decode_seconds(TINY, replace(SLOW, tflops=FAST), work) == pytest.approx(14.144)
    # 4 tokens x 2 answers x (2000 + 4 x 2 x 8 x 12) operations
    by_arithmetic = replace(SLOW, bandwidth_gb_s=FAST)
    assert decode_seconds(TINY, by_arithmetic, work) == pytest.approx(22.144)


def test_memory_by_hand() -> None:
    big = replace(TINY, parameters=10**9)
    # 2 GB of weights, 10^6 tokens x 64 bytes of cache, 1 GB reserved
    assert memory_gb(big, Workload(10**6 - 100, 100)) == pytest.approx(3.064)


def test_a_model_that_does_not_fit_is_told_need_and_capacity() -> None:
    need = memory_gb(model_shapes()["llama_3_1_70b"])
    assert need == pytest.approx(142.3, abs=0.05)
    assert memory_fault("big", need, hardware("h200_sxm")) == (
        "'big' needs 142.3 GB of memory, and 'h200_sxm' has 141 GB"
    )
    assert memory_fault("big", need, hardware("m2_ultra")) is None
    assert memory_fault("exact", 24.0, hardware("rtx_4090")) is None


def test_an_encoder_keeps_no_cache() -> None:
    encoder = replace(TINY, kind="encoder")
    assert encoder.cache_bytes_per_token == 0
    assert TINY.cache_bytes_per_token == 64


@property_test
@given(shapes, machines, works, st.floats(1.0, 100.0))
def test_a_machine_better_in_everything_is_faster_by_that_factor(
    shape: ModelShape, machine, work: Workload, factor: float
) -> None:
    better = replace(
        machine, bandwidth_gb_s=machine.bandwidth_gb_s * factor, tflops=machine.tflops * factor
    )
    assert ideal_seconds(shape, better, work) * factor == pytest.approx(
        ideal_seconds(shape, machine, work), rel=1e-12
    )


@property_test
@given(shapes, machines, works)
def test_more_work_never_takes_less_time_nor_memory(shape: ModelShape, machine, work) -> None:
    more = replace(work, prompt_tokens=work.prompt_tokens + 50, new_tokens=work.new_tokens + 50)
    assert ideal_seconds(shape, machine, more) > ideal_seconds(shape, machine, work)
    assert memory_gb(shape, more) >= memory_gb(shape, work)


@property_test
@given(shapes, machines, works)
def test_a_batch_never_costs_a_job_more_than_working_alone(shape, machine, work) -> None:
    alone = replace(work, batch=1)
    assert ideal_seconds(shape, machine, work) <= ideal_seconds(shape, machine, alone) * (1 + 1e-12)
