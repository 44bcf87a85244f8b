"""Integrity, latency and cost of every protocol on one population, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from poq_abm.analysis.deterrence import changed
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.estimates import POSITIVE, mean_interval
from poq_abm.experiment.query_study import query_interval
from poq_abm.scenario.schema.verification import PROTOCOLS, Verification
from poq_abm.simulation.queries.market import open_market
from poq_abm.simulation.queries.query_replication import play_queries
from poq_abm.simulation.queries.query_tables import COSTS

if TYPE_CHECKING:
    from poq_abm.experiment.results import Results
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["BASELINE", "MEASURES", "play_protocols", "trilemma_of_run", "trilemma_table"]

BASELINE = "centralised"
AXIS = "verification.protocol"
#: what the table holds of each protocol, besides its throughput against the baseline
MEASURES = (
    "dishonest_stands",
    "cheating_share",
    *(f"{kind}_{part}_s" for kind in ("provisional", "economic") for part in ("p50", "p95", "p99")),
    *COSTS,
    "total_usd",
    "machine_s",
    "truth_mean",
    "capital_locked_usd",
)


def play_protocols(
    scenario: Scenario,
    profile: Profile,
    verification: Verification,
    protocols: Sequence[str] = PROTOCOLS,
    replications: int = 20,
) -> pd.DataFrame:
    """Return a row per protocol and replication, on the same luck, with every measure.

    ``verification`` holds all that the protocols share; its own ``protocol`` is not looked at. The
    first two columns are ``protocol`` and ``replication``.
    """
    rows = []
    for name in protocols:
        market = open_market(scenario, profile, changed(verification, {"protocol": name}))
        for replication in range(replications):
            keys = {"protocol": name, "replication": replication}
            rows.append({**keys, **play_queries(market, replication)})
    return pd.DataFrame(rows)


def trilemma_table(played: pd.DataFrame) -> pd.DataFrame:
    """Return a row per protocol: mean of each measure over replications with its 95% interval.

    ``played`` has the columns ``protocol``, ``replication`` and those of ``QUERIES``; the result,
    indexed by protocol, has ``MEASURE``, ``MEASURE_low`` and ``MEASURE_high`` for each of
    :data:`MEASURES` and for ``throughput``, which is paired with the baseline's, replication by
    replication. A measure that is missing in a replication is left out of its mean;
    ``attrs["caption"]`` says how much was played.

    Raises
    ------
    InputError
        If no row has the protocol ``centralised``.
    """
    table = played.set_index(["protocol", "replication"])
    if BASELINE not in table.index.get_level_values(0):
        raise InputError(f"throughput is measured against {BASELINE!r}, which was not played")
    base = table.loc[BASELINE, "throughput_per_s"]
    rows = {}
    for name in dict.fromkeys(played["protocol"]):
        own = table.loc[name]
        found = {measure: query_interval(own, measure) for measure in MEASURES}
        relative = (own["throughput_per_s"] / base).dropna().to_numpy()
        mean, _, low, high = mean_interval(relative, within=POSITIVE)
        found["throughput"] = (mean, low, high)
        row: dict[str, float] = {}
        for measure, (mean, low, high) in found.items():
            row |= {measure: mean, f"{measure}_low": low, f"{measure}_high": high}
        rows[name] = row
    result = pd.DataFrame.from_dict(rows, orient="index").rename_axis("protocol")
    queries, replications = int(played["queries"].iloc[0]), played["replication"].nunique()
    result.attrs["caption"] = (
        f"n = {replications} replications of {queries:,} queries each, same draws for every "
        "protocol; bars: 95% intervals over replications"
    )
    return result


def trilemma_of_run(
    results: Results, name: str, where: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return :func:`trilemma_table` of a run whose sweep has the protocol as an axis.

    ``where`` picks one value of every other axis; ``name`` of the scenario goes into the caption.

    Raises
    ------
    InputError
        If the run played no protocols, no axis is the protocol, or treatments share a protocol.
    """
    played, axes = results.queries, results.treatments
    if AXIS not in axes:
        raise InputError(f"the run has no axis {AXIS!r}; sweep it to compare protocols")
    for path, value in (where or {}).items():
        if path not in axes:
            known = [str(column) for column in axes.columns if column != "treatment"]
            raise InputError(f"the run has no axis {path!r}; {nearest(path, known)}")
        axes = axes[axes[path].astype(str) == value]
    if axes[AXIS].duplicated().any():
        others = ", ".join(str(c) for c in axes.columns if c not in ("treatment", AXIS))
        raise InputError(f"several treatments have one protocol; pick values of {others}")
    protocols = dict(zip(axes["treatment"], axes[AXIS], strict=True))
    chosen = played[played["treatment"].isin(list(protocols))].copy()
    chosen["protocol"] = chosen["treatment"].astype(str).map(protocols)
    table = trilemma_table(chosen)
    table.attrs["caption"] = f"{name}: {table.attrs['caption']}"
    return table
