"""The figures of arXiv 2603.04028 beside what its five evaluators, rebuilt, give.

The profile ``five_evaluators`` was fitted to most of them: agreement is then a check of the fit.
Who lied is not published, so that rewards under attack are means over all sets of liars.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from poq_abm.analysis.reproduce.checks import Check, Status
from poq_abm.experiment.estimates import mean_interval, pearson
from poq_abm.experiment.results import Results
from poq_abm.experiment.running import run
from poq_abm.profile import Profile, load_profile, published_figures
from poq_abm.profile import five_evaluators_figures as figures
from poq_abm.scenario import Scenario, load

__all__ = ["NOTE", "five_evaluator_checks"]

NOTE = """\
Rows marked 2603.04028 are that paper's figures, which the profile `five_evaluators` was fitted to
(`solved for`), as the sizes of its attacks were (K = 3 of 5 and b = 4 are inferred). Rank
correlations were not, and the profile does not carry them. Its correlations of three evaluators
differ from those of 2512.16317; both stand here, and neither replaces the other. As published, from
two liars of five on median and trimmed mean distort payouts more than the mean; the profile carries
that for boost, and for sabotage from three on."""

PAPER = "2603.04028"
ROUNDS = 1000
REWARD_MARGIN = 0.01
CORRELATION_MARGIN = 0.005  # two printed decimals
Array = NDArray[np.float64]
Rewards = dict[tuple[str, int, str], Array]  #: by attack, liars and rule, a number a replication


def five_evaluator_checks(replications: int, n_jobs: int, seed: int) -> list[Check]:
    """Return a check for every figure of arXiv 2603.04028 that five evaluators can be held to."""
    profile = load_profile("five_evaluators")
    shipped = load("five_evaluators", [f"replications={replications}", f"seed={seed}"])
    attacks = dict(zip(figures.ATTACK_REWARDS, _specs(shipped), strict=True))
    settings = {"rounds": ROUNDS, "malicious": None, "mechanism.trust": None, "sweep": None}
    by_rings = run(_over_rings(shipped.replace(settings), attacks), n_jobs=n_jobs)
    rewards = _rewards(by_rings)
    return [
        *_correlation_checks(profile),
        *_other_paper(),
        *_node_checks(by_rings),
        *(check for attack in attacks for check in _attack_checks(attack, rewards)),
        *_distortion_checks(rewards),
        *_trust_checks(shipped, n_jobs),
    ]


def _specs(scenario: Scenario) -> list[Any]:
    specs: list[Any] = scenario.sweep["malicious.behaviour"]
    return specs


def _over_rings(scenario: Scenario, attacks: Mapping[str, Any]) -> Scenario:
    """Return the scenario with a treatment for every set of liars, attack and rule."""
    members = range(len(figures.EVALUATORS))
    rows = [_row("none_0_", (), "honest")]
    for attack, spec in attacks.items():
        for liars in range(1, len(figures.RATIOS)):
            for ring in combinations(members, liars):
                rows.append(_row(f"{attack}_{liars}_{''.join(map(str, ring))}", ring, spec))
    return scenario.replace({"sweep": {"mechanism.aggregation": list(figures.RULES), "list": rows}})


def _row(name: str, ring: tuple[int, ...], spec: Any) -> dict[str, Any]:
    does = {
        f"population.evaluators.{member}.behaviour": spec if member in ring else "honest"
        for member in range(len(figures.EVALUATORS))
    }
    return {"id": name, **does}


def _rewards(results: Results) -> Rewards:
    """Return the mean reward of inference nodes, over all sets of liars of a size."""
    table = results.replications[["treatment", "replication", "inference_reward_mean"]].copy()
    parts = table["treatment"].astype(str).str.extract(r"aggregation=(\w+),(\w+)_(\d)_")
    table[["rule", "attack", "liars"]] = parts.to_numpy()
    means = table.groupby(["attack", "liars", "rule", "replication"])["inference_reward_mean"]
    found: dict[tuple[str, int, str], list[float]] = {}
    for key, value in means.mean().items():
        attack, liars, rule, _ = cast("tuple[str, str, str, int]", key)
        found.setdefault((attack, int(liars), rule), []).append(float(value))
    return {key: np.array(values) for key, values in found.items()}


def _correlation_checks(profile: Profile) -> Iterator[Check]:
    """Yield the correlations with the truth of every evaluator, and of the consensus of all."""
    scores, truth = profile.scores.reshape(-1, 5), profile.truth.ravel()
    ordered = np.sort(scores, axis=1)
    columns = dict(zip(profile.evaluators, scores.T, strict=True)) | {
        "mean": scores.mean(axis=1),
        "median": ordered[:, 2],
        "trimmed_mean": ordered[:, 1:4].mean(axis=1),
    }
    linear = figures.TRUTH_CORRELATION | figures.CONSENSUS_CORRELATION
    ranked = figures.TRUTH_RANK_CORRELATION | figures.CONSENSUS_RANK_CORRELATION
    for name, column in columns.items():
        item = name if name in profile.evaluators else f"{name} of five"
        yield _read(item, "correlation with truth", linear[name], pearson(column, truth),
                    CORRELATION_MARGIN, "two printed decimals")  # fmt: skip
    for name, column in columns.items():
        item = name if name in profile.evaluators else f"{name} of five"
        by_rank = pearson(rankdata(column), rankdata(truth))
        reason = "the profile carries linear correlations; ranks were not fitted"
        yield _read(item, "rank correlation with truth", ranked[name], by_rank,
                    CORRELATION_MARGIN, reason, basis="not testable")  # fmt: skip


def _read(
    item: str,
    quantity: str,
    expected: float,
    observed: float,
    tolerance: float,
    reason: str,
    basis: Status = "solved for",
) -> Check:
    """Return a check of what is computed and not estimated, so that there is no interval."""
    nan = math.nan
    return Check(PAPER, item, quantity, expected, observed, nan, nan, tolerance, reason,
                 basis=basis)  # fmt: skip


def _other_paper() -> Iterator[Check]:
    """Yield the correlations that another paper prints of three of the evaluators."""
    other = load_profile("published")
    for name, printed in published_figures.TRUTH_CORRELATION.items():
        e, tasks = other.evaluators.index(name), range(len(other.tasks))
        within = [
            pearson(other.scores[rows, :, e].ravel(), other.truth[rows].ravel())
            for task in tasks
            for rows in [other.task_of_record == task]
        ]
        there = figures.TRUTH_CORRELATION[name]
        reason = f"mean of two tasks, profile published; {PAPER} has {there:g}"
        yield Check("2512.16317", name, "correlation with truth", printed, float(np.mean(within)),
                    math.nan, math.nan, CORRELATION_MARGIN, reason, basis="solved for")  # fmt: skip


def _node_checks(results: Results) -> Iterator[Check]:
    nodes = results.nodes[results.nodes["treatment"] == "aggregation=mean,none_0_"]
    for name, reward in (figures.INFERENCE_REWARDS | figures.EVALUATOR_REWARDS).items():
        paid = nodes.loc[nodes["model"] == name, "reward_mean"].to_numpy(np.float64)
        yield _estimated(name, "reward", reward, paid)


def _estimated(item: str, quantity: str, expected: float, values: Array) -> Check:
    """Hold a mean over replications to a published reward."""
    mean, sd, low, high = mean_interval(values)
    tolerance = REWARD_MARGIN + 4.0 * sd / math.sqrt(values.size)
    return Check(PAPER, item, quantity, expected, mean, low, high, tolerance,
                 "0.01 and four standard errors", basis="solved for")  # fmt: skip


def _attack_checks(attack: str, rewards: Rewards) -> Iterator[Check]:
    """Yield the rewards of Figure 14: the consensus's, then the other point of every ratio."""
    slope, intercept = figures.BLEND
    for liars, ratio in enumerate(figures.RATIOS):
        for place, rule in enumerate(figures.RULES):
            paid = rewards["none" if liars == 0 else attack, liars, rule]
            item = f"{rule}, {attack}, ratio {ratio:g}"
            expected = figures.ATTACK_REWARDS[attack][liars][place]
            yield _estimated(item, "inference reward", expected, paid)
            blend = figures.BLEND_REWARDS[attack][liars][place]
            yield _estimated(item, "the figure's blend", blend, slope * paid + intercept)


