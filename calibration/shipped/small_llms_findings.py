"""What the profile ``small_llms`` says of the claims of Proof of Quality, each with its interval.

``python -m calibration.shipped.small_llms_findings`` prints the tables of the page. Intervals are
95%, by resampling records within their task: all answers to a record stay together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from poq_abm.profile import Profile, load_profile

__all__ = ["agreement_pay", "claims", "downgrades", "evaluators", "main", "markdown", "systems"]

REPEATS = 2000
SEED = 16
DOWNGRADES = [
    (model, better, worse)
    for model in ("smollm2", "gemma3")
    for better, worse in (("f32", "q4"), ("q4", "q3"))
]
Picked = npt.NDArray[np.intp]


def _interval(profile: Profile, statistic: Callable[[Picked], float]) -> dict[str, float]:
    """Return a statistic of the records with its percentile interval."""
    values = [
        statistic(picked)
        for picked in _resamples(profile.task_of_record.astype(np.int64).tobytes())
    ]
    low, high = np.nanquantile(values, [0.025, 0.975])
    whole = statistic(np.arange(len(profile.records)))
    return {"value": whole, "low": float(low), "high": float(high)}


@lru_cache(maxsize=1)
def _resamples(tasks: bytes) -> list[Picked]:
    """Return the records of every resample, the same for all statistics of a profile."""
    of_record = np.frombuffer(tasks, dtype=np.int64)
    draw = np.random.default_rng(SEED)  # no part of a simulation
    groups = [np.flatnonzero(of_record == task) for task in np.unique(of_record)]
    return [
        np.concatenate([draw.choice(group, len(group)) for group in groups]) for _ in range(REPEATS)
    ]


def _correlation(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _follows(profile: Profile, at: Picked, evaluator: int) -> float:
    """Return an evaluator's correlation with truth over answers, the mean over the tasks."""
    tasks = profile.task_of_record[at]
    parts = [at[tasks == task] for task in range(len(profile.tasks))]
    return float(
        np.mean([_correlation(profile.scores[p][:, :, evaluator], profile.truth[p]) for p in parts])
    )


def systems(profile: Profile) -> pd.DataFrame:
    """Return the truth of each system in points, with its interval, and its latency as a ratio."""
    latency = _latencies(profile)
    rows = []
    for place, name in enumerate(profile.models):
        found = _interval(profile, lambda at, m=place: float(profile.truth[at, m].mean()))  # type: ignore[misc]
        rows.append({"system": name, **found, "latency": latency[name] / latency["smollm2_q4"]})
    return pd.DataFrame(rows)


def evaluators(profile: Profile) -> pd.DataFrame:
    """Return each evaluator's correlation with truth within tasks, and its latency as a ratio."""
    latency, rows = _latencies(profile), []
    for place, name in enumerate(profile.evaluators):
        found = _interval(
            profile,
            lambda at, e=place: _follows(profile, at, e),  # type: ignore[misc]
        )
        ratio = latency[name] / latency["minilm_reference"]
        rows.append({"evaluator": name, **found, "latency": ratio})
    return pd.DataFrame(rows)


def downgrades(profile: Profile) -> pd.DataFrame:
    """Return what each step down in precision costs in truth and in each evaluator's points."""
    rows = []
    for model, better, worse in DOWNGRADES:
        one, other = (profile.models.index(f"{model}_{bits}") for bits in (better, worse))
        seen = [("truth", profile.truth)]
        seen += [(n, profile.scores[:, :, e]) for e, n in enumerate(profile.evaluators)]
        for name, table in seen:
            found = _interval(
                profile,
                lambda at, t=table, a=one, b=other: float((t[at, a] - t[at, b]).mean()),  # type: ignore[misc]
            )
            rows.append({"step": f"{model} {better} to {worse}", "seen by": name, **found})
    return pd.DataFrame(rows)


def agreement_pay(profile: Profile) -> pd.DataFrame:
    """Return each evaluator's mean closeness to the mean of all, 1 - |score - mean| / 10."""
    closeness, rows = _closeness(profile), []
    for place, name in enumerate(profile.evaluators):
        found = _interval(profile, lambda at, e=place: float(closeness[at][:, :, e].mean()))  # type: ignore[misc]
        rows.append({"evaluator": name, **found})
    return pd.DataFrame(rows)


def claims(profile: Profile) -> pd.DataFrame:
    """Return the numbers that answer the four questions of the page, each with its interval.

    The first rows compare correlations with truth over answers, then come a difference in points,
    and correlations over systems and over evaluators.
    """
    truth, latency = profile.truth, _latencies(profile)
    speed = np.log([latency[name] for name in profile.models])
    place = {name: number for number, name in enumerate(profile.evaluators)}

    def beside(other: str) -> Callable[[Picked], float]:
        pair = place["minilm_reference"], place[other]
        return lambda at: _follows(profile, at, pair[0]) - _follows(profile, at, pair[1])

    def classical(at: Picked) -> float:
        first, second = (profile.models.index(n) for n in ("central_sentence", "smollm2_q4"))
        return float((truth[at, first] - truth[at, second]).mean())

    def pay(at: Picked) -> float:
        close = _closeness(profile)[at].mean(axis=(0, 1))
        accurate = [_follows(profile, at, evaluator) for evaluator in place.values()]
        return _correlation(close, np.array(accurate))

    asked: dict[str, Callable[[Picked], float]] = {
        f"minilm_reference before {name}": beside(name)
        for name in profile.evaluators
        if name != "minilm_reference"
    }
    asked["central_sentence before smollm2_q4, points"] = classical
    asked["truth with log latency, over systems"] = lambda at: _correlation(
        truth[at].mean(axis=0), speed
    )
    asked["agreement pay with correlation with truth, over evaluators"] = pay
    return pd.DataFrame(
        [{"question": name, **_interval(profile, each)} for name, each in asked.items()]
    )


def _closeness(profile: Profile) -> npt.NDArray[np.float64]:
    mean: npt.NDArray[np.float64] = profile.scores.mean(axis=2, keepdims=True)
    closeness: npt.NDArray[np.float64] = 1.0 - np.abs(profile.scores - mean) / 10.0
    return closeness


def _latencies(profile: Profile) -> dict[str, float]:
    """Return the latency of each node; each was timed on one machine, under the name of its way."""
    rows = profile.costs.drop_duplicates("node")
    return dict(zip(rows["node"], rows["latency_ms"].astype(float), strict=True))


def main() -> int:
    """Print every table as Markdown."""
    profile = load_profile("small_llms")
    for table in (systems, evaluators, downgrades, agreement_pay, claims):
        sys.stdout.write(f"{markdown(table(profile))}\n\n")
    return 0


def markdown(table: pd.DataFrame) -> str:
    """Return a table as the page shows it."""
    shown = table.copy()
    limits = zip(shown.pop("low"), shown.pop("high"), strict=True)
    interval = [f"[{low:.2f}, {high:.2f}]" for low, high in limits]
    shown.insert(list(shown.columns).index("value") + 1, "95% interval", interval)
    lines = [list(shown.columns), ["---"] * shown.shape[1]]
    lines += [
        [f"{x:.3g}" if k == "latency" else f"{x:.2f}" if isinstance(x, float) else str(x)
         for k, x in row.items()]
        for row in shown.to_dict("records")
    ]  # fmt: skip
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
