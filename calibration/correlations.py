"""What a profile says of its evaluators and models, as plain JSON that the profile carries.

The tables themselves are made in :mod:`poq_abm.analysis`, for any profile, measured or not.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from poq_abm.analysis.evaluator_correlation import correlation_table
from poq_abm.analysis.quality_latency import quality_against_latency
from poq_abm.analysis.resampling import CONFIDENCE, RESAMPLES
from poq_abm.analysis.variance import variance_shares
from poq_abm.profile import Profile

__all__ = ["correlation_table", "findings", "quality_against_latency", "variance_shares"]

_DIGITS = 6


def findings(profile: Profile, *, resamples: int = RESAMPLES, seed: int = 1) -> dict[str, Any]:
    """Return correlations, quality against latency and variance shares, each with its intervals.

    Each of the three is a list of rows; what is not defined is ``None``. The correlations are
    those of Figure 4 and the qualities those of Figure 5 of arXiv:2512.16317, for this profile.

    >>> from poq_abm.profile import load_profile
    >>> findings(load_profile("published"), resamples=20)["correlations"][0]["correlation"]
    0.66
    """
    asked = {"resamples": resamples, "seed": seed}
    return {
        "intervals": f"{CONFIDENCE:.0%}, expanded percentile bootstrap over records within tasks, "
        f"{resamples} resamples, seed {seed}",
        "correlations": _rows(correlation_table(profile, **asked)),
        "quality_against_latency": _rows(quality_against_latency(profile, **asked)),
        "variance_shares": _rows(variance_shares(profile, **asked)),
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")
    ]


def _plain(value: object) -> object:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, _DIGITS)
    return value
