"""Queries of verification protocols as a study, and what they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from poq_abm.experiment.calibration_error import stacked
from poq_abm.experiment.estimates import CONFIDENCE, mean_interval, share_interval
from poq_abm.experiment.schemas import range_of
from poq_abm.experiment.study import Options, Played, Study
from poq_abm.profile import Profile
from poq_abm.scenario import Treatment
from poq_abm.scenario.checks.problems import Finding
from poq_abm.scenario.schema.verification import protocol_of
from poq_abm.simulation.queries.market import market_findings, open_market
from poq_abm.simulation.queries.query_replication import open_query_trace, play_queries
from poq_abm.simulation.queries.query_tables import QUERIES, query_rows, query_trace_table

__all__ = [
    "MEASURES",
    "SHOWN",
    "TRIALS",
    "QueryStudy",
    "by_replication",
    "gaps_of",
    "query_interval",
    "summarise_queries",
]

#: every measure of ``queries``, with its unit
MEASURES = {
    field.name: field.metadata[b"unit"].decode() for field in QUERIES if str(field.type) == "double"
}

#: of every measure that is a share, the column that counts what it is a share of
TRIALS = {
    field.name: field.metadata[b"trials"].decode()
    for field in QUERIES
    if b"trials" in field.metadata
}

#: the columns of ``queries`` that a summary shows
SHOWN = (
    "dishonest_stands",
    "cheating_share",
    "detected_share",
    "provisional_p50_s",
    "provisional_p95_s",
    "economic_p50_s",
    "total_usd",
    "throughput_per_s",
    "truth_mean",
)


class QueryStudy(Study):
    """Queries of a verification protocol."""

    main = "queries"
    traced = "query_trace"
    unit = "queries"

    def rows(self, profile: Profile) -> dict[str, int]:  # noqa: ARG002  (others need it)
        """Return the one table that queries leave."""
        return {"queries": 1}

    def findings(self, profile: Profile) -> Iterator[Finding]:
        """Yield what the market cannot play; open it once, which may refuse more."""
        found = list(market_findings(self.scenario, profile))
        yield from found
        if not found:
            open_market(self.scenario, profile)

    def play(
        self, treatment: str, profile: Profile, first: int, last: int, options: Options
    ) -> Played:
        """Play replications, query by query.

        >>> from poq_abm.profile import load_profile
        >>> from poq_abm.scenario import load
        >>> scenario = load("cost_aware_poq", ["rounds=100", "verification.protocol=none"])
        >>> played = QueryStudy(scenario).play("base", load_profile("published"), 0, 2, Options())
        >>> len(played.tables["queries"]["replication"])
        2
        """
        market, sink = open_market(self.scenario, profile), options.sink
        play_one = play_queries
        if options.engine == "agents" or market.game.needs_agents:
            # Mesa takes over a second to import and the compiled engine does without it.
            from poq_abm.simulation.queries.verification_model import play_agents  # noqa: PLC0415

            play_one = play_agents
        measured: dict[int, dict[str, float]] = {}

        def play(replication: int) -> None:
            trace = open_query_trace(market.queries) if sink else None
            measured[replication] = play_one(
                market, replication, trace=trace, progress=options.progress
            )
            if sink and trace is not None:
                sink(query_trace_table(trace, market.game.records, treatment, replication))

        failures = self._failures(first, last, play)
        replications = np.array(list(measured), np.int32)
        rows = query_rows(list(measured.values()), treatment, replications)
        return Played({"queries": rows}, failures)


def summarise_queries(
    queries: pd.DataFrame,
    confidence: float = CONFIDENCE,
    measures: Sequence[str] = SHOWN,
) -> pd.DataFrame:
    """Return one row per treatment and measure: its estimate over replications with its interval.

    A share is that of all replications together, with the interval of
    :func:`~poq_abm.experiment.estimates.share_interval`, which lies in [0, 1] and has a width: a
    share of 0 or 1 rests on the number of replications where enclaves are drawn once for all of a
    replication's queries, and else on that of queries. Any other measure is a mean with the
    interval of :func:`~poq_abm.experiment.estimates.mean_interval`. Replications in which a measure
    is missing are left out of it.

    Parameters
    ----------
    queries
        A table with the columns of :data:`poq_abm.simulation.queries.query_tables.QUERIES`.
    confidence
        Level of the interval, in (0, 1).
    measures
        Columns to summarise, of :data:`MEASURES`.

    Returns
    -------
    DataFrame
        ``treatment``, ``measure``, ``unit``, ``mean``, ``low``, ``high``, ``replications``, and
        ``occurred``, in how many of these the measure was not 0: where they are few, one
        replication decides for all of its queries.
    """
    rows = []
    for treatment, group in queries.groupby("treatment", observed=True, sort=False):
        for measure in measures:
            found = query_interval(group, measure, confidence)
            known = group[measure].dropna()
            occurred = int((known != 0.0).sum())
            rows.append((treatment, measure, MEASURES[measure], *found, len(known), occurred))
    columns = ["treatment", "measure", "unit", "mean", "low", "high", "replications", "occurred"]
    return pd.DataFrame(rows, columns=columns)


def by_replication(queries: pd.DataFrame, measures: Sequence[str]) -> pd.Series[float]:
    """Return measures of queries by treatment, replication and measure."""
    return stacked(queries.set_index(["treatment", "replication"])[list(measures)], "measure")


def query_interval(
    queries: pd.DataFrame, measure: str, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Return a measure of one treatment and the ends of its interval, none outside its range.

    ``queries`` has a row for each replication; :func:`summarise_queries` says what is returned.
    """
    known = queries[queries[measure].notna()]
    values = known[measure].to_numpy(np.float64)
    if measure in TRIALS:
        trials = known[TRIALS[measure]].to_numpy(np.float64)
        shared = bool(known["enclaves_drawn"].any())
        return share_interval(values * trials, trials, confidence, clustered=shared)
    mean, _, low, high = mean_interval(values, confidence, range_of(measure, MEASURES[measure]))
    return mean, low, high


def gaps_of(treatments: Iterable[Treatment]) -> dict[str, int]:
    """Return what leaves protocols without the check they rest on, and in how many treatments.

    >>> from poq_abm.scenario import load
    >>> gaps_of(load("cost_aware_poq", ["verification.protocol=none"]).treatments())
    {'nothing is checked: every dishonest answer stands': 1}
    """
    gaps: dict[str, int] = {}
    for treatment in treatments:
        section = treatment.scenario.verification
        for said in protocol_of(section).weaknesses() if section else ():
            gaps[said] = gaps.get(said, 0) + 1
    return gaps
