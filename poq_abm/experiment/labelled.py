"""Results as labelled arrays, for those who live in xarray."""

from __future__ import annotations

from typing import Any

import pandas as pd

from poq_abm.errors import InputError
from poq_abm.experiment.schemas import NODES, REPLICATIONS

__all__ = ["dataset"]

_NODE_KEYS = ("treatment", "replication", "node")
_NODE_PREFIX = "node_"


def dataset(treatments: pd.DataFrame, replications: pd.DataFrame, nodes: pd.DataFrame) -> Any:
    """Return one ``xarray.Dataset`` over treatment, replication and node.

    Measures of replications keep their names and have the dimensions (treatment, replication);
    measures of nodes are called ``node_...`` and have (treatment, replication, node). What a
    treatment lacks is missing. Swept fields are coordinates of treatment.

    Raises
    ------
    InputError
        If the package ``xarray`` is missing.
    """
    try:
        import xarray  # noqa: PLC0415  (an extra)
    except ImportError:
        raise InputError('labelled arrays need an extra: pip install "poq-abm[xarray]"') from None
    of_replications = _measures(replications, REPLICATIONS, ["treatment", "replication"], "")
    of_nodes = _measures(nodes, NODES, list(_NODE_KEYS), _NODE_PREFIX)
    made = xarray.merge([of_replications, of_nodes], join="outer", compat="no_conflicts")
    made = made.reindex(treatment=treatments["treatment"].tolist())
    settings = treatments.set_index("treatment")
    swept = {name: ("treatment", settings[name].to_numpy()) for name in settings}
    return made.assign_coords(swept)


def _measures(frame: pd.DataFrame, schema: Any, keys: list[str], prefix: str) -> Any:
    """Return the numbers of a table as a dataset over its keys, with their units."""
    columns = [f.name for f in schema if f.name not in keys and str(f.type) in ("double", "int64")]
    indexed = frame.astype({"treatment": str}).set_index(keys)[columns].astype(float)
    arrays = indexed.to_xarray().rename({name: prefix + name for name in columns})
    for name in columns:
        metadata = schema.field(name).metadata
        arrays[prefix + name].attrs = {
            "units": metadata[b"unit"].decode(),
            "long_name": metadata[b"meaning"].decode(),
        }
    return arrays
