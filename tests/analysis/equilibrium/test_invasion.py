"""The share of deviators from which on a deviation pays."""

import math

import numpy as np
import pytest

from poq_abm.analysis.equilibrium.invasion import invasion_threshold

SHARES = np.array([0.0, 0.25, 0.5, 1.0])


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([1.0, -1.0, 1.0, 1.0], 0.0),
        ([-1.0, -1.0, -1.0, -1.0], math.inf),
        ([-1.0, 1.0, -1.0, 1.0], 0.125),
        ([-3.0, -2.0, -1.0, 1.0], 0.75),
        ([0.0, 0.0, 0.0, 0.0], math.inf),
    ],
)
def test_by_hand(gains, expected):
    assert invasion_threshold(SHARES, np.array(gains)) == expected
