from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from poq_abm.analysis.trilemma import play_protocols, trilemma, trilemma_table
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import POSITIVE, mean_interval
from poq_abm.profile import load_profile
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import shipped
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification


@pytest.fixture(scope="module")
def played() -> pd.DataFrame:
    scenario = load("cost_aware_poq", ["rounds=300"])
    return play_protocols(scenario, load_profile("published"), Verification(), replications=4)


def test_every_protocol_has_a_row_in_the_order_of_the_schema(played: pd.DataFrame) -> None:
    table = trilemma_table(played)
    assert table.index[0] == "centralised"
    assert set(table.index) == set(shipped(PROTOCOLS))
    assert "n = 4 replications of 300 queries" in table.attrs["caption"]


def test_means_and_intervals_are_those_over_replications(played: pd.DataFrame) -> None:
    table = trilemma_table(played)
    own = played.loc[played["protocol"] == "opml", "total_usd"]
    mean, _, low, high = mean_interval(own.to_numpy(), within=POSITIVE)
    row = table.loc["opml"]
    assert (row["total_usd"], row["total_usd_low"], row["total_usd_high"]) == (mean, low, high)


def test_throughput_is_paired_with_the_baseline(played: pd.DataFrame) -> None:
    table = trilemma_table(played)
    assert (table.loc["centralised", ["throughput", "throughput_low"]] == 1.0).all()
    wide = played.pivot_table(index="replication", columns="protocol", values="throughput_per_s")
    assert table.loc["tee", "throughput"] == pytest.approx(
        (wide["tee"] / wide["centralised"]).mean()
    )


def test_without_the_baseline_there_is_no_throughput(played: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="centralised"):
        trilemma_table(played[played["protocol"] != "centralised"])


# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    scenario = load("cost_aware_poq", ["rounds=300"])
    played = play_protocols(scenario, load_profile("published"), Verification(), replications=3)
    return trilemma_table(played)


def test_the_trilemma_has_a_row_per_protocol_and_four_panels(table: pd.DataFrame) -> None:
    figure = trilemma(table)
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert [label.split("\n")[0] for label in labels] == list(table.index)
    known = shipped(PROTOCOLS)
    assert all(known[name].gloss in label for name, label in zip(table.index, labels, strict=True))
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


def test_drawing_is_imported_only_when_something_is_drawn() -> None:
    code = (
        "import sys, poq_abm.analysis.trilemma\n"
        "sys.exit(any(name in sys.modules for name in ('seaborn', 'matplotlib')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
