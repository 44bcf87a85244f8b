"""What nodes did and earned: a model's table is that of a run."""

from __future__ import annotations

import pandas as pd
from network_support import published

import poq_abm
from poq_abm.simulation.model import PoQModel


def test_a_model_tells_of_its_nodes_what_a_run_does() -> None:
    """By name, type and bits, nodes without a job included; the order of words apart."""
    scenario = published(
        rounds=3,
        replications=2,
        malicious={"share": 0.34, "behaviour": {"name": "boost", "b": 3.0}},
    )
    stored = poq_abm.run(scenario).nodes
    model = PoQModel(scenario, replication=1)
    model.run()
    told = model.node_table()
    assert (told["jobs"] == 0).any()
    run = stored[stored["replication"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(told, run, check_exact=True, check_categorical=False)
