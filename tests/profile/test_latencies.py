"""None"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.errors import InputError
from poq_abm.profile import Profile, latency_of, load_profile
from poq_abm.profile.hardware import catalogue, hardware
from poq_abm.profile.latencies import (
    ModelShape,
    Workload,
    decode_seconds,
    efficiency_of,
    hardware_fault,
    ideal_seconds,
    memory_fault,
    memory_gb,
    model_shapes,
    prefill_seconds,
)

PUBLISHED = load_profile("published")


def remeasured(*rows: tuple[str, str, str, float, float]) -> Profile:
    """The published profile with costs of its own: role, node, hardware, ms, peak in MB."""
    columns = ["role", "node", "hardware", "latency_ms", "peak_memory_mb"]
    nodes = {
        role: tuple(dict.fromkeys(row[1] for row in rows if row[0] == role))
        for role in ("inference", "evaluator")
    }
    return replace(
        PUBLISHED,
        costs=pd.DataFrame(rows, columns=columns),
        models=nodes["inference"],
        evaluators=nodes["evaluator"],
    )


@pytest.mark.parametrize("node", [*PUBLISHED.models, *PUBLISHED.evaluators])
def test_what_was_measured_is_left_as_it_is(node: str) -> None:
    latency = latency_of(PUBLISHED, node, "rtx_4090")
    assert latency == (PUBLISHED.latency_ms(node, "rtx_4090"), "measured")


@pytest.mark.parametrize("node", [*PUBLISHED.models, *PUBLISHED.evaluators])
@pytest.mark.parametrize("machine", sorted(set(catalogue()) - {"rtx_4090"}))
def test_an_estimate_lies_between_the_ratios_of_bandwidth_and_arithmetic(
    node: str, machine: str
) -> None:
    latency = latency_of(PUBLISHED, node, machine)
    assert latency.source == "estimated"
    here, there = hardware("rtx_4090"), hardware(machine)
    ratios = (here.bandwidth_gb_s / there.bandwidth_gb_s, here.tflops / there.tflops)
    grown = latency.ms / PUBLISHED.latency_ms(node, "rtx_4090")
    # A model may be bound by bytes on one machine and by arithmetic on the other.
    assert min(ratios) * (1 - 1e-12) <= grown <= max(ratios) * (1 + 1e-12)


def test_two_measurements_are_scaled_and_averaged_geometrically() -> None:
    profile = remeasured(
        ("inference", "llama_3_2_3b", "rtx_4090", 1000.0, math.nan),
        ("inference", "llama_3_2_3b", "rtx_3090", 1500.0, math.nan),
    )
    shape = model_shapes()["llama_3_2_3b"]
    ideal = {name: ideal_seconds(shape, hardware(name)) for name in catalogue()}
    one = 1000.0 * ideal["l40s"] / ideal["rtx_4090"]
    two = 1500.0 * ideal["l40s"] / ideal["rtx_3090"]
    assert latency_of(profile, "llama_3_2_3b", "l40s").ms == pytest.approx(math.sqrt(one * two))


def test_an_estimate_finds_what_the_roofline_made() -> None:
    """Latencies made with one efficiency come back on machines that were left out."""
    rows: list[Any] = []
    for node in PUBLISHED.models:
        for machine in ("rtx_4090", "a100_80gb"):
            ms = 1000.0 * ideal_seconds(model_shapes()[node], hardware(machine)) / 0.4
            rows.append(("inference", node, machine, ms, math.nan))
    profile = remeasured(*rows)
    efficiency = efficiency_of(profile, "inference")
    assert efficiency.pairs == 10
    assert efficiency[:3] == pytest.approx((0.4, 0.4, 0.4))
    for node in PUBLISHED.models:
        made = 1000.0 * ideal_seconds(model_shapes()[node], hardware("h100_sxm")) / 0.4
        assert latency_of(profile, node, "h100_sxm").ms == pytest.approx(made)


def test_the_efficiency_of_the_published_profile_is_a_share_with_a_wide_interval() -> None:
    value, low, high, pairs = efficiency_of(PUBLISHED, "inference")
    logs = np.log(
        [
            1000.0 * ideal_seconds(model_shapes()[node], hardware("rtx_4090"))
            / PUBLISHED.latency_ms(node, "rtx_4090")
            for node in PUBLISHED.models
        ]
    )  # fmt: skip
    assert (value, pairs) == (pytest.approx(np.exp(logs.mean())), 5)
    # Student's t with 4 degrees of freedom
    half = 2.7764451 * logs.std(ddof=1) / math.sqrt(5)
    assert (low, high) == pytest.approx((value * np.exp(-half), value * np.exp(half)))
    assert np.all(np.exp(logs) < 1.0), "nothing beats the roofline"


def test_one_pair_gives_no_interval_and_none_no_efficiency() -> None:
    profile = remeasured(("inference", "llama_3_2_3b", "rtx_4090", 1000.0, math.nan))
    one, none = (efficiency_of(profile, role) for role in ("inference", "evaluator"))  # type: ignore[arg-type]
    assert one.value > 0
    assert math.isnan(one.low)
    assert none.pairs == 0
    assert math.isnan(none.value)


def test_without_a_shape_an_inference_model_scales_by_bandwidth_if_its_memory_is_known() -> None:
    profile = remeasured(
        ("inference", "mine", "rtx_4090", 1000.0, 13_000.0),
        ("inference", "blank", "rtx_4090", 1000.0, math.nan),
        ("evaluator", "judge", "rtx_4090", 1.0, 500.0),
    )
    assert latency_of(profile, "mine", "t4").ms == pytest.approx(1000.0 * 1008 / 320)
    with pytest.raises(InputError, match=r"'mine' needs 13\.0 GB of memory"):
        latency_of(profile, "mine", "rtx_3060")
    for node in ("blank", "judge"):
        with pytest.raises(InputError, match=f"'{node}' cannot be estimated: the table of model"):
            latency_of(profile, node, "rtx_3060")


def test_a_model_too_large_is_refused_with_need_and_capacity() -> None:
    profile = remeasured(("inference", "llama_3_1_70b", "m2_ultra", 9000.0, math.nan))
    assert hardware_fault(profile, "llama_3_1_70b", "m2_ultra") is None
    assert hardware_fault(profile, "llama_3_1_70b", "rtx_4090") == (
        "'llama_3_1_70b' needs 142.3 GB of memory, and 'rtx_4090' has 24 GB"
    )


def test_unknown_hardware_gets_the_nearest_name_of_catalogue_and_profile() -> None:
    assert hardware_fault(PUBLISHED, "llama_3_2_3b", "rtx_309") == (
        "'llama_3_2_3b' was not measured on 'rtx_309', and the hardware catalogue has none of that "
        "name; did you mean 'rtx_3090'?"
    )


def test_hardware_outside_the_catalogue_cannot_be_scaled_from() -> None:
    fault = hardware_fault(load_profile("extractive_baselines"), "lead_sentence", "rtx_4090")
    assert fault is not None
    assert "nothing to scale from; measured on: 'amd_epyc_2_cores'" in fault


def test_an_unknown_model_is_a_fault_too() -> None:
    assert "did you mean 'llama_3_2_3b'" in str(hardware_fault(PUBLISHED, "llama_3_2_3", "t4"))


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