def _distortion_checks(rewards: Rewards) -> Iterator[Check]:
    """Yield whether the median moves pay more than the mean does: with one liar less, then more."""
    for attack in ("boost", "sabotage"):
        for liars in (1, 2, 3):
            moved = {
                rule: np.abs(rewards[attack, liars, rule] - rewards["none", 0, rule])
                for rule in figures.RULES
            }
            mean, _, low, high = mean_interval(moved["median"] - moved["mean"])
            sign = -1 if liars == 1 else 1
            published = figures.ATTACK_REWARDS[attack]
            printed = abs(published[liars][1] - published[0][1]) - abs(
                published[liars][0] - published[0][0]
            )
            carried = (attack, liars) != ("sabotage", 2)
            reason = "the profile has each reward to 0.01, and not this difference"
            if carried:
                reason = f"interval lies {'below' if sign < 0 else 'above'} zero"
            yield Check(PAPER, f"{attack}, {liars} of 5", "distortion, median less mean", printed,
                        mean, low, high, 0.0, reason, sign,
                        basis="solved for" if carried else "not testable")  # fmt: skip


def _trust_checks(scenario: Scenario, n_jobs: int) -> Iterator[Check]:
    """Yield that all weights end at w_max, and that two rules then pay as two others do."""
    rules = ["mean", "trust_weighted", "median", "trimmed_mean"]
    results = run(
        scenario.replace(
            {"rounds": ROUNDS, "malicious.share": 0.6, "sweep.malicious.share": None,
             "sweep.mechanism.aggregation": rules, "mechanism.trust.interval": ROUNDS}
        ),
        n_jobs=n_jobs,
    )  # fmt: skip
    last = results.trust[
        results.trust["treatment"].astype(str).str.startswith("aggregation=trust_weighted")
    ]
    weights = last.groupby("node")["trust"].mean()
    yield _read("five evaluators, ratio 0.6", "least final weight", figures.TRUST_MAXIMUM,
                float(weights.min()), 0.05, "a round far off takes a weight off w_max for a while",
                basis="reproduced")  # fmt: skip
    paid = results.replications.pivot_table(
        index=["replication"], columns="treatment", values="inference_reward_mean", observed=True
    )
    for rule, other in (("trust_weighted", "mean"), ("trimmed_mean", "median")):
        columns = [name for name in paid if str(name).startswith(f"aggregation={rule},")]
        gaps = [paid[name] - paid[str(name).replace(rule, other, 1)] for name in columns]
        mean, _, low, high = mean_interval(np.mean(gaps, axis=0))
        yield Check(PAPER, f"{rule} less {other}, ratio 0.6", "inference reward, difference", 0.0,
                    mean, low, high, 0.0016, "four pixels of the figure")  # fmt: skip
