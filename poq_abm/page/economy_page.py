"""Economies on the page: what can be moved in them, and what is shown of them, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.experiment.economy_study import (
    EconomyStudy,
    first_of_last,
    play_economy,
    range_of_nodes,
)
from poq_abm.experiment.estimates import COUNT, UNBOUNDED, Range
from poq_abm.experiment.schemas import RANGES
from poq_abm.page.charts import limits_of, line_chart
from poq_abm.page.controls import (
    Control,
    PageState,
    ScenarioPage,
    Shown,
    Value,
    field_controls,
    value_at,
)
from poq_abm.page.rounds_page import COEFFICIENTS
from poq_abm.page.samples import (
    Curve,
    PlayedReplications,
    Quantity,
    apart_from,
    counterpart,
    curves_over,
    estimate,
    shared_places,
)
from poq_abm.page.views import error_held, table
from poq_abm.rules.adaptation.base import ADAPTATIONS
from poq_abm.rules.registry import rules
from poq_abm.simulation.epochs.economy_state import settings_of
from poq_abm.simulation.epochs.record import GROUP_COLUMNS, NETWORK_COLUMNS
from poq_abm.simulation.game import build_game

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = ["CHARTS", "EconomyPage", "PlayedEconomy", "epoch_curves", "replications_of"]

Floats = NDArray[np.float64]

_GROUP = {name: place for place, (name, *_) in enumerate(GROUP_COLUMNS)}
_NETWORK = {name: place for place, (name, *_) in enumerate(NETWORK_COLUMNS)}
_OF_NETWORK = ("network",)
_COEFFICIENTS = ("alpha_inference", "beta_inference", "alpha_evaluator", "beta_evaluator")

_DUST = 1e-12  # what sums differ by that are equal
_MOST_REPLICATIONS, _FEWEST = 10, 4
#: seconds that a move may take, and what a seat of a committee and an epoch take of them, measured
_PATIENCE, _PER_SEAT, _PER_EPOCH = 0.6, 1e-7, 8e-4


@dataclass(frozen=True, eq=False)
class PlayedEconomy(PlayedReplications):
    """R replications of E epochs: what was kept of each, by group of nodes and of the network."""

    by_replication = ("group", "network")

    labels: tuple[str, ...]  #: of the G groups
    roles: tuple[str, ...]
    group: Floats  #: (R, E, G + 1, columns); the last group is the network
    network: Floats  #: (R, E, columns)

    @property
    def owners(self) -> tuple[str, ...]:
        """Role and label of every group."""
        return tuple(f"{role} {label}" for role, label in zip(self.roles, self.labels, strict=True))

    def of_groups(self, name: str) -> Floats:
        """Return a column of the groups, shape (R, E, G)."""
        return self.group[:, :, :-1, _GROUP[name]]

    @property
    def nodes_within(self) -> list[Range]:
        """The range of how many nodes of each group are present, as in a summary of a run."""
        nodes = self.of_groups("nodes")
        ends = zip(nodes.max(axis=(0, 1)), np.ptp(nodes, axis=(0, 1)), strict=True)
        return [range_of_nodes(float(most), varies=bool(spread)) for most, spread in ends]

    def per_node(self, name: str) -> Floats:
        """Return the same over the nodes present; missing where none is."""
        return _over(self.of_groups(name), self.of_groups("nodes"))

    def of_network(self, *names: str) -> Floats:
        """Return columns of the network, shape (R, E, names)."""
        return self.network[:, :, [_NETWORK[name] for name in names]]


def _over(a: Floats, b: Floats) -> Floats:
    found = np.full(np.broadcast_shapes(a.shape, b.shape), np.nan)
    np.divide(a, b, out=found, where=b > 0.0)
    return found


def _paid_per_answer(played: PlayedEconomy) -> Floats:
    served = played.of_network("queries") - played.of_network("dropped")
    return _over(played.group[:, :, -1:, _GROUP["reward"]], served)


class _EpochChart(NamedTuple):
    """A measure that is drawn epoch by epoch."""

    name: str
    title: str
    unit: str
    values: Callable[[PlayedEconomy], Floats]  #: shape (R, E, labels)
    labels: Sequence[str] = ()  #: of its curves; none: the groups
    within: Range = UNBOUNDED
    #: drawn always, or where it is not 0 throughout, or where it moves over epochs or replications
    when: Literal["always", "there", "moves"] = "moves"


_SHARE = RANGES["0-1"]
CHARTS = (
    _EpochChart("nodes", "Nodes present", "nodes", lambda p: p.of_groups("nodes"),
                within=COUNT, when="always"),
    _EpochChart("profit", "Profit of a present node", "tokens per node and epoch",
                lambda p: p.per_node("profit"), when="always"),
    _EpochChart("pay", "What the network pays for an answer", "tokens per query served",
                _paid_per_answer, _OF_NETWORK, when="always"),
    _EpochChart("quality", "Quality of answers (truth / 10)", "0 to 1",
                lambda p: p.of_network("quality"), _OF_NETWORK, _SHARE, when="always"),
    _EpochChart("price", "Fee of a query", "tokens", lambda p: p.of_network("price"), _OF_NETWORK),
    _EpochChart("coefficients", "Coefficients of the rewards", "points",
                lambda p: p.of_network(*_COEFFICIENTS), ("α_F", "β_F", "α_M", "β_M")),
    _EpochChart("deviating", "Nodes that deviate, of those present", "share",
                lambda p: p.per_node("deviating"), within=_SHARE, when="there"),
    _EpochChart("stake", "Bond of a present node", "tokens", lambda p: p.per_node("stake")),
    _EpochChart("latency", "Waiting and service, 95% quantile", "seconds",
                lambda p: p.of_network("latency_p95"), _OF_NETWORK),
    _EpochChart("queries", "Queries that arrive", "queries per epoch",
                lambda p: p.of_network("queries"), _OF_NETWORK),
)  # fmt: skip


def replications_of(scenario: Scenario) -> int:
    """Return how many replications are played: the scenario's, as far as a slider can wait.

    >>> from poq_abm.scenario import load
    >>> replications_of(load("entry_exit", ["sweep={}", "rounds=2400"]))
    6
    """
    wanted = min(scenario.most_replications, _MOST_REPLICATIONS)
    seconds = _PER_SEAT * scenario.rounds * scenario.mechanism.committee_size
    seconds += _PER_EPOCH * settings_of(scenario).epochs
    return max(min(wanted, _FEWEST), min(wanted, int(_PATIENCE / seconds)))


class EconomyPage(ScenarioPage):
    """An economy: who is present, what they earn, what answers are worth, epoch by epoch."""

    kind = "an economy"
    unit, units = "epoch", "epochs"

    def __init__(self, scenario: Scenario, most: int | None = None) -> None:
        epochs = settings_of(scenario).epochs
        per_epoch = max(1, scenario.rounds // epochs)
        per_round = _PER_SEAT * scenario.mechanism.committee_size
        per_round += _PER_EPOCH * epochs / scenario.rounds
        # Where two replications would take too long, fewer epochs of as many queries are played.
        rounds = min(int(_PATIENCE / per_round), per_epoch * (epochs if most is None else most))
        shortened = EconomyStudy(scenario).shortened(rounds)
        controls = _controls(shortened)
        start = {key: _written(shortened, control) for key, control in controls.items()}
        super().__init__(shortened, controls, start)
        self.length = settings_of(shortened).epochs

    def fields(self, state: PageState, moved: set[str]) -> dict[str, Any]:
        """Return the rounds that the demand of an epoch comes to."""
        return {"rounds": int(state["demand"]) * self.length} if "demand" in moved else {}

    def affordable(self, scenario: Scenario) -> int:
        """Return the replications that a slider can wait for."""
        agents = build_game(scenario, self.profile).needs_agents
        return 1 if agents else replications_of(scenario)

    def play_some(
        self, scenario: Scenario, profile: Profile, first: int, last: int
    ) -> PlayedEconomy:
        """Play all epochs."""
        game = build_game(scenario, profile)
        records = [
            play_economy(scenario, game, profile, replication).record
            for replication in range(first, last)
        ]
        groups = game.population.groups
        return PlayedEconomy(
            tuple(group.label for group in groups),
            tuple(group.role for group in groups),
            np.stack([record.groups for record in records]),
            np.stack([record.network for record in records]),
        )

    def charts(self, shown: Shown) -> dict[str, str]:
        """Return a chart for every measure that is telling, here or beside."""
        found = {}
        places = shared_places([[(one, one) for one in play.owners] for play in shown.in_order])
        for chart in CHARTS:
            if not any(_telling(chart, one) for one in shown.plays):
                continue
            before = epoch_curves(chart, shown.written, shown.length, places) if shown.moved else []
            found[chart.name] = line_chart(
                shown.named(chart.name), shown.titled(chart.title), chart.unit,
                epoch_curves(chart, shown.played, shown.length, places), self.length,
                limits_of(*(epoch_curves(chart, one, self.length, places) for one in shown.plays)),
                before,
                "epoch",
            )  # fmt: skip
        return found

    def said(self, shown: Shown) -> str:
        """Return how the network does over the last epochs shown, and every group."""
        played: PlayedEconomy = shown.played
        if shown.length < 1:
            return '<p class="poq-said">No epoch has been played yet.</p>'
        count, last = played.network.shape[0], _last(shown.length)
        held = error_held(played.resampled is not None)
        sample = (
            f"{shown.length:,} of {self.length:,} epochs; means over the last "
            f"{last.stop - last.start:,} of them and {count} replication{'s' * (count != 1)}"
            f"{f', brackets and bands are 95% intervals {held}' if count > 1 else ''}."
        )
        quality, paid = (estimate(one.estimate) for one in _of_the_network(played, last))
        before = shown.written if shown.moved else None
        heads = ("role", "group", "nodes present", "profit per present node and epoch",
                 "against the scenario as written")  # fmt: skip
        return (
            f'<p class="poq-said">An answer is worth {escape(quality)} of 1, and the '
            f"network pays {escape(paid)} tokens for it.</p>"
            f'<p class="poq-quiet">{escape(sample)}</p>'
            f"{table('groups', _TITLE, heads, list(_rows(played, before, last)))}"
        )

    def figures(self, played: PlayedEconomy, length: int) -> list[Quantity]:
        """Return how the network and every group do over the last epochs."""
        if length < 1:
            return []
        last = _last(length)
        return [*_of_the_network(played, last), *_of_groups(played, last)]


_TITLE = "Who is present, and what they earn"


def _last(length: int) -> slice:
    """Return the epochs over which a summary of so many is taken, the last of them."""
    return slice(first_of_last(length), length)


def _of_the_network(played: PlayedEconomy, last: slice) -> list[Quantity]:
    """Return what an answer is worth, and what is paid for it."""
    quality = played.sample(lambda p: _mean(p.of_network("quality")[:, last])[:, 0])
    paid = played.sample(lambda p: _mean(_paid_per_answer(p)[:, last])[:, 0])
    return [
        Quantity("network", "quality of answers (truth / 10)", quality, quality.interval(_SHARE),
               _SHARE),
        Quantity("network", "paid for an answer (tokens)", paid, paid.interval()),
    ]  # fmt: skip


def _of_groups(played: PlayedEconomy, last: slice) -> list[Quantity]:
    """Return nodes present and their profit, one after the other for every group."""
    found = []
    for place, (role, label) in enumerate(zip(played.roles, played.labels, strict=True)):
        for what, within, figure in (
            ("nodes present", played.nodes_within[place], lambda p: p.of_groups("nodes")),
            (
                "profit of a present node (tokens per epoch)",
                UNBOUNDED,
                lambda p: p.per_node("profit"),
            ),
        ):

            def at_last(p: PlayedEconomy, of: Any = figure, place: int = place) -> Floats:
                return _mean(of(p)[:, last])[:, place]

            sample = played.sample(at_last)
            interval = sample.interval(within)
            found.append(Quantity(f"{role} {label}", what, sample, interval, within))
    return found


def _mean(values: Floats) -> Floats:
    """Return means over epochs of values of shape (R, epochs, labels), of those there are."""
    known = np.isfinite(values)
    return _over(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def epoch_curves(
    chart: _EpochChart, played: PlayedEconomy, shown: int, places: Mapping[str, int]
) -> list[Curve]:
    """Return the curves of a chart over the first epochs, each group at its place."""
    if not shown:
        return []
    sample = played.sample(lambda p: chart.values(p)[:, :shown])
    x = np.arange(1.0, shown + 1.0)
    curves = curves_over(chart.labels or played.labels, x, sample, chart.within)
    if chart.name == "nodes":  # as in a figure of a run: at most as many as a group ever had
        most = played.of_groups("nodes").max(axis=(0, 1))
        curves = [replace(one, high=np.minimum(one.high, most[one.place])) for one in curves]
    # As in a summary, what nobody ever saw change has no error.
    changes = np.nan_to_num(np.ptp(chart.values(played), axis=(0, 1)), nan=1.0) > 0.0
    curves = [
        curve if changes[curve.place] else replace(curve, low=curve.y, high=curve.y)
        for curve in curves
    ]
    if chart.labels:
        return curves
    owners = zip(curves, played.owners, strict=True)
    return [replace(curve, place=places[owner]) for curve, owner in owners]


def _telling(chart: _EpochChart, played: PlayedEconomy) -> bool:
    """Return whether a measure says anything of what was played."""
    values = chart.values(played)
    known = np.isfinite(values)
    most = np.where(known, values, -np.inf).max((0, 1))
    least = np.where(known, values, np.inf).min((0, 1))
    return bool({
        "always": True,
        "there": ((most > _DUST) | (least < -_DUST))[known.any((0, 1))].any(),
        "moves": (most > least + _DUST).any(),
    }[chart.when])  # fmt: skip


def _rows(
    played: PlayedEconomy, written: PlayedEconomy | None, last: slice
) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield what every group comes to; a difference is taken replication by replication."""
    own, before = _of_groups(played, last), _of_groups(written, last) if written else []
    keys = zip(played.roles, played.labels, strict=True)
    for key, nodes, profit in zip(keys, own[::2], own[1::2], strict=True):
        there = counterpart(profit, own, before)
        apart = None if there is None else apart_from(there, profit)
        yield (*key, estimate(nodes.estimate),
               estimate(profit.estimate) if np.isfinite(profit.estimate[0]) else "-",
               "-" if apart is None else estimate(apart, "+"))  # fmt: skip


