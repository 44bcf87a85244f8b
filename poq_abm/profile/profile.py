"""The profile in memory: read-only arrays for the engines, a table of costs, and its provenance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from poq_abm.errors import InputError, nearest
from poq_abm.profile import latencies

__all__ = ["Profile"]

_ARRAYS = ("task_of_record", "scores", "truth", "judge")


@dataclass(frozen=True, eq=False)
class Profile:
    """A measured joint table of scores, truth and judge, with the costs of the nodes.

    Records are sorted so that the records of one task are contiguous, in the order of ``tasks``.
    All arrays are C-contiguous and read-only. Two profiles are the same when their
    ``content_hash`` is the same.

    Attributes
    ----------
    name
        Name in ``profile.json``.
    content_hash
        SHA-256 (hex) of everything in ``profile.json``, the hashes of both tables included.
    tasks, records, models, evaluators
        Names, in the order of the axes of the arrays.
    task_of_record
        Index into ``tasks`` per record; shape (records,), non-decreasing.
    scores
        Normalised scores in [0, 10]; shape (records, models, evaluators).
    truth
        Ground-truth proxy in [0, 10]; shape (records, models); analysis only.
    judge
        Judge score in [0, 10], NaN where there is none; shape (records, models).
    costs
        One row per role, node key and hardware, with ``latency_ms`` > 0 and further columns that
        are NaN where not known.
    provenance
        What is published, inferred and assumed, as written by the author of the profile.

    Examples
    --------
    >>> from poq_abm.profile import load_profile
    >>> profile = load_profile("published")
    >>> profile.scores.shape
    (400, 5, 3)
    """

    name: str
    content_hash: str
    tasks: tuple[str, ...]
    records: tuple[str, ...]
    task_of_record: NDArray[np.int64]
    models: tuple[str, ...]
    evaluators: tuple[str, ...]
    scores: NDArray[np.float64]
    truth: NDArray[np.float64]
    judge: NDArray[np.float64]
    costs: pd.DataFrame
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        self._freeze()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._freeze()  # NumPy does not pickle the read-only flag

    def __repr__(self) -> str:
        shape = " x ".join(str(size) for size in self.scores.shape)
        return f"<Profile {self.name!r} {self.content_hash[:12]}: {shape} scores>"

    def hardware_of(self, node: str) -> tuple[str, ...]:
        """Return the hardware on which node key ``node`` has a measured cost, sorted.

        Raises :class:`~poq_abm.errors.InputError` when the key has no cost at all.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").hardware_of("sts_stsb")
        ('rtx_4090',)
        """
        measured = tuple(sorted(machine for key, machine in self._latencies if key == node))
        if not measured:
            known = {key for key, _ in self._latencies}
            raise InputError(
                f"profile {self.name!r} has no costs of node {node!r}; {nearest(node, known)}"
            )
        return measured

    def hardware_fault(self, node: str, hardware: str) -> str | None:
        """Return why node key ``node`` has no latency on ``hardware``, or ``None`` if it has one.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").hardware_fault("sts_stsb", "rtx_3090") is None
        True
        """
        return latencies.hardware_fault(self, node, hardware)

    def latency_ms(self, node: str, hardware: str) -> float:
        """Return the mean latency of one job of node key ``node`` on ``hardware``, in milliseconds.

        Raises :class:`~poq_abm.errors.InputError` when that pair was not measured, naming those
        that were.

        >>> from poq_abm.profile import load_profile
        >>> load_profile("published").latency_ms("gemma_2_2b_it", "rtx_4090")
        1108.0
        """
        latency = self._latencies.get((node, hardware))
        if latency is None:
            known = ", ".join(repr(machine) for machine in self.hardware_of(node))
            raise InputError(
                f"profile {self.name!r} has no latency of {node!r} on {hardware!r}; "
                f"measured on: {known}"
            )
        return latency

    @cached_property
    def agreed(self) -> NDArray[np.float64]:
        """Mean score of all evaluator models for each answer; shape (records, models)."""
        mean: NDArray[np.float64] = self.scores.mean(axis=2)
        return mean

    @cached_property
    def _latencies(self) -> dict[tuple[str, str], float]:
        columns = (self.costs[name].tolist() for name in ("node", "hardware", "latency_ms"))
        return {(node, hardware): float(ms) for node, hardware, ms in zip(*columns, strict=True)}

    def _freeze(self) -> None:
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            if array.flags.writeable:
                array = array.copy() if array is getattr(self, name) else array
                array.flags.writeable = False
            object.__setattr__(self, name, array)
