"""How an economy ends: its last epochs, with intervals over replications."""

from __future__ import annotations

import math

import pandas as pd

from poq_abm.experiment.estimates import CONFIDENCE, UNBOUNDED, mean_interval
from poq_abm.experiment.schemas import NETWORK, range_of

__all__ = ["LAST_SHARE", "SHOWN", "summarise_economy"]

LAST_SHARE = 0.2  #: share of the epochs, at the end, that a summary averages over

#: what a summary shows of each group and of the network: column of ``epochs``, unit
SHOWN = {
    "nodes": "nodes",
    "deviating": "nodes",
    "stake": "tokens",
    "reward": "tokens per epoch",
    "cost_in_money": "tokens per epoch",
    "profit": "tokens per epoch",
}


def summarise_economy(epochs: pd.DataFrame, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Return one row per treatment, group and measure: its first epoch, and its last ones.

    The estimate of one replication is the mean over the last fifth of the epochs (at least one);
    mean and interval (:func:`~poq_abm.experiment.estimates.mean_interval`, inside the measure's
    range) are over replications. ``first`` is the mean of the first epoch, from which the economy
    came; ``occurred`` counts the replications that end with anything but 0: where they are some and
    not all, 8 of 40 say more than their mean. Nodes that nobody ever saw change have no error; of
    others there are at most as many as the group ever had.

    Parameters
    ----------
    epochs
        A table with the columns of :data:`poq_abm.experiment.schemas.EPOCHS`.
    confidence
        Level of the interval, in (0, 1).
    """
    count = int(epochs["epoch"].max()) + 1
    last = epochs["epoch"] >= count - max(1, math.ceil(LAST_SHARE * count))
    keys = ["treatment", "role", "group"]
    measures = [*SHOWN, *_OF_NETWORK]
    ends = epochs[last].groupby([*keys, "replication"], observed=True, sort=False)[measures].mean()
    firsts = epochs[epochs["epoch"] == 0]
    starts = firsts.groupby([*keys, "replication"], observed=True, sort=False)[measures].mean()
    began = {key: group.mean() for key, group in starts.groupby(level=keys, observed=True)}
    cells = epochs.groupby(keys, observed=True)
    most = cells["nodes"].max().to_dict()
    changes = {name: cells[name].nunique().to_dict() for name in ("nodes", "deviating")}
    rows = []
    for key, group in ends.groupby(level=keys, observed=True, sort=False):
        network = list(key)[2] == NETWORK
        for measure, unit in {**SHOWN, **(_OF_NETWORK if network else {})}.items():
            values = group[measure].dropna()
            within = range_of(measure, unit)
            if unit == "nodes":
                varies = changes[measure][key] > 1
                within = within._replace(high=float(most[key])) if varies else UNBOUNDED
            mean, _, low, high = mean_interval(values, confidence, within)
            rows.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    "measure": measure,
                    "unit": unit,
                    "first": float(began[key][measure]),
                    "last": mean,
                    "low": low,
                    "high": high,
                    "occurred": int((values != 0.0).sum()),
                    "replications": len(group),
                }
            )
    return pd.DataFrame(rows)


_OF_NETWORK = {
    "queries": "queries",
    "dropped": "queries",
    "busy": "share",
    "latency_p50": "s",
    "latency_p95": "s",
    "quality": "0-1",
    "price": "tokens",
    "alpha_inference": "points",
    "beta_inference": "points",
    "bounded": "controllers",
    "emissions": "tokens per epoch",
    "burned": "tokens per epoch",
    "welfare": "tokens per epoch",
    "gini": "0-1",
    "nakamoto": "operators",
    "malicious_stake": "0-1",
}
