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
from scipy.special import stdtrit

from poq_abm.analysis.evaluator_correlation import evaluator_correlations
from poq_abm.experiment.estimates import mean_interval
from poq_abm.profile import Profile
from poq_abm.profile.published_figures import (
    EVALUATORS,
    INFERENCE,
    JUDGE_CORRELATION,
    TRUTH_CORRELATION,
    Printed,
    evaluator_latencies,
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
CORRELATION_TOLERANCE = 0.005  # the text on Figure 4 gives two decimals


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
    default: float = math.nan  #: what the product's own defaults give, where that is a question

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

    The profile was solved for the rewards of Table 4 (under assumed coefficients, see
    :func:`poq_abm.profile.published_figures.coefficient_family`) and for Figure 4: these rows show
    that the mechanism is computed as published and the calibration did what it was meant to, and
    are no evidence for the figures. A reward is held to the standard error of the simulated mean, a
    latency, cost or correlation to its printed digits. What nothing was chosen for is the inference
    nodes' costs (the min-max of their printed latencies) and their jobs: those of one published
    run, held against the prediction interval of one more run.

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
            checks += [
                _reward_check(model, printed.reward, rows, FALSE_ALARM / sampled),
                *_cost_checks(model, printed, rows, _given(role, model)),
                _jobs_check(model, printed.jobs, rows, FALSE_ALARM / sampled),
            ]
    return checks + _correlation_checks(profile)


def _given(role: str, model: str) -> tuple[Status, Status]:
    """Return on what basis latency and cost of a node agree.

    The latencies of two evaluators were chosen inside their printed digits so that the printed
    costs come out; all others are printed figures read back.
    """
    if role == "inference":
        return "input", "reproduced"
    as_printed = evaluator_latencies()[model] == EVALUATORS[model].latency_ms
    return ("input" if as_printed else "solved for"), "solved for"


def _reward_check(item: str, printed: float, rows: pd.DataFrame, false_alarm: float) -> Check:
    values = rows["reward_mean"].to_numpy(np.float64)
    mean, sd, low, high = mean_interval(values)
    tolerance = 0.0005 + _quantile(values.size, false_alarm) * sd / math.sqrt(values.size)
    reason = "standard error of the mean, and rounding"
    return Check("Table 4", item, "reward", printed, mean, low, high, tolerance, reason,
                 basis="solved for")  # fmt: skip


def _cost_checks(
    item: str, printed: Printed, rows: pd.DataFrame, basis: tuple[Status, Status]
) -> list[Check]:
    latency, cost = float(rows["latency_ms"].iloc[0]), float(rows["cost"].iloc[0])
    return [
        _exact_check(item, "latency_ms", printed.latency_ms, latency, 0.05, basis[0]),
        _exact_check(item, "cost", printed.cost, cost, 0.0005, basis[1]),
    ]


def _jobs_check(item: str, printed: int, rows: pd.DataFrame, false_alarm: float) -> Check:
    """Hold the jobs of one published run to those of one more run.

    Where they never vary, every evaluator sits on every committee: a size chosen for that.
    """
    values = rows["jobs"].to_numpy(np.float64)
    if np.ptp(values) == 0:
        return _exact_check(item, "jobs", printed, float(values[0]), 0.0, "solved for")
    mean, sd, low, high = mean_interval(values)
    tolerance = _quantile(values.size, false_alarm) * sd * math.sqrt(1 + 1 / values.size)
    reason = "one run's prediction interval"
    return Check("Table 4", item, "jobs", printed, mean, low, high, tolerance, reason)


def _quantile(count: int, false_alarm: float) -> float:
    return float(stdtrit(count - 1, 1 - false_alarm / 2))


def _exact_check(
    item: str, quantity: str, expected: float, observed: float, rounding: float, basis: Status
) -> Check:
    nan, reason = math.nan, "printed precision"  # nothing is estimated, so there is no interval
    return Check("Table 4", item, quantity, expected, observed, nan, nan, rounding, reason,
                 basis=basis)  # fmt: skip


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
            basis="solved for",
        )
        for evaluator, against, correlation, low, high in observed.itertuples(index=False)
    ]
