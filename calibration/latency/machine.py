"""The hardware and library stamp: what a latency was measured on, and nothing about who measured.

A stamp holds the names of processor and accelerator, memory, driver, the number formats they
support, and library versions. It never holds a user name, a host name, a path or a serial number.
"""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from calibration.libraries import library

__all__ = ["hardware_name", "hardware_stamp", "library_versions", "slug", "usable_cores"]

LIBRARIES = ("numpy", "torch", "transformers", "sentence-transformers", "tokenizers", "openai")
_CPU_INFORMATION = Path("/proc/cpuinfo")
_DRIVER = Path("/proc/driver/nvidia/version")
_EXTENSIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "bf16", "fphp")
_GIB = 2**30


def hardware_stamp(device: str = "cpu") -> dict[str, Any]:
    """Return the stamp of this machine as plain JSON, for work done on ``device``.

    ``device`` is ``cpu``, ``cuda``, ``cuda:N`` or ``mps``. What cannot be read is ``None``.

    >>> stamp = hardware_stamp()
    >>> stamp["device"], stamp["gpu"], stamp["dtypes"]["float32"]
    ('cpu', None, 'native')
    """
    on_gpu = device.startswith("cuda")
    return {
        "hardware": hardware_name(device),
        "device": device.partition(":")[0],
        "cpu": _cpu(),
        "gpu": _gpu(device) if on_gpu else None,
        "dtypes": _gpu_dtypes(device) if on_gpu else _cpu_dtypes(),
        "threads": _threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": library_versions(),
    }


def hardware_name(device: str = "cpu") -> str:
    """Return a short name of the hardware behind ``device``: made of a-z, 0-9 and _.

    A processor's name ends in the number of cores the process may use, since a latency depends on
    it.

    >>> hardware_name().endswith(f"_{usable_cores()}_cores")
    True
    """
    if device.startswith("cuda"):
        return slug(library("torch").cuda.get_device_name(device))
    cores = usable_cores()
    return slug(f"{_cpu_name()} {cores} core{'s' if cores > 1 else ''}")


def slug(name: str) -> str:
    """Return ``name`` in the letters that a profile allows, without legal signs.

    >>> slug("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz")
    'intel_xeon_platinum_8481c_cpu_2_70ghz'
    """
    plain = re.sub(r"\((r|tm|c)\)", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "unknown"


def library_versions(libraries: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Return the versions of Python and of those ``libraries`` that are installed.

    >>> sorted(library_versions(("numpy", "no-such-library")))
    ['numpy', 'python']
    """
    versions = {"python": platform.python_version()}
    for name in libraries:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def usable_cores() -> int:
    """Return the number of cores this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu() -> dict[str, Any]:
    return {
        "name": _cpu_name(),
        "logical_cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gib": _memory_gib(),
        "extensions": [flag for flag in _EXTENSIONS if flag in _cpu_flags()],
    }


def _cpu_lines(field: str) -> str | None:
    """Return the first value of a field of the kernel's processor table, ``None`` elsewhere."""
    try:
        text = _CPU_INFORMATION.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"^{field}\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found.group(1).strip() if found else None


def _cpu_name() -> str:
    return _cpu_lines("model name") or platform.processor() or platform.machine() or "unknown"


def _cpu_flags() -> frozenset[str]:
    return frozenset((_cpu_lines("flags") or _cpu_lines("Features") or "").split())


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _cpu_dtypes() -> dict[str, str]:
    """Say which number formats the processor computes in, and which it has to emulate."""
    flags = _cpu_flags()
    bfloat16 = flags & {"avx512_bf16", "amx_bf16", "bf16"}
    float16 = flags & {"avx512_fp16", "fphp"}
    return {
        "float32": "native",
        "bfloat16": "native" if bfloat16 else "emulated",
        "float16": "native" if float16 else "emulated",
    }


def _gpu(device: str) -> dict[str, Any]:
    torch = library("torch")
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "count": torch.cuda.device_count(),
        "memory_gib": round(properties.total_memory / _GIB, 1),
        "compute_capability": f"{properties.major}.{properties.minor}",
        "driver": _driver(),
        "cuda": torch.version.cuda,
    }


def _gpu_dtypes(device: str) -> dict[str, str]:
    capability = library("torch").cuda.get_device_capability(device)
    return {
        "float32": "native",
        "bfloat16": "native" if capability >= (8, 0) else "emulated",
        "float16": "native" if capability >= (5, 3) else "emulated",
    }


def _driver() -> str | None:
    try:
        text = _DRIVER.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text)
    return found.group(0) if found else None


def _threads() -> int | None:
    return int(library("torch").get_num_threads()) if find_spec("torch") else None
