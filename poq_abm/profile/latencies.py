"""The latency of a model on a machine: as measured, or estimated from what was measured elsewhere.

An estimate scales each measurement of the model by the roofline, the least time its bytes and
arithmetic can take:

    latency(model, machine) = ideal(model, machine) / efficiency(model)

where efficiency(model) is the geometric mean of ideal over measured latency on the machines that
were measured. It belongs to the model because it holds, beside the efficiency of the runtime, how
long the model's answers are, which a profile does not tell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from poq_abm.errors import InputError, nearest
from poq_abm.profile.hardware import Hardware, catalogue, hardware
from poq_abm.profile.roofline import ideal_seconds, memory_fault, memory_gb
from poq_abm.profile.shapes import model_shapes

if TYPE_CHECKING:
    from poq_abm.profile.profile import Profile

__all__ = ["Efficiency", "Latency", "efficiency_of", "hardware_fault", "latency_of"]

Source = Literal["measured", "estimated"]


class Latency(NamedTuple):
    """The mean latency of one job, and where the number comes from."""

    ms: float
    source: Source


class Efficiency(NamedTuple):
    """Ideal over measured time: geometric mean over pairs, with Student's 95 % interval."""

    value: float
    low: float  #: NaN with fewer than two pairs
    high: float
    pairs: int  #: measured pairs of model and machine that both tables know


def latency_of(profile: Profile, model: str, machine: str) -> Latency:
    """Return the mean latency of ``model`` on ``machine``: measured where that was done.

    Raises :class:`~poq_abm.errors.InputError` when it was not and cannot be estimated: neither
    profile nor catalogue knows the machine, the model does not fit into its memory, or there is
    nothing to scale from.

    >>> from poq_abm.profile import load_profile
    >>> profile = load_profile("published")
    >>> latency_of(profile, "llama_3_2_3b", "rtx_4090")
    Latency(ms=1077.7, source='measured')
    >>> latency_of(profile, "llama_3_2_3b", "rtx_3090").source
    'estimated'
    """
    measured = profile.hardware_of(model)
    if machine in measured:
        return Latency(profile.latency_ms(model, machine), "measured")
    if machine not in catalogue():
        raise InputError(
            f"{model!r} was not measured on {machine!r}, and the hardware catalogue has none of "
            f"that name; {nearest(machine, {*catalogue(), *measured})}"
        )
    return Latency(_estimated(profile, model, hardware(machine)), "estimated")


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
