"""Verification protocols on the page: what each lets through, how long it takes, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
import pandas as pd

from poq_abm.errors import InputError
from poq_abm.experiment.query_study import MEASURES, QueryStudy, query_interval
from poq_abm.experiment.schemas import range_of
from poq_abm.experiment.study import Options
from poq_abm.page.controls import Control, ScenarioPage, Shown, field_controls, value_at
from poq_abm.page.dot_chart import Dot, DotAxis, dot_chart
from poq_abm.page.samples import PlayedReplications, Quantity, apart_from, estimate
from poq_abm.page.views import error_held, table
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import find
from poq_abm.simulation.queries.query_tables import QUERIES
from poq_abm.simulation.table_columns import table as arrow_table

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["AXIS", "PlayedQueries", "QueriesPage"]

AXIS = "verification.protocol"

_MOST_QUERIES, _MOST_REPLICATIONS, _FEWEST = 5000, 20, 4
_AT_ONCE = 400_000  #: queries of all protocols that are played in about half a second
_MOST_WITH_FIGURES = 3  #: of more protocols, sliders for each one's own figures are too many


@dataclass(frozen=True, eq=False)
class PlayedQueries(PlayedReplications):
    """What every protocol came to: a row per replication, on the same keys for all of them."""

    by_protocol: Mapping[str, pd.DataFrame]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return replications that were played in parts as if they were in one."""
        return cls(
            {name: pd.concat([part.by_protocol[name] for part in parts], ignore_index=True)
             for name in parts[0].by_protocol}
        )  # fmt: skip

    def figure(self, protocol: str, measure: str) -> Quantity:
        """Return a measure of a protocol."""
        within = range_of(measure, MEASURES[measure])
        sample = self.sample(lambda p: p.by_protocol[protocol][measure].to_numpy(np.float64))
        over = query_interval(self.by_protocol[protocol], measure)
        alias = "the protocol" if len(self.by_protocol) == 1 else ""
        told = _FIGURES.get(measure, measure)
        return Quantity(protocol, told, sample, sample.widened(over, within), within, alias)

    def dots(self, *measures: str) -> dict[str, list[Dot]]:
        """Return the estimates of measures by protocol."""
        return {
            name: [Dot(*self.figure(name, measure).estimate) for measure in measures]
            for name in self.by_protocol
        }


#: what tables tell of every protocol
_FIGURES = {
    "cheating_share": "nodes cheat",
    "dishonest_stands": "dishonest answers that stand",
    "economic_p50_s": "median time until final (s)",
    "total_usd": "cost (USD per query)",
}


_TIMES = {1.0: "1 s", 10.0: "10 s", 100.0: "100 s", 1e3: "17 min", 1e4: "3 h", 1e5: "28 h",
          1e6: "12 days"}  # fmt: skip


def _time(seconds: float) -> str:
    return _TIMES.get(seconds, f"{seconds:g} s")


class _QueryChart(NamedTuple):
    """Measures that stand side by side for every protocol."""

    name: str
    title: str
    axis: DotAxis
    measures: Mapping[str, str]  #: with what the legend calls each


_CHARTS = (
    _QueryChart("vulnerability", "What a protocol lets through",
                DotAxis("share of all queries"),
                {"dishonest_stands": "dishonest answers that stand"}),
    _QueryChart("delay", "How long an answer takes, median", DotAxis("time", True, 1e-3, _time),
                {"provisional_p50_s": "until the user has it",
                 "economic_p50_s": "until it is final"}),
    _QueryChart("cost", "What an answer costs", DotAxis("USD per query", True, 1e-6),
                {"total_usd": "checks, machines and capital"}),
    _QueryChart("quality", "What an answer is worth", DotAxis("truth (points of 10)"),
                {"truth_mean": "mean truth of the answers released"}),
)  # fmt: skip


