"""How often the interval of a precision target holds the true mean, and what that costs.

``python -m benchmarks.coverage`` plays synthetic experiments with a known mean through the rule of
:mod:`poq_abm.experiment.precision` and, on the same values, through the naive one, which takes an
ordinary Student interval at every look. It prints a Markdown table: the share of experiments whose
final interval holds the mean, with its 95% Wilson interval, and the mean number of replications.

``python -m benchmarks.coverage --calibrations 1000`` makes as many synthetic calibrations of one
world whose figures are known, plays each with resampled profiles, and counts how many intervals
hold the figure: those of the replications alone, and those with the calibration's error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import binomtest

import poq_abm
from poq_abm.experiment.estimates import UNBOUNDED, Range
from poq_abm.experiment.precision import (
    PrecisionTarget,
    Reached,
    critical_level,
    judge_at_level,
    next_look,
)
from poq_abm.profile import Profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.scenario import parse

__all__ = ["CASES", "Calibrations", "Case", "Cover", "cover", "cover_calibrations"]

EXPERIMENTS = 20_000
SEED = 1

Draw = Callable[[Generator, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Case:
    """A distribution with a known mean, and what is wanted of its estimate."""

    draw: Draw
    mean: float
    target: PrecisionTarget


@dataclass(frozen=True)
class Cover:
    """What many experiments gave: how many there were, how many held the mean, at which size."""

    experiments: int
    held: int
    replications: float
    reached: float

    @property
    def share(self) -> float:
        """The share of experiments whose interval holds the mean."""
        return self.held / self.experiments

    def interval(self) -> tuple[float, float]:
        """Return the 95% Wilson interval of the share."""
        found = binomtest(self.held, self.experiments).proportion_ci(method="wilson")
        return float(found.low), float(found.high)


def _normal(mean: float) -> Draw:
    return lambda rng, n: rng.normal(mean, 1.0, n)


def _exponential(rng: Generator, n: int) -> NDArray[np.float64]:
    return rng.exponential(1.0, n)


def _centred_exponential(rng: Generator, n: int) -> NDArray[np.float64]:
    return _exponential(rng, n) - 1.0


def _lognormal(rng: Generator, n: int) -> NDArray[np.float64]:
    return rng.lognormal(0.0, 1.0, n)


def _rare(rng: Generator, n: int) -> NDArray[np.float64]:
    return (rng.random(n) < 0.02).astype(np.float64)


def _gappy(rng: Generator, n: int) -> NDArray[np.float64]:
    return np.where(rng.random(n) < 0.3, np.nan, rng.normal(1.0, 1.0, n))


def _until(
    half_width: float | None = None,
    relative: float | None = None,
    *,
    at_least: int = 20,
    at_most: int = 2000,
    confidence: float = 0.95,
    within: Range = UNBOUNDED,
) -> PrecisionTarget:
    return PrecisionTarget("metric", half_width, relative, at_least, at_most, confidence, within)


def _skewed(
    name: str, draw: Draw, mean: float, half_width: float, within: Range = UNBOUNDED
) -> dict[str, Case]:
    return {
        f"{name}, at_least {n}": Case(draw, mean, _until(half_width, at_least=n, within=within))
        for n in (20, 50, 100, 200)
    }


SHARE = Range(0.0, 1.0)
#: a relative width beyond measure: stop as soon as zero lies outside the interval
ANY_SIGN = 1e9

CASES: dict[str, Case] = {
    "normal, half_width 0.3": Case(_normal(0.0), 0.0, _until(0.3)),
    "normal, half_width 0.15": Case(_normal(0.0), 0.0, _until(0.15)),
    "normal, half_width 0.3, confidence 0.9": Case(_normal(0.0), 0.0, _until(0.3, confidence=0.9)),
    "normal, half_width 0.8, at_least 5": Case(_normal(0.0), 0.0, _until(0.8, at_least=5)),
    "normal, half_width 0.8, at_least 2": Case(_normal(0.0), 0.0, _until(0.8, at_least=2)),
    "normal, 30% missing, half_width 0.3": Case(_gappy, 1.0, _until(0.3)),
    "normal, mean 0.3 s.d., relative 0.5": Case(_normal(0.3), 0.3, _until(relative=0.5)),
    "normal, mean 0.3 s.d., relative 0.5, confidence 0.9": Case(
        _normal(0.3), 0.3, _until(relative=0.5, confidence=0.9)
    ),
    "normal, mean 0.1 s.d., relative 2": Case(
        _normal(0.1), 0.1, _until(relative=2.0, at_most=5000)
    ),
    "normal, mean 0, until zero is excluded": Case(_normal(0.0), 0.0, _until(relative=ANY_SIGN)),
    "exponential, relative 0.15": Case(_exponential, 1.0, _until(relative=0.15)),
    "exponential less its mean, until zero is excluded": Case(
        _centred_exponential, 0.0, _until(relative=ANY_SIGN)
    ),
    "the same, at_least 100": Case(
        _centred_exponential, 0.0, _until(relative=ANY_SIGN, at_least=100)
    ),
    **_skewed("exponential, half_width 0.2", _exponential, 1.0, 0.2),
    **_skewed("lognormal, half_width 0.3", _lognormal, float(np.exp(0.5)), 0.3),
    **_skewed("event of chance 0.02, half_width 0.02", _rare, 0.02, 0.02, SHARE),
    "event of chance 0.02, half_width 0.01, at_least 500": Case(
        _rare, 0.02, _until(0.01, at_least=500, within=SHARE)
    ),
}


def cover(case: Case, experiments: int, *, naive: bool = False, seed: int = SEED) -> Cover:
    """Play independent experiments of a case and count the final intervals that hold its mean."""
    target = case.target
    level = 1.0 - target.confidence
    if not naive:
        level = critical_level(target.looks, target.confidence)
    rng = np.random.default_rng(seed)
    ends = [_end(target, case.draw(rng, target.at_most), level) for _ in range(experiments)]
    return Cover(
        experiments,
        held=sum(end.low <= case.mean <= end.high for end in ends),
        replications=float(np.mean([end.replications for end in ends])),
        reached=float(np.mean([end.state == "reached" for end in ends])),
    )


def _end(target: PrecisionTarget, values: NDArray[np.float64], level: float) -> Reached:
    """Return the look at which one experiment stops."""
    n: int | None = target.at_least
    while n is not None:
        found = judge_at_level(target, values[:n], level)
        if found.state != "going on":
            break
        n = next_look(target, n)
    return found


class Calibrations(NamedTuple):
    """Synthetic calibrations of one world: how large each is, and how long it is played."""

    calibrated: int = 1000
    records: int = 100
    rounds: int = 1500
    replications: int = 20


#: of the world whose calibrations are drawn: the middle of the scale, about which all is symmetric
_MEAN, _LATENCIES, _LATENCY_SD = 5.0, (100.0, 160.0, 200.0), 60.0
#: what is known of it: the rewards of three models, and of a score the consensus by another rule
_KNOWN = {
    "reward of the cheapest model": 0.5,
    "reward of a model whose cost is measured": 0.5 - 0.3 * (160.0 - 100.0) / (200.0 - 100.0),
    "consensus by the median less that by the mean": 0.0,
}


def cover_calibrations(sizes: Calibrations, seed: int = SEED) -> dict[str, tuple[Cover, Cover]]:
    """Return, by figure, how many intervals hold it: of the replications, and widened ones."""
    scenario = parse(
        """
        population:
          inference: [{model: model_1}, {model: model_2}, {model: model_3}]
          evaluators: [{model: evaluator_1}, {model: evaluator_2}, {model: evaluator_3}]
        resample_profile: true
        sweep: {mechanism.aggregation: [mean, median]}
        """
    ).replace({"rounds": sizes.rounds, "replications": sizes.replications, "profile": "synthetic"})
    held = {name: [0, 0] for name in _KNOWN}
    for number in range(sizes.calibrated):
        profile = _calibration(sizes.records, seed * sizes.calibrated + number)
        for name, ends in _ends_of(scenario, profile).items():
            for kind, (low, high) in enumerate(ends):
                held[name][kind] += low <= _KNOWN[name] <= high
    of_counts = (
        Cover(sizes.calibrated, n, sizes.replications, 1.0) for pair in held.values() for n in pair
    )
    return {name: (next(of_counts), next(of_counts)) for name in _KNOWN}


def _calibration(records: int, seed: int) -> Profile:
    """Return what one calibration of the world measures: scores, and latencies with their s.d."""
    settings = SyntheticSettings(records=records, models=3, evaluators=3, seed=seed)
    profile = synthetic_profile(settings)
    rng = np.random.default_rng(seed)
    jobs = rng.normal(_LATENCIES, _LATENCY_SD, (records, len(_LATENCIES)))
    costs = profile.costs.copy()
    costs.loc[: len(_LATENCIES) - 1, "latency_ms"] = jobs.mean(axis=0)
    costs.loc[: len(_LATENCIES) - 1, "latency_sd_ms"] = jobs.std(axis=0, ddof=1)
    return replace(profile, costs=costs)


Ends = tuple[tuple[float, float], tuple[float, float]]


def _ends_of(scenario: poq_abm.Scenario, profile: Profile) -> dict[str, Ends]:
    """Return both intervals of every known figure, of one calibration."""
    results = poq_abm.run(scenario, profile=profile)
    rewards = results.summary().set_index(["treatment", "group"]).loc["aggregation=mean"]
    mean, median = results.treatments["treatment"]
    compared = results.compare(mean, median, on=["consensus_mean"]).iloc[0]
    rows: list[Any] = [*(rewards.loc[f"model_{number}"] for number in (1, 2)), compared]
    kinds = [("reward_low", "reward_high")] * 2 + [("low", "high")]
    return {
        name: (
            (float(row[low]), float(row[high])),
            (float(row["widened_low"]), float(row["widened_high"])),
        )
        for name, row, (low, high) in zip(_KNOWN, rows, kinds, strict=True)
    }


def _print_calibrations(sizes: Calibrations) -> None:
    _print_row(["figure", "nominal", "of the replications", "with the calibration's error"])
    _print_row(["---", "---:", "---:", "---:"])
    for name, covers in cover_calibrations(sizes).items():
        shares = [f"{c.share:.3f} ({c.interval()[0]:.3f} to {c.interval()[1]:.3f})" for c in covers]
        _print_row([name, "0.95", *shares])


def _row(name: str, case: Case, experiments: int) -> list[str]:
    ours, naive = (cover(case, experiments, naive=naive) for naive in (False, True))
    price = ours.replications / naive.replications
    cells = [name, f"{case.target.confidence:g}"]
    for found in (ours, naive):
        low, high = found.interval()
        cells += [f"{found.share:.3f} ({low:.3f} to {high:.3f})", f"{found.replications:,.0f}"]
    return [*cells, f"{price:.2f}"]


def _print_row(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def main(arguments: Any = None) -> int:
    """Print the table; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--experiments", type=int, default=EXPERIMENTS, help="per case and rule")
    for name, size in Calibrations._field_defaults.items():
        option = "calibrations" if name == "calibrated" else name
        default = None if name == "calibrated" else size
        parser.add_argument(f"--{option}", type=int, default=default, help="of the second table")
    options = parser.parse_args(arguments)
    if options.calibrations is not None:
        _print_calibrations(
            Calibrations(
                options.calibrations, options.records, options.rounds, options.replications
            )
        )
        return 0
    heads = "metric and target,nominal,coverage,replications,naive coverage,replications,price"
    _print_row(heads.split(","))
    _print_row(["---", *["---:"] * heads.count(",")])
    for name, case in CASES.items():
        _print_row(_row(name, case, options.experiments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
