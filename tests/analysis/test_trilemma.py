from __future__ import annotations

import pandas as pd
import pytest

from poq_abm.analysis.trilemma import play_protocols, trilemma_table
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
