"""Every number of Table 4 and Figure 4 of arXiv 2512.16317 beside what the simulation gives."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from poq_abm.analysis.evaluator_correlation import evaluator_correlations
from poq_abm.analysis.reproduce.checks import Check, PublishedStudy, Status
from poq_abm.analysis.reproduce.posterior import Unknown, UnknownConstants
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.running import run
from poq_abm.experiment.schemas import RESAMPLED
from poq_abm.profile import Profile, load_profile
from poq_abm.profile.published_figures import (
    EVALUATORS,
    INFERENCE,
    JUDGE_CORRELATION,
    TRUTH_CORRELATION,
    Printed,
    coefficient_family,
    evaluator_latencies,
)
from poq_abm.scenario import load

__all__ = ["STUDY", "cost_aware_checks"]

NOTE = """\
The profile `published` was fitted to Table 4 and Figure 4: `solved for`. Agreement shows that the
mechanism is computed as published; it is a check of the calibration and no independent evidence for
the figures. The coefficients alpha = 1 and beta = 0.3 are assumed: the paper does not state them,
and Table 4 fixes only alpha Q - beta C. With alpha = 1, all of these fit it exactly:"""
FALSE_ALARM = 0.01  # chance that a correct simulation misses any sampled figure at all
CORRELATION_TOLERANCE = 0.005  # the text on Figure 4 gives two decimals


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


def _checks(replications: int, seed: int, jobs: int) -> list[Check]:
    scenario = load("cost_aware_poq", [f"replications={replications}", f"seed={seed}"])
    profile = load_profile(scenario.profile)
    results = run(scenario, n_jobs=jobs, profile=profile)
    return cost_aware_checks(results.nodes, profile)


def _note() -> str:
    """Return what agreement means, with the coefficients that Table 4 does not tell apart."""
    lines = [NOTE]
    for row in coefficient_family():
        symbol, what = ("F", "quality") if row.role == "inference" else ("M", "closeness")
        means = ", ".join(f"{name} {value:.3f}" for name, value in row.implied.items())
        ruled_out = "" if row.admissible else " (no scores have such means)"
        lines.append(f"  beta_{symbol} = {row.beta:g}: mean {what} {means}{ruled_out}")
    return "\n".join(lines)


POSTERIOR_NOTE = """\
Conditional on profile {profile}: on the mean qualities that its records give, with the error of
measuring so many. The profile was solved for Table 4 at alpha = 1 and beta = 0.3: the centre is an
input, and what the sample adds is what printed digits, one run and the records leave open. Table 4
fixes only alpha Q - beta C: --open-quality says what is known where quality is not."""
OPEN_NOTE = """\
Quality open: level times what profile {profile} gives, and falling less or more with cost by the
tilt. Table 4 fixes only alpha Q - beta C, so that alpha is not told from the level of quality nor
beta from its tilt; the sample is the family of pairs that fit, within the priors (assumed)."""
_PRIOR_ALPHA, _PRIOR_BETA = (0.0, 2.0), (0.0, 1.0)  # assumed, as what follows
_LEVEL, _TILT = (0.5, 1.5), (-0.3, 0.3)


def _questions(
    replications: int, seed: int, jobs: int, *, open_quality: bool
) -> tuple[list[UnknownConstants], str]:
    """Return what Table 4 could tell of alpha and beta, role by role.

    A reward is alpha q - beta C, q and C being what a node has at alpha = 1 and beta = 0: each draw
    takes q of one replication on resampled records, as the paper's is one run of one calibration.
    With ``open_quality``, level (q + tilt C) stands for q; no quality lies outside [0, 1].
    """
    scenario = load("cost_aware_poq").replace(
        {
            "replications": replications,
            "seed": seed,
            "resample_profile": True,
            **{f"mechanism.alpha_{role}": 1.0 for role in ("inference", "evaluator")},
            **{f"mechanism.beta_{role}": 0.0 for role in ("inference", "evaluator")},
        }
    )
    nodes = run(scenario, n_jobs=jobs).tables[f"{RESAMPLED}nodes"].to_pandas()
    questions = []
    for role, table in (("inference", INFERENCE), ("evaluator", EVALUATORS)):
        own = nodes[nodes["role"] == role].pivot_table(
            index="replication", columns="model", values=["reward_mean", "cost"], observed=True
        )
        models = list(table)
        questions.append(
            UnknownConstants(
                (
                    Unknown(f"mechanism.alpha_{role}", *_PRIOR_ALPHA),
                    Unknown(f"mechanism.beta_{role}", *_PRIOR_BETA),
                    *([Unknown(f"level, {role}", *_LEVEL)] if open_quality else []),
                    *([Unknown(f"tilt, {role}", *_TILT)] if open_quality else []),
                ),
                np.array([table[model].reward for model in models]),
                0.0005,
                _rewards(own["reward_mean"][models].to_numpy(), own["cost"][models].to_numpy()),
            )
        )
    note = OPEN_NOTE if open_quality else POSTERIOR_NOTE
    return questions, note.format(profile=scenario.profile)


def _rewards(
    quality: NDArray[np.float64], cost: NDArray[np.float64]
) -> Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]:
    """Return what gives the rewards of nodes at draws of alpha and beta, each of a replication."""

    def simulate(drawn: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        played = rng.integers(len(quality), size=len(drawn))
        charged, q = cost[played], quality[played]
        alpha, beta, *open_quality = (column[:, None] for column in drawn.T)
        if open_quality:
            level, tilt = open_quality
            q = level * (q + tilt * charged)
            q = np.where((q >= 0.0) & (q <= 1.0), q, np.inf)
        rewards: NDArray[np.float64] = alpha * q - beta * charged
        return rewards

    return simulate


STUDY = PublishedStudy(
    "cost-aware",
    _checks,
    _note,
    usual=100,
    least=2,
    takes=("replications", "jobs", "posterior", "draws", "keep", "open_quality"),
    questions=_questions,
)
