from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.economies import EPOCHS
from poq_abm.experiment.economy_summary import summarise_economy


def epochs() -> pd.DataFrame:
    """Two replications of ten epochs, whose profit is the epoch, and one more in the second."""
    rows = [
        {"treatment": "base", "replication": r, "epoch": e, "role": "network", "group": "network",
         "profit": float(e + r)}
        for r in range(2) for e in range(10)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=EPOCHS.names)


def test_the_last_fifth_is_averaged_and_replications_make_the_interval() -> None:
    table = summarise_economy(epochs())
    (row,) = table[table["measure"] == "profit"].to_dict("records")
    assert row["first"] == 0.5
    assert row["last"] == pytest.approx(9.0)  # the mean of 8.5 and 9.5
    assert row["high"] - row["last"] == pytest.approx(12.706204736174694 * np.sqrt(0.5 / 2))
    assert row["replications"] == 2


def test_one_replication_has_no_interval() -> None:
    single = epochs().query("replication == 0")
    table = summarise_economy(single)
    assert table.loc[table["measure"] == "profit", ["low", "high"]].isna().all(axis=None)


def test_results_summarise_their_economy_and_say_where_there_is_none() -> None:
    scenario = poq_abm.load("cost_aware_poq", ["rounds=100", "economy.epochs=10"])
    results = poq_abm.run(scenario, replications=2)
    table = results.economy_summary()
    jobs = table[(table["group"] == "network") & (table["measure"] == "queries")]
    assert jobs["last"].tolist() == [10.0]
    plain = poq_abm.run(poq_abm.load("cost_aware_poq", ["rounds=100"]), replications=1)
    with pytest.raises(InputError, match="no economy"):
        plain.economy_summary()
