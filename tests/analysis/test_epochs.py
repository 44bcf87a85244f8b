from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from poq_abm.analysis.epochs import epoch_bands, over_epochs
from poq_abm.errors import InputError


def epochs(treatments: int = 1) -> pd.DataFrame:
    rows = [
        {"treatment": f"t{t}", "replication": r, "epoch": e, "role": role, "group": group,
         "profit": float(10 * t + e + r), "nodes": 2.0}
        for t in range(treatments) for r in range(3) for e in range(4)
        for role, group in (("inference", "fast"), ("network", "network"))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_one_treatment_shows_its_groups_with_intervals_over_replications() -> None:
    table = over_epochs(epochs(), "profit")
    assert set(table["group"]) == {"fast"}
    assert table["mean"].tolist() == [1.0, 2.0, 3.0, 4.0]
    half = 4.302652729911275 / np.sqrt(3.0)  # Student's quantile at two degrees of freedom
    assert table["high"].to_numpy() - table["mean"].to_numpy() == pytest.approx([half] * 4)


def test_a_band_holds_no_more_nodes_than_a_group_ever_had() -> None:
    some = epochs()
    some["nodes"] = 4.0 - 3.0 * ((some["replication"] == 2) & (some["epoch"] == 3))
    table = over_epochs(some, "nodes")
    assert table["high"].max() == 4.0
    assert table["low"].min() < 3.0


def test_several_treatments_show_the_network() -> None:
    table = over_epochs(epochs(2), "profit")
    assert set(table["group"]) == {"network"}
    assert set(over_epochs(epochs(2), "profit", "t1")["group"]) == {"fast"}


@pytest.mark.parametrize(
    ("measure", "treatment", "message"),
    [("proft", None, "did you mean 'profit'"), ("profit", "t9", "no treatment 't9'")],
)
def test_a_wrong_name_is_told_the_nearest(
    measure: str, treatment: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        over_epochs(epochs(), measure, treatment)


def test_the_figure_says_unit_number_and_name() -> None:
    table = over_epochs(epochs(12), "profit")
    table.attrs["scenario"] = "mine"
    figure = epoch_bands(table)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "profit (tokens)"
    assert figure.get_suptitle() == "Profit over epochs"
    assert figure.get_supxlabel().startswith("scenario mine; ")
    assert "n = 3 replications" in figure.get_supxlabel()
    drawn = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
    assert len(set(drawn)) == 12  # no two treatments look alike