def _controls(scenario: Scenario) -> dict[str, Control]:
    """Return the controls of an economy: its own fields, as far as they act in it."""
    economy = settings_of(scenario)
    per_epoch = max(1, scenario.rounds // economy.epochs)
    demand = Control("demand", "Queries per epoch", "count", "", 1, 2 * per_epoch)
    offered = [
        *(Control(key, label, "number", path, 0.0, 2.0) for key, (path, label)
          in COEFFICIENTS.items()),
        Control("elasticity", "Elasticity of demand", "number", "economy.demand.elasticity",
                high=3.0),
        Control("surge", "Surge, factor on demand", "number", "economy.demand.surge.factor",
                high=5.0),
        Control("arrivals", "Arrivals", "choice", "economy.demand.arrivals",
                choices=("fixed", "poisson", "diurnal", "bursty")),
        Control("pool", "Pool, tokens minted an epoch", "number", "economy.payment.pool",
                high=100.0),
        Control("evaluators", "Share of the pool for evaluators", "number",
                "economy.payment.evaluator_share", high=1.0),
        Control("fee", "Fee of a query (tokens)", "number", "economy.payment.fee", high=1.0),
        Control("kappa", "κ of Yuma, stake behind a weight", "number",
                "economy.payment.yuma.kappa", 0.01, 1.0),
        Control("reveal", "Epochs that weights stay sealed", "count",
                "economy.payment.yuma.reveal_delay", high=10),
        Control("bond", "Bond of a node (tokens)", "number", "economy.stake.bond", high=100.0),
        Control("slash", "Share of a bond that is slashed", "number",
                "economy.stake.slashing.rate", high=1.0),
        Control("deviation", "Slashed above this distance from consensus", "number",
                "economy.stake.slashing.deviation", high=1.0),
        Control("gold", "Slashed above this share of wrong gold scores", "number",
                "economy.stake.slashing.gold", high=1.0),
        Control("capital", "Cost of capital per epoch", "number", "economy.stake.capital_rate",
                high=0.01),
        Control("audit", "Chance of an audit", "number", "economy.audits.rate", high=1.0),
        Control("fine", "Fine of a false report (tokens)", "number", "economy.audits.slash",
                high=10.0),
        Control("power", "Electricity (USD/MWh)", "number", "economy.cost.usd_per_mwh",
                high=200.0),
        Control("token", "Worth of a token (USD)", "number", "economy.cost.usd_per_token",
                1e-5, 1e-3),
        Control("share", "Malicious share of evaluators", "number", "malicious.share", high=1.0),
        *_of_adaptation(scenario),
    ]  # fmt: skip
    return {"demand": demand, **field_controls(scenario, offered)}


def _of_adaptation(scenario: Scenario) -> Iterator[Control]:
    """Yield a control for each number of the rules by which nodes decide, as these declare them."""
    known = rules(ADAPTATIONS)
    for place, spec in enumerate(settings_of(scenario).adaptation):
        rule = known.get(str(spec["name"]))
        for name, each in rule.parameters.items() if rule else ():
            value = spec.get(name, each.default)
            if each.kind not in ("number", "count") or not isinstance(value, int | float):
                continue
            kind: Literal["number", "count"] = "count" if each.kind == "count" else "number"
            low = each.low if np.isfinite(each.low) else 0.0
            high = min(each.high, max(2.0 * value, 1.0 if value < 1.0 else 10.0))
            words = f"{str(spec['name']).replace('_', ' ')}: {each.meaning}"
            yield Control(f"{spec['name']}_{place}_{name}", words, kind,
                          f"economy.adaptation.{place}.{name}", low, high)  # fmt: skip


def _written(scenario: Scenario, control: Control) -> Value:
    """Return what a control says for a scenario; what a rule is not told has a default."""
    if control.key == "demand":
        return scenario.rounds // settings_of(scenario).epochs
    owner, _, name = control.path.rpartition(".")
    section = value_at(scenario, owner)
    if isinstance(section, Mapping) and name not in section:
        return float(rules(ADAPTATIONS)[str(section["name"])].parameters[name].default)
    value: Value = value_at(scenario, control.path)
    return value