class QueriesPage(ScenarioPage):
    """Queries that protocols verify: the trilemma of vulnerability, delay and cost.

    A scenario that sweeps the protocol is played with all of them side by side.
    """

    kind = "verification protocols"
    unit, units = "query", "queries"
    stepwise = False

    def __init__(self, scenario: Scenario, most: int = _MOST_QUERIES) -> None:
        self.length = min(scenario.rounds, most)
        controls = _controls(scenario)
        start = {key: value_at(scenario, control.path) for key, control in controls.items()}
        super().__init__(scenario.replace({"rounds": self.length}), controls, start)

    def affordable(self, scenario: Scenario) -> int:
        """Return the replications that a slider can wait for."""
        queries = self.length * len(scenario.treatments())
        affordable = max(_FEWEST, _AT_ONCE // queries)
        return min(scenario.most_replications, _MOST_REPLICATIONS, affordable)

    def play_some(
        self, scenario: Scenario, profile: Profile, first: int, last: int
    ) -> PlayedQueries:
        """Play the queries under every protocol."""
        found: dict[str, pd.DataFrame] = {}
        for treatment in scenario.treatments():
            study = QueryStudy(treatment.scenario)
            played = study.play(treatment.id, profile, first, last, Options())
            if played.failures:
                raise InputError(f"{treatment.id}: {played.failures[0].error}")
            rows: pd.DataFrame = arrow_table(QUERIES, [played.tables["queries"]]).to_pandas()
            found[value_at(treatment.scenario, AXIS)] = rows
        return PlayedQueries(found)

    def charts(self, shown: Shown) -> dict[str, str]:
        """Return vulnerability, delay, cost and quality, a row for each protocol."""
        return {
            one.name: dot_chart(
                shown.named(one.name), shown.titled(one.title), one.axis,
                *([play.dots(*one.measures) for play in shown.plays]),
                moved=shown.moved, series=list(one.measures.values()),
            )
            for one in _CHARTS
        }  # fmt: skip

    def said(self, shown: Shown) -> str:
        """Return a table of every protocol, and how much was played."""
        played: PlayedQueries = shown.played
        count = len(next(iter(played.by_protocol.values())))
        held = error_held(played.resampled is not None)
        interval = "no interval" if count == 1 else f"brackets and lines are 95% intervals {held}"
        sample = (
            f"{self.length:,} queries and {count} replications for each protocol, on the same "
            f"keys; {interval}."
        )
        heads = ("protocol", "nodes cheat", "dishonest answers that stand",
                 "against the scenario as written", "median time until final (s)",
                 "cost (USD per query)")  # fmt: skip
        lines = list(_rows(played, shown.written if shown.moved else None))
        return (
            f'<p class="poq-quiet">{escape(sample)}</p>'
            f"{table('protocols', 'Vulnerability, delay and cost', heads, lines, 1)}"
        )

    def figures(self, played: PlayedQueries, length: int) -> list[Quantity]:  # noqa: ARG002  (all is shown at once)
        """Return what every protocol comes to."""
        return [played.figure(name, one) for name in played.by_protocol for one in _FIGURES]


def _rows(played: PlayedQueries, written: PlayedQueries | None) -> Iterator[tuple[str, ...]]:
    """Yield what every protocol comes to; a difference is taken replication by replication."""
    for name in played.by_protocol:
        figures = [played.figure(name, one) for one in _FIGURES]
        cheats, stands, final, cost = (estimate(one.estimate) for one in figures)
        apart = None
        if written is not None and name in written.by_protocol:
            before, now = (one.figure(name, "dishonest_stands") for one in (written, played))
            apart = apart_from(before, now)
        yield name, cheats, stands, "-" if apart is None else estimate(apart, "+"), final, cost


def _controls(scenario: Scenario) -> dict[str, Control]:
    """Return what can be moved: what all protocols share, and the figures of few."""
    base = "verification"
    shared = [
        Control("rational", "Nodes that cheat where it pays", "number",
                f"{base}.adversaries.rational_share", high=1.0),
        Control("byzantine", "Nodes that always cheat", "number",
                f"{base}.adversaries.byzantine_share", high=1.0),
        Control("gain", "G, what a cheaper model saves (USD)", "number",
                f"{base}.adversaries.downgrade.gain_usd", high=0.5),
        Control("fee", "F, fee of a query (USD)", "number", f"{base}.economics.fee_usd", high=0.5),
        Control("stake", "Bond behind an answer (USD)", "number", f"{base}.economics.stake_usd",
                high=20.0),
        Control("slash", "Share of the bond that is slashed", "number",
                f"{base}.economics.slash_share", high=1.0),
        Control("bounty", "Bounty of who convicts (USD)", "number", f"{base}.economics.bounty_usd",
                high=5.0),
        Control("load", "Load", "number", f"{base}.demand.load", 0.01, 1.5),
        Control("watchers", "Watchers", "count", f"{base}.watchers.count", high=20),
        Control("lazy", "Watchers that never check", "number", f"{base}.watchers.lazy_share",
                high=1.0),
        Control("check", "Chance that a watcher checks", "number",
                f"{base}.watchers.check_probability", high=1.0),
        Control("colluding", "Watchers that collude", "number",
                f"{base}.adversaries.collusion.watcher_share", high=1.0),
    ]  # fmt: skip
    plays = [treatment.scenario for treatment in scenario.treatments()]
    found: dict[str, Control] = {}
    for one in plays:
        own = _figures(one) if len(plays) <= _MOST_WITH_FIGURES else ()
        found = {**field_controls(one, [*shared, *own]), **found}
    order = [control.key for control in shared]
    return dict(sorted(found.items(), key=lambda item: (*order, item[0]).index(item[0])))


def _figures(scenario: Scenario) -> Iterator[Control]:
    """Yield a control for each number of a scenario's protocol, as this declares it."""
    rule = find(PROTOCOLS, str(value_at(scenario, AXIS)))
    for key, each in rule.parameters.items():
        value = value_at(scenario, f"verification.{rule.name}.{key}")
        if each.kind not in ("number", "count") or not isinstance(value, int | float):
            continue
        low = max(each.low, 0.0)
        high = min(each.high, max(2.0 * value, 1.0))
        kind: Literal["number", "count"] = "count" if each.kind == "count" else "number"
        unit = f" ({each.unit})" if each.unit not in ("", "share") else ""
        yield Control(f"{rule.name}_{key}", f"{rule.name}: {each.meaning}{unit}", kind,
                      f"verification.{rule.name}.{key}", low, high)  # fmt: skip
