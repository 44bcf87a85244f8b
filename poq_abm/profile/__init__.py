"""What was measured: the joint table of scores and costs that a population draws from.

A profile is a folder with three files. ``profile.json`` says what was measured, on what, and how
far each number can be trusted; ``scores.parquet`` has one row per record and inference model;
``costs.parquet`` has one row per node key and hardware. Everything is pinned by hash.
"""

from poq_abm.profile.latencies import MeanLatency, latency_of
from poq_abm.profile.profile import (
    Profile,
    ProfileDescription,
    load_profile,
    profile_names,
    read_profile,
    write_profile,
)

__all__ = [
    "MeanLatency",
    "Profile",
    "ProfileDescription",
    "latency_of",
    "load_profile",
    "profile_names",
    "read_profile",
    "write_profile",
]
