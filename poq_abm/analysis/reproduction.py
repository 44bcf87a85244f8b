"""Published figures beside what the simulation gives: expected, observed, tolerance, status.

That two numbers agree says little by itself: an input read back always agrees, and so does a figure
that inputs were solved for. Each check therefore says on what basis it could agree, and has one of
five statuses:

``reproduced``
    The simulation gives the figure (or the sign claimed), and no input was chosen to make it so.
``input``
    The figure is a setting, or a table of the profile, read back.
``solved for``
    An input was calibrated or solved for so that this figure comes out. A check of the calibration,
    no evidence for the figure.
``contradicted``
    The simulation gives something else.
``not testable``
    What would be needed is not published, or the interval of a claimed sign contains zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from poq_abm.analysis.correlation import evaluator_correlations
from poq_abm.experiment.estimates import mean_interval
from poq_abm.profile import Profile
from poq_abm.profile.published_figures import (
    EVALUATORS,
    INFERENCE,
    JUDGE_CORRELATION,
    TRUTH_CORRELATION,
    Printed,
)

__all__ = ["STATUSES", "Check", "Status", "cost_aware_checks", "status_counts"]

Status = Literal["reproduced", "input", "solved for", "contradicted", "not testable"]
STATUSES: Final[tuple[Status, ...]] = (
    "reproduced",
    "input",
    "solved for",
    "contradicted",
    "not testable",
)

FALSE_ALARM = 0.01  # chance that a correct simulation misses any sampled figure at all
CORRELATION_TOLERANCE = 0.03  # ours: Figure 4 prints two decimals and per-task values are unknown


@dataclass(frozen=True)
class Check:
    """One published figure and what was observed for it.

    ``basis`` is the status that the check has if it agrees. ``contradicts`` marks a figure that is
    known to differ, and documented: only a check that is not :attr:`as_documented` is a fault.
    """

    figure: str
    item: str
    quantity: str
    expected: float
    observed: float
    low: float
    high: float
    tolerance: float
    reason: str
    sign: int = 0  #: where not 0, the interval must lie on this side of zero
    basis: Status = "reproduced"
    contradicts: bool = False

    @property
    def passes(self) -> bool:
        """Return whether the observed value is as near, or on the side, that was expected."""
        if self.sign:
            return min(self.sign * self.low, self.sign * self.high) > 0
        return abs(self.observed - self.expected) <= self.tolerance + 1e-12

    @property
    def status(self) -> Status:
        """What the check says of the figure: its basis if it agrees.

        >>> nan = float("nan")
        >>> cost = Check("claim", "otr", "USD", 0.07, 0.45, nan, nan, 0.001, "0.01 x 45")
        >>> cost.status
        'contradicted'
        """
        if self.passes:
            return self.basis
        undecided = self.sign != 0 and self.low <= 0.0 <= self.high
        if undecided or self.basis == "not testable":
            return "not testable"
        return "contradicted"

    @property
    def as_documented(self) -> bool:
        """Return whether the figure agrees, or is contradicted where that is documented."""
        if self.contradicts:
            return self.status == "contradicted"
        return self.passes or self.basis == "not testable"


def status_counts(checks: Iterable[Check]) -> dict[Status, int]:
    """Return how many checks have each status, in the order of :data:`STATUSES`.

    >>> status_counts([])
    {'reproduced': 0, 'input': 0, 'solved for': 0, 'contradicted': 0, 'not testable': 0}
    """
    found = [check.status for check in checks]
    return {status: found.count(status) for status in STATUSES}


def cost_aware_checks(nodes: pd.DataFrame, profile: Profile) -> list[Check]:
    """Return a check for every number of Table 4 and Figure 4 of arXiv 2512.16317.

    A published reward or job count is one run's outcome, so it is held against the prediction
    interval of one more run; a latency or a cost against its printed precision. The profile was
    fitted to these very tables: agreement shows that the mechanism is computed as published, and is
    no independent evidence for the figures.

    Parameters
    ----------
    nodes
        ``Results.nodes`` of the scenario ``cost_aware_poq``, two replications or more.
    profile
        The profile it drew from.
    """
    checks = []
    # Bonferroni over what is random: a reward per node, and the jobs of inference nodes.
    sampled = len(INFERENCE) * 2 + len(EVALUATORS)
    for role, table in (("inference", INFERENCE), ("evaluator", EVALUATORS)):
        for model, printed in table.items():
            rows = nodes[(nodes["role"] == role) & (nodes["model"] == model)]
            checks += _node_checks(model, printed, rows, FALSE_ALARM / sampled)
    return checks + _correlation_checks(profile)


def _node_checks(
    model: str, printed: Printed, rows: pd.DataFrame, false_alarm: float
) -> list[Check]:
    rewards, jobs = rows["reward_mean"].to_numpy(), rows["jobs"].to_numpy(np.float64)
    latency, cost = float(rows["latency_ms"].iloc[0]), float(rows["cost"].iloc[0])
    return [
        _sampled_check(model, "reward", printed.reward, rewards, 0.0005, false_alarm),
        _exact_check(model, "latency_ms", printed.latency_ms, latency, 0.05),
        _exact_check(model, "cost", printed.cost, cost, 0.0005),
        _jobs_check(model, printed.jobs, jobs, false_alarm),
    ]


def _jobs_check(model: str, printed: int, jobs: NDArray[np.float64], false_alarm: float) -> Check:
    """Hold a count that never varies (every evaluator on every committee) to the printed one."""
    if np.ptp(jobs) == 0:
        return _exact_check(model, "jobs", printed, float(jobs[0]), 0.0)
    return _sampled_check(model, "jobs", printed, jobs, 0.0, false_alarm)


def _exact_check(
    item: str, quantity: str, expected: float, observed: float, rounding: float
) -> Check:
    nan, reason = math.nan, "printed precision"  # nothing is estimated, so there is no interval
    return Check("Table 4", item, quantity, expected, observed, nan, nan, rounding, reason)


def _sampled_check(
    item: str,
    quantity: str,
    expected: float,
    values: NDArray[np.float64],
    rounding: float,
    false_alarm: float,
) -> Check:
    mean, sd, low, high = mean_interval(values)
    quantile = float(stdtrit(values.size - 1, 1 - false_alarm / 2))
    tolerance = rounding + quantile * sd * math.sqrt(1 + 1 / values.size)
    reason = "one run's prediction interval" + (" and rounding" if rounding else "")
    return Check("Table 4", item, quantity, expected, mean, low, high, tolerance, reason)


def _correlation_checks(profile: Profile) -> list[Check]:
    published = {"truth": TRUTH_CORRELATION, "judge": JUDGE_CORRELATION}
    observed = evaluator_correlations(profile)
    return [
        Check(
            "Figure 4",
            evaluator,
            f"correlation with {against}",
            published[against][evaluator],
            correlation,
            low,
            high,
            CORRELATION_TOLERANCE,
            "two printed decimals, averaged over tasks",
        )
        for evaluator, against, correlation, low, high in observed.itertuples(index=False)
    ]
