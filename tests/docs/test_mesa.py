"""Mesa's own tools collect what our tables say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import poq_abm

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "mesa.md"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the page's examples leave behind, but that for a browser."""
    made: dict[str, Any] = {"__name__": "mesa_page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if "mesa.visualization" not in block:
            exec(block, made)
    return made


def test_a_data_collector_sees_the_rounds_of_a_trace(names: dict[str, Any]) -> None:
    scenario = names["scenario"].replace({"replications": 1})
    rounds = poq_abm.run(scenario, trace=True).rounds
    assert names["consensus"].tolist() == rounds["consensus"].tolist()
    assert not names["model"].running


def test_batch_run_plays_every_combination(names: dict[str, Any]) -> None:
    rows = pd.DataFrame(names["rows"])
    jobs = rows.assign(k=[each.mechanism.committee_size for each in rows["scenario"]])
    found = jobs.groupby(["k", "replication"])["jobs"].sum()
    assert list(found.index) == [(k, r) for k in (1, 3) for r in (0, 1)]
    for (k, _), played in found.items():  # of agents, Mesa 3.3 tells the step before the last
        assert played in (49 * (1 + k), 50 * (1 + k))
