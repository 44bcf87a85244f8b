from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from poq_abm.analysis.deterrence import proof_rate_by_stake, vulnerability_by_patch
from poq_abm.analysis.trilemma import play_protocols, trilemma_table
from poq_abm.figures import verification as figures
from poq_abm.figures.verification import (
    GLOSSES,
    draw_pages,
    phase_diagram,
    trilemma,
    vulnerability_diagram,
)
from poq_abm.profile import load_profile
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import PROTOCOLS, Verification

PAGES = Path(__file__).parents[2] / "docs" / "verification"
OTR = Verification(protocol="otr")

# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    scenario = load("cost_aware_poq", ["rounds=300"])
    played = play_protocols(scenario, load_profile("published"), Verification(), replications=3)
    return trilemma_table(played)


def test_every_protocol_is_explained_in_a_line() -> None:
    assert tuple(GLOSSES) == PROTOCOLS


def test_the_trilemma_has_a_row_per_protocol_and_four_panels(table: pd.DataFrame) -> None:
    figure = trilemma(table)
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert [label.split("\n")[0] for label in labels] == list(PROTOCOLS)
    assert all(GLOSSES[name] in label for name, label in zip(PROTOCOLS, labels, strict=True))
    titles = [axes.get_title(loc="left").split()[0] for axes in figure.axes]
    assert titles == ["Integrity", "Waiting", "Cost", "Throughput"]


def test_it_names_units_and_sample_size(table: pd.DataFrame) -> None:
    figure = trilemma(table)
    said = " ".join(axes.get_xlabel() for axes in figure.axes)
    assert all(unit in said for unit in ("% of queries", "time", "USD", "% of centralised"))
    assert "n = 3 replications of 300 queries" in figure.get_supxlabel()


def test_bars_are_the_shares_that_stand(table: pd.DataFrame) -> None:
    axes = trilemma(table).axes[0]
    widths = [patch.get_width() for patch in axes.patches]
    assert widths == pytest.approx(100.0 * table["dishonest_stands"].to_numpy())


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


def test_drawing_is_imported_only_when_something_is_drawn() -> None:
    code = (
        f"import sys, {figures.__name__}\n"
        "sys.exit(any(name in sys.modules for name in ('seaborn', 'matplotlib')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
