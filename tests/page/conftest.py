"""What the tests of the page share."""

from __future__ import annotations

import pytest

from poq_abm.page.exploring import Exploration
from poq_abm.page.rounds_page import RoundsPage
from poq_abm.scenario import Scenario, load

CONTESTED = [
    "sweep={}",
    "rounds=300",
    "replications=4",
    "mechanism.aggregation=trust_weighted",
]


@pytest.fixture(scope="module")
def contested() -> Scenario:
    """Twenty evaluators, six of which boost; trust moves."""
    return load("adversary_sweep", CONTESTED)


@pytest.fixture(scope="module")
def settings(contested: Scenario) -> RoundsPage:
    return RoundsPage(contested, 300)


@pytest.fixture(scope="module")
def exploration(contested: Scenario) -> Exploration:
    return Exploration(contested)
