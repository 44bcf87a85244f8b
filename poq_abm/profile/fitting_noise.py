"""Latency noise from timed requests: maximum likelihood, bootstrap intervals, share of errors.

``python -m poq_abm.profile.fitting_noise FILE.csv`` fits every group of a table of requests.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from poq_abm.errors import InputError
from poq_abm.profile.latency_noise import LatencyNoise
from poq_abm.random import Purpose, fill_below

__all__ = [
    "LARGEST_TAIL_SHARE",
    "LEAST_SAMPLES",
    "LEAST_TAIL_INDEX",
    "FittedNoise",
    "Interval",
    "fit_latency_noise",
    "fit_table",
    "main",
]

LEAST_SAMPLES = 20  #: fewer say nothing about a tail
LEAST_TAIL_INDEX = 1.2  #: assumed: a heavier tail has a mean that no simulation reaches
LARGEST_TAIL_SHARE = 0.25  #: more of it is no tail

_STARTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2)  # shares to start from: there are several hills

Interval = tuple[float, float]


class FittedNoise(NamedTuple):
    """A fit with its 95 % bootstrap intervals (NaN where no resamples were asked for)."""

    noise: LatencyNoise
    median: float  #: of the body, in the unit of the samples
    samples: int
    heavier: float  #: gain in AIC over the log-normal without a tail; the tail is kept above 0
    sigma_interval: Interval
    tail_share_interval: Interval
    tail_index_interval: Interval  #: over the resamples that have a tail
    tail_kept: float  #: share of resamples that have a tail
    outage_share: float = 0.0  #: share of requests that failed
    outage_interval: Interval = (0.0, 0.0)  #: Wilson's 95 % interval

    @property
    def at_bound(self) -> bool:
        """Whether the tail is as heavy as is allowed, so that the data ask for more."""
        return self.noise.tail_share > 0.0 and self.noise.tail_index <= LEAST_TAIL_INDEX * 1.001


def fit_latency_noise(
    samples: ArrayLike, *, failures: int = 0, resamples: int = 200, seed: int = 1
) -> FittedNoise:
    """Fit :class:`~poq_abm.profile.latency_noise.LatencyNoise` to latencies in any one unit.

    Maximum likelihood. The tail must be no lighter than the log-normal's own where it starts
    (a <= phi(z) / (sigma q)), since a lighter one is no tail. It is kept only if it lowers Akaike's
    criterion. ``failures`` is the number of requests without an answer.

    Raises :class:`~poq_abm.errors.InputError` for fewer than 20 samples, or one that is not
    positive and finite.

    >>> fit = fit_latency_noise(np.exp(0.1 * np.sin(np.arange(100.0))), resamples=20)
    >>> fit.noise.tail_share, round(fit.noise.sigma, 2)
    (0.0, 0.07)
    """
    values = np.asarray(samples, dtype=np.float64).reshape(-1)
    if values.size < LEAST_SAMPLES:
        raise InputError(f"at least {LEAST_SAMPLES} latencies are needed, got {values.size}")
    if not (np.isfinite(values) & (values > 0.0)).all():
        raise InputError("every latency must be positive and finite")
    logs = np.log(values)
    centre, noise, gain = _fit(logs, _STARTS)
    starts = (noise.tail_share,) if noise.tail_share > 0.0 else _STARTS[3:4]
    again = np.array([_fit(sample, starts)[1] for sample in _resampled(logs, resamples, seed)])
    again = again.reshape(-1, 3)
    tailed = again[again[:, 1] > 0.0]
    return FittedNoise(
        noise=noise,
        median=math.exp(centre),
        samples=int(values.size),
        heavier=gain,
        sigma_interval=_interval(again[:, 0]),
        tail_share_interval=_interval(again[:, 1]),
        tail_index_interval=_interval(tailed[:, 2]),
        tail_kept=len(tailed) / resamples if resamples else math.nan,
        outage_share=failures / (failures + values.size),
        outage_interval=_wilson(failures, failures + values.size),
    )


def fit_table(
    requests: pd.DataFrame,
    by: list[str],
    *,
    latency: str = "end_to_end_latency_s",
    failed: str = "err",
    resamples: int = 200,
    seed: int = 1,
) -> pd.DataFrame:
    """Return one row of fits per group of requests; groups with too few answers are left out.

    ``latency`` and ``failed`` name the columns of the latency and of whether a request failed.
    """
    missing = [name for name in (*by, latency, failed) if name not in requests.columns]
    if missing:
        raise InputError(f"the table lacks the columns {', '.join(missing)}")
    rows: list[dict[str, Any]] = []
    for key, group in requests.groupby(by, sort=True):
        failures = group[failed].astype(bool)
        answered = group.loc[~failures, latency]
        if len(answered) >= LEAST_SAMPLES:
            fit = fit_latency_noise(
                answered, failures=int(failures.sum()), resamples=resamples, seed=seed
            )
            rows.append({**dict(zip(by, key, strict=True)), **_row(fit)})
    return pd.DataFrame(rows)


def main(arguments: list[str] | None = None) -> int:
    """Fit the groups of a CSV file and print one line for each."""
    parser = argparse.ArgumentParser(
        prog="python -m poq_abm.profile.fitting_noise", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("file", help="a CSV file with one row per request")
    parser.add_argument("--by", default="provider,model", help="columns that make a group")
    parser.add_argument("--latency", default="end_to_end_latency_s", help="column of the latency")
    parser.add_argument("--failed", default="err", help="column that says whether it failed")
    parser.add_argument("--resamples", type=int, default=200, help="behind every interval")
    given = parser.parse_args(arguments)
    try:
        requests = pd.read_csv(given.file)
        table = fit_table(
            requests,
            given.by.split(","),
            latency=given.latency,
            failed=given.failed,
            resamples=given.resamples,
        )
    except (InputError, OSError, pd.errors.ParserError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(table.to_string(index=False, float_format="{:.3f}".format) + "\n")
    return 0


def _fit(logs: NDArray[np.float64], starts: tuple[float, ...]) -> tuple[float, LatencyNoise, float]:
    """Return the median of the body in logarithms, the best noise, and its gain in AIC."""
    from scipy.optimize import minimize  # noqa: PLC0415  (slow to import)

    mean, sd = float(logs.mean()), float(logs.std())
    if float(np.ptp(logs)) == 0.0:  # rounding leaves dust where the s.d. is zero
        return mean, LatencyNoise(0.0), 0.0
    plain = logs.size * (math.log(sd) + 0.5 * math.log(2.0 * math.pi) + 0.5)
    low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
    scale = max(float(high - low) / 1.349, 0.05 * sd)
    best: Any = None
    how: dict[str, Any] = {"args": (logs,), "method": "Nelder-Mead"}
    how["options"] = {"xatol": 1e-5, "fatol": 1e-6, "maxiter": 600}
    for share in starts:
        start = np.array([middle, math.log(scale), _logit(share / LARGEST_TAIL_SHARE)])
        found = minimize(_minus_log, start, **how)
        best = found if best is None or found.fun < best.fun else best
    gain = 2.0 * (plain - float(best.fun)) - 4.0  # two more parameters
    if gain <= 0.0:
        return mean, LatencyNoise(sd), gain
    centre, sigma, share = best.x[0], math.exp(best.x[1]), _share(best.x[2])
    index = _tail_index(logs, centre, sigma, share)[1]
    return float(centre), LatencyNoise(sigma, share, index), gain


def _minus_log(parameters: NDArray[np.float64], logs: NDArray[np.float64]) -> float:
    """Return minus the log-likelihood of logarithms, at the best tail index for the others."""
    centre, sigma, share = parameters[0], math.exp(parameters[1]), _share(parameters[2])
    start, index = _tail_index(logs, centre, sigma, share)
    beyond = logs > start
    body = (logs[~beyond] - centre) / sigma
    below = -0.5 * float((body * body).sum()) - body.size * math.log(
        sigma * math.sqrt(2.0 * math.pi)
    )
    excess = float((logs[beyond] - start).sum())
    count = int(beyond.sum())
    return float(index * excess - count * math.log(share * index) - below)


def _tail_index(
    logs: NDArray[np.float64], centre: float, sigma: float, share: float
) -> tuple[float, float]:
    """Return where the tail starts and its most likely index (Hill), inside the bounds."""
    from scipy.special import ndtri  # noqa: PLC0415

    z = -float(ndtri(share))
    start = centre + sigma * z
    excess = logs[logs > start] - start
    lightest = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / (sigma * share)
    lightest = max(lightest, LEAST_TAIL_INDEX)
    total = float(excess.sum())
    hill = excess.size / total if total > 0.0 else lightest
    return start, min(max(hill, LEAST_TAIL_INDEX), lightest)


def _resampled(logs: NDArray[np.float64], resamples: int, seed: int) -> Any:
    places = np.empty(logs.size, np.int64)
    for resample in range(resamples):
        fill_below(places, logs.size, seed, 0, int(Purpose.BOOTSTRAP), resample)
        yield logs[places]


def _row(fit: FittedNoise) -> dict[str, Any]:
    low, high = fit.sigma_interval
    row: dict[str, Any] = {"n": fit.samples, "median": fit.median, "sigma": fit.noise.sigma}
    row |= {"sigma_low": low, "sigma_high": high, "tail_share": fit.noise.tail_share}
    row |= {"share_low": fit.tail_share_interval[0], "share_high": fit.tail_share_interval[1]}
    row["tail_index"] = fit.noise.tail_index if fit.noise.tail_share else math.nan
    row |= {"index_low": fit.tail_index_interval[0], "index_high": fit.tail_index_interval[1]}
    row |= {"at_bound": fit.at_bound, "tail_kept": fit.tail_kept, "heavier": fit.heavier}
    row |= {"outages": fit.outage_share}
    row |= {"outages_low": fit.outage_interval[0], "outages_high": fit.outage_interval[1]}
    return row


def _interval(values: NDArray[np.float64]) -> Interval:
    if values.size < 2:
        return math.nan, math.nan
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _wilson(count: int, total: int) -> Interval:
    """Return Wilson's 95 % interval of a share."""
    z = 1.959963984540054
    share, weight = count / total, z * z / total
    centre = (share + weight / 2.0) / (1.0 + weight)
    half = z * math.sqrt(share * (1.0 - share) / total + weight / (4.0 * total)) / (1.0 + weight)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _share(free: float) -> float:
    """Return a tail share in (0, 1/4) from a number without bounds."""
    return max(LARGEST_TAIL_SHARE / (1.0 + math.exp(-min(max(free, -30.0), 30.0))), 1e-9)


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))


if __name__ == "__main__":
    sys.exit(main())
