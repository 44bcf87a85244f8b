from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.errors import InputError
from poq_abm.experiment.economy_study import summarise_economy
from poq_abm.experiment.schemas import EPOCHS


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


def test_all_or_nothing_is_counted_and_the_interval_stays_in_the_group() -> None:
    """In 8 of 40 replications all ten nodes are stuck; a mean of 2 of 10 tells nobody."""
    cells = [(r, e) for r in range(40) for e in range(5)]
    frame = pd.DataFrame(
        {"treatment": "base", "replication": r, "epoch": e, "role": "network", "group": "network",
         "nodes": 10.0, "deviating": 10.0 * (r < 8 or e == 0)}
        for r, e in cells
    ).reindex(columns=EPOCHS.names)  # fmt: skip
    rows = summarise_economy(frame).set_index("measure")
    assert tuple(rows.loc["deviating", ["occurred", "replications"]]) == (8, 40)
    assert 0.0 < rows.loc["deviating", "low"] < 2.0 < rows.loc["deviating", "high"] < 10.0
    assert rows.loc["nodes", "low"] == rows.loc["nodes", "high"] == 10.0, "they never change"
    gone = summarise_economy(frame.assign(deviating=lambda f: 10.0 * (f["epoch"] == 0)))
    row = gone.set_index("measure").loc["deviating"]
    assert (row["low"], row["high"]) == (0.0, pytest.approx(10.0 * (1.0 - 0.025 ** (1 / 40))))


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


def test_what_a_group_does_that_ends_with_nobody_has_no_interval() -> None:
    rows = [
        {"treatment": "base", "replication": r, "epoch": e, "role": "inference", "group": "gone",
         "nodes": 4.0 * (e == 0), "deviating": 1.0 * (e == 0), "reward": 9.0 * (e == 0)}
        for r in range(4) for e in range(5)
    ]  # fmt: skip
    table = summarise_economy(pd.DataFrame(rows).reindex(columns=EPOCHS.names)).set_index("measure")
    assert table.loc[["deviating", "reward"], "last"].tolist() == [0.0, 0.0]
    assert table.loc[["deviating", "reward"], ["low", "high"]].isna().all(axis=None)
    assert table.loc["nodes", "high"] == pytest.approx(4.0 * (1.0 - 0.025 ** (1 / 4)))
