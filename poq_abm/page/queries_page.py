"""Verification protocols on the page: what each lets through, how long it takes, what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal, NamedTuple

import pandas as pd

from poq_abm.errors import InputError
from poq_abm.experiment.paired import paired
from poq_abm.experiment.query_study import MEASURES, QueryStudy, query_interval
from poq_abm.experiment.schemas import range_of
from poq_abm.experiment.study import Options
from poq_abm.page.controls import Control, ScenarioPage, Value, field_controls, value_at
from poq_abm.page.dot_chart import Dot, DotAxis, dot_chart
from poq_abm.page.views import estimate, table
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import find
from poq_abm.simulation.playable import check_playable
from poq_abm.simulation.queries.query_tables import QUERIES
from poq_abm.simulation.table_columns import table as arrow_table

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = ["AXIS", "PlayedQueries", "QueriesPage"]

AXIS = "verification.protocol"

_MOST_QUERIES, _MOST_REPLICATIONS, _FEWEST = 5000, 20, 4
_AT_ONCE = 400_000  #: queries of all protocols that are played in about half a second
_MOST_WITH_FIGURES = 3  #: of more protocols, sliders for each one's own figures are too many


@dataclass(frozen=True)
class PlayedQueries:
    """What every protocol came to: a row per replication, on the same keys for all of them."""

    by_protocol: Mapping[str, pd.DataFrame]

    def dots(self, *measures: str) -> dict[str, list[Dot]]:
        """Return the estimates of measures by protocol."""
        return {
            name: [Dot(*query_interval(rows, measure)) for measure in measures]
            for name, rows in self.by_protocol.items()
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

    unit = "query"
    length = 0

    def __init__(self, scenario: Scenario) -> None:
        count = len(scenario.treatments())
        queries = min(scenario.rounds, _MOST_QUERIES)
        super().__init__(scenario.replace({"rounds": queries}), _controls(scenario))
        affordable = max(_FEWEST, _AT_ONCE // (queries * count))
        self.replications = min(scenario.most_replications, _MOST_REPLICATIONS, affordable)
        self._start: dict[str, Value] = {
            key: value_at(scenario, control.path) for key, control in self.controls.items()
        }

    @property
    def start(self) -> Mapping[str, Value]:
        """What the controls say for the scenario as it is written."""
        return self._start

    def play(self, scenario: Scenario) -> PlayedQueries:
        """Play the queries under every protocol."""
        check_playable(scenario, self.profile)
        found: dict[str, pd.DataFrame] = {}
        for treatment in scenario.treatments():
            study = QueryStudy(treatment.scenario)
            played = study.play(treatment.id, self.profile, 0, self.replications, Options())
            if played.failures:
                raise InputError(f"{treatment.id}: {played.failures[0].error}")
            rows: pd.DataFrame = arrow_table(QUERIES, [played.tables["queries"]]).to_pandas()
            found[value_at(treatment.scenario, AXIS)] = rows
        return PlayedQueries(found)

    def charts(self, played: PlayedQueries, written: PlayedQueries, shown: int) -> dict[str, str]:  # noqa: ARG002  (all is shown at once)
        """Return vulnerability, delay, cost and quality, a row for each protocol."""
        moved = played is not written
        return {
            one.name: dot_chart(
                one.name, one.title, one.axis, played.dots(*one.measures),
                written.dots(*one.measures) if moved else {}, list(one.measures.values()),
            )
            for one in _CHARTS
        }  # fmt: skip

    def said(self, played: PlayedQueries, written: PlayedQueries, shown: int) -> str:  # noqa: ARG002  (all is shown at once)
        """Return a table of every protocol, and how much was played."""
        few = self.replications == 1
        interval = "no interval" if few else "brackets and lines are 95% intervals"
        sample = (
            f"{self.scenario.rounds:,} queries and {self.replications} replications for each "
            f"protocol, on the same keys; {interval}."
        )
        heads = ("protocol", "nodes cheat", "dishonest answers that stand",
                 "against the scenario as written", "median time until final (s)",
                 "cost (USD per query)")  # fmt: skip
        lines = list(_rows(played, written))
        return (
            f'<p class="poq-quiet">{escape(sample)}</p>'
            f"{table('protocols', 'Vulnerability, delay and cost', heads, lines, 1)}"
        )


def _rows(played: PlayedQueries, written: PlayedQueries) -> Iterator[tuple[str, ...]]:
    """Yield what every protocol comes to; a difference is taken replication by replication."""
    shown = ("cheating_share", "dishonest_stands", "economic_p50_s", "total_usd")
    within = range_of("dishonest_stands", MEASURES["dishonest_stands"])
    for name, dots in played.dots(*shown).items():
        cheats, stands, final, cost = (estimate((dot.mean, dot.low, dot.high)) for dot in dots)
        apart = "-"
        if played is not written and name in written.by_protocol:
            before, now = (one.by_protocol[name]["dishonest_stands"] for one in (written, played))
            pairs = paired(before, now, within=within)
            apart = estimate((pairs.difference, pairs.low, pairs.high), "+")
        yield name, cheats, stands, apart, final, cost


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
