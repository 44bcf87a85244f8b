"""The formulas hold, and the phase tables say of their points what the simulation gives there."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from verification_support import ALL_RATIONAL, BROKEN, market, played

from poq_abm.analysis.deterrence import (
    break_even_slash,
    capital_cost,
    cheapest_deterrence,
    detection_after,
    deterrence_threshold,
    draw_pages,
    is_deterred,
    phase_diagram,
    proof_rate_by_stake,
    queries_to_detect,
    sampling_threshold,
    vulnerability_by_patch,
    vulnerability_diagram,
    watchers_by_window,
)
from poq_abm.analysis.trilemma import changed
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.query_replication import play_queries

OTR = Verification(protocol="otr")
_examples = hypothesis.settings(max_examples=200, deadline=None, derandomize=True, database=None)
_amount = st.floats(0.01, 10.0)


@_examples
@given(st.floats(0.001, 1.0), _amount, _amount, _amount)
def test_the_threshold_is_where_deterrence_begins(
    p: float, gain: float, stake: float, fee: float
) -> None:
    threshold = deterrence_threshold(gain, stake, fee)
    if abs(p / threshold - 1.0) > 1e-9:
        assert is_deterred(p, gain, stake, fee) == (p > threshold)


def test_nothing_at_risk_deters_nothing() -> None:
    assert deterrence_threshold(0.1, 0.0, 0.0) == float("inf")


@_examples
@given(st.floats(0.01, 0.999), st.floats(0.001, 0.999))
def test_the_fewest_cheats_that_are_noticed_are_the_fewest(target: float, rate: float) -> None:
    n = queries_to_detect(target, rate)
    assert detection_after(n, rate) >= target - 1e-12
    assert n == 1 or detection_after(n - 1, rate) < target + 1e-12


def test_published_thresholds() -> None:
    assert (queries_to_detect(0.90, 0.01), queries_to_detect(0.99, 0.01)) == (230, 459)
    assert break_even_slash(10.0, 0.2) == pytest.approx(40.0)
    assert sampling_threshold(0.8, 1.0, 1.0, 0.0) == pytest.approx(0.4)


@pytest.mark.parametrize("least", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("gain", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("window", [60.0, 604_800.0])
@pytest.mark.parametrize("recheck", [1e-3, 20.0])
def test_no_other_parameters_deter_for_less(
    least: float, gain: float, window: float, recheck: float
) -> None:
    """A search over stakes and all mixtures of proofs and checks finds nothing cheaper."""
    fee, proof, rate = 0.1, 7.0, 0.08
    best = cheapest_deterrence(gain, fee, proof, recheck, rate, window, least)
    assert is_deterred(best.detection * (1 + 1e-12), gain, best.stake, fee)
    assert best.stake >= least
    stakes = np.geomspace(max(least, gain - fee, 1e-3), 1e6, 4000)[:, None]
    needed = np.minimum(gain / (stakes + fee), 1.0)
    proofs = needed * np.linspace(0.0, 1.0, 21)[None, :]
    checks = 1.0 - np.divide(
        1.0 - needed, 1.0 - proofs, where=proofs < 1.0, out=np.ones_like(proofs)
    )
    costs = proofs * proof + checks * recheck + stakes * capital_cost(1.0, rate, window)
    assert best.cost <= costs.min() * (1 + 1e-9)
    assert best.cost == pytest.approx(costs.min(), rel=1e-2), "and it is attained"


def test_free_capital_has_no_cheapest_stake() -> None:
    with pytest.raises(ValueError, match="without end"):
        cheapest_deterrence(0.1, 0.1, 1.0, 1.0, 0.0, 60.0)


def test_no_gain_needs_no_deterrence() -> None:
    assert cheapest_deterrence(0.0, 0.1, 1.0, 1.0, 0.08, 60.0)[:4] == (0.0, 0.0, 0.0, 0.0)


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
