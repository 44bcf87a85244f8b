"""An economy over its epochs: a measure's mean and interval, epoch by epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from poq_abm.analysis.reading import select
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.economies import EPOCHS, NETWORK
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval

__all__ = ["epoch_bands", "unit_of"]

_UNITS: dict[str, str] = {field.name: field.metadata[b"unit"].decode() for field in EPOCHS}


def unit_of(metric: str) -> str:
    """Return the unit of a column of ``epochs``.

    >>> unit_of("profit")
    'tokens'
    """
    return _UNITS[metric]


def epoch_bands(
    epochs: pd.DataFrame,
    metric: str,
    *,
    role: str | None = None,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return a measure by epoch, with its interval over replications, per treatment and group.

    ``epochs`` is the table of that name; ``role`` keeps the groups of one role (``network``: all
    nodes together). Columns: ``treatment``, ``group``, ``epoch``, ``replications``, ``mean``,
    ``low``, ``high``.

    Raises
    ------
    InputError
        If there is no such measure, or no such role.
    """
    known = [str(column) for column in epochs.select_dtypes("float").columns]
    if metric not in known:
        raise InputError(f"no measure {metric!r} of epochs; {nearest(metric, known)}")
    kept = select(epochs, role=role)
    kept = kept[kept[metric].notna()]
    if kept.empty:
        raise InputError(f"{metric} is kept for the network only; ask for role {NETWORK!r}")
    keys = ["treatment", "group", "epoch"]
    rows = []
    for key, values in kept.groupby(keys, observed=True, sort=False)[metric]:
        mean, _, low, high = mean_interval(values.to_numpy(dtype=np.float64), confidence)
        rows.append((*key, len(values), mean, low, high))
    return pd.DataFrame(rows, columns=[*keys, "replications", "mean", "low", "high"])
