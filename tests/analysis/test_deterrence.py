"""The phase tables say of their points what the simulation gives there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from verification_support import ALL_RATIONAL, BROKEN, market, played

from poq_abm.analysis.deterrence import (
    draw_pages,
    phase_diagram,
    proof_rate_by_stake,
    vulnerability_by_patch,
    vulnerability_diagram,
    watchers_by_window,
)
from poq_abm.analysis.trilemma import changed
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.query_replication import play_queries

OTR = Verification(protocol="otr")


def test_cheating_begins_where_the_table_says_over_proof_rate_and_stake() -> None:
    settings = {"watchers.count": 0, "adversaries.downgrade.gain_usd": 0.31}
    table = proof_rate_by_stake(changed(OTR, settings), [0.01, 0.1, 0.5], [0.5, 2.0, 40.0])
    expected = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 1]], dtype=bool)  # p (S + 0.1) >= 0.31
    assert (table["deterred"].to_numpy().reshape(3, 3) == expected).all()
    for row in table.itertuples():
        point = {"otr.proof_rate": row.proof_rate, "economics.stake_usd": row.stake_usd,
                 "economics.bounty_usd": 0.0}  # fmt: skip
        share = played("otr", ALL_RATIONAL, BROKEN, settings, point, queries=50)["cheating_share"]
        assert share == float(not row.deterred)


@pytest.mark.parametrize("protocol", ["opml", "otr"])
def test_cheating_begins_where_the_table_says_over_watchers_and_window(protocol: str) -> None:
    settings = {
        "watchers.count": 10,
        "watchers.check_probability": 0.02,
        "economics.stake_usd": 1.0,
        "adversaries.downgrade.gain_usd": 0.15,
        "otr.proof_rate": 0.0,
    }
    chosen = changed(Verification(protocol=protocol), settings)
    table = watchers_by_window(chosen, [0.0, 0.5, 1.0], [1300.0, 1e5])
    assert 0 < table["deterred"].sum() < len(table)
    for row in table.itertuples():
        point = {
            "watchers.lazy_share": 1.0 - row.active_share,
            f"{protocol}.window_s": row.window_s,
        }
        share = played(protocol, ALL_RATIONAL, BROKEN, settings, point, queries=50)[
            "cheating_share"
        ]
        assert share == float(not row.deterred)


def test_what_stands_over_vulnerabilities_is_what_stands_on_average() -> None:
    """400 replications of a stationary process; 4.5 standard errors over them."""
    tee = Verification(protocol="tee")
    (row,) = vulnerability_by_patch(tee, [12.0], [30.4375]).itertuples()
    assert row.broken_share == pytest.approx(0.5)
    vendor = {
        "vendor_a": None,
        "vendor_b": None,
        "v": {"share": 1.0, "vulnerability_per_year": 12.0, "patch_days": 30.4375},
    }
    chosen = market("tee", {"adversaries.vendors": vendor}, queries=20, nodes=20)
    stands = [play_queries(chosen, r)["dishonest_stands"] for r in range(400)]
    assert np.mean(stands) == pytest.approx(row.dishonest_stands, abs=4.5 * np.std(stands) / 20)


def test_a_point_out_of_range_is_refused() -> None:
    with pytest.raises(ValidationError):
        proof_rate_by_stake(OTR, [1.5], [1.0])


PAGES = Path(__file__).parents[2] / "docs" / "verification"


# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)


def test_a_phase_diagram_names_both_sides_and_draws_the_boundary() -> None:
    frame = proof_rate_by_stake(OTR, [0.001, 0.01, 0.1], [0.1, 1.0, 10.0])
    figure = phase_diagram(frame, "proof_rate", "stake_usd", labels=("rate", "USD"), title="t",
                           note="computed")  # fmt: skip
    axes = figure.axes[0]
    assert {text.get_text() for text in axes.texts} == {"honesty pays", "cheating pays"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rate", "USD")
    assert figure.get_supxlabel() == "computed"


def test_where_all_points_agree_only_one_side_is_named() -> None:
    frame = proof_rate_by_stake(OTR, [0.5, 0.9], [10.0, 20.0])
    axes = phase_diagram(frame, "proof_rate", "stake_usd", labels=("", ""), title="").axes[0]
    assert [text.get_text() for text in axes.texts] == ["honesty pays"]


def test_the_vulnerability_diagram_shows_the_table() -> None:
    frame = vulnerability_by_patch(OTR, [0.1, 1.0, 5.0], [1.0, 30.0])
    axes = vulnerability_diagram(frame, note="computed").axes[0]
    (mesh,) = [c for c in axes.collections if type(c).__name__ == "QuadMesh"]
    grid = frame.pivot_table(
        index="patch_days", columns="vulnerability_per_year", values="dishonest_stands"
    )
    assert np.asarray(mesh.get_array()).reshape(2, 3) == pytest.approx(
        np.log10(100.0 * grid.to_numpy())
    )


def test_the_same_draws_give_the_same_bytes(tmp_path: Path) -> None:
    first, again = (draw_pages(tmp_path / name, 2, 200) for name in ("first", "again"))
    names = ["proof_rate_by_stake", "trilemma", "vulnerability_by_patch", "watchers_by_window"]
    assert sorted(path.stem for path in first) == names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert all((PAGES / f"{name}.svg").is_file() for name in names)
    assert all(f"({name}.svg)" in (PAGES / "README.md").read_text() for name in names)
