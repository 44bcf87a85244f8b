"""Fixtures that several rooms share."""

from __future__ import annotations

import pytest

from poq_abm.scenario import Scenario, load


@pytest.fixture
def small() -> Scenario:
    """The published population, few rounds: plays in a moment."""
    return load("cost_aware_poq", ["rounds=200", "replications=3"])
