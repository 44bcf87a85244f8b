"""What the profile ``small_llms`` says of the claims of Proof of Quality, each with its interval.

``python -m calibration.shipped.small_llms_findings`` prints the tables of the page. Intervals are
95%, by resampling records within their task: all answers to a record stay together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from poq_abm.profile import Profile, load_profile

__all__ = ["agreement_pay", "downgrades", "evaluators", "main", "systems"]

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
    tasks = profile.task_of_record
    draw = np.random.default_rng(SEED)  # no part of a simulation
    groups = [np.flatnonzero(tasks == task) for task in range(len(profile.tasks))]
    values = [
        statistic(np.concatenate([draw.choice(group, len(group)) for group in groups]))
        for _ in range(REPEATS)
    ]
    low, high = np.nanquantile(values, [0.025, 0.975])
    whole = statistic(np.arange(len(tasks)))
    return {"value": whole, "low": float(low), "high": float(high)}


def _correlation(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def systems(profile: Profile) -> pd.DataFrame:
    """Return the truth of each system in points, with its interval, and its latency as a ratio."""
    latency = _latencies(profile)
    rows = []
    for place, name in enumerate(profile.models):
        found = _interval(profile, lambda at, m=place: float(profile.truth[at, m].mean()))  # type: ignore[misc]
        rows.append({"system": name, **found, "latency": latency[name] / latency["smollm2_q4"]})
    return pd.DataFrame(rows)


def evaluators(profile: Profile) -> pd.DataFrame:
    """Return each evaluator's correlation with truth over answers, and its latency as a ratio."""
    latency, rows = _latencies(profile), []
    for place, name in enumerate(profile.evaluators):
        found = _interval(
            profile,
            lambda at, e=place: _correlation(profile.scores[at][:, :, e], profile.truth[at]),  # type: ignore[misc]
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
    closeness = 1.0 - np.abs(profile.scores - profile.scores.mean(axis=2, keepdims=True)) / 10.0
    rows = []
    for place, name in enumerate(profile.evaluators):
        found = _interval(profile, lambda at, e=place: float(closeness[at][:, :, e].mean()))  # type: ignore[misc]
        rows.append({"evaluator": name, **found})
    return pd.DataFrame(rows)


def _latencies(profile: Profile) -> dict[str, float]:
    """Return the latency of each node; each was timed on one machine, under the name of its way."""
    rows = profile.costs.drop_duplicates("node")
    return dict(zip(rows["node"], rows["latency_ms"].astype(float), strict=True))


def main() -> int:
    """Print every table as Markdown."""
    profile = load_profile("small_llms")
    for table in (systems, evaluators, downgrades, agreement_pay):
        sys.stdout.write(f"{_markdown(table(profile))}\n\n")
    return 0


def _markdown(table: pd.DataFrame) -> str:
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
