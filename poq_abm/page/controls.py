"""What can be moved on the page, and what a kind of scenario has to say of itself there."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from poq_abm.experiment.calibration_error import SHARING, fewest_records
from poq_abm.page.samples import PlayedReplications, Quantity
from poq_abm.page.views import difference_table
from poq_abm.profile.resampled import resampled_profile
from poq_abm.simulation.playable import FEWEST_RESAMPLED, check_playable, profile_of

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario

__all__ = [
    "BANDS",
    "SIDES",
    "Control",
    "PageState",
    "ScenarioPage",
    "Shown",
    "Value",
    "field_controls",
    "scenario_of",
    "start",
    "value_at",
]

Value = float | int | str


@dataclass(frozen=True)
class Control:
    """One thing that moves: its name in a link, its label, and what it may be.

    ``path`` is the field of the scenario it sets; those of an attack have none of their own.
    """

    key: str
    label: str
    kind: Literal["number", "count", "choice"]
    path: str = ""
    low: float = 0.0
    high: float = 0.0
    step: float = 1.0
    choices: tuple[str, ...] = ()

    def fault(self, value: Value) -> str | None:
        """Return what is wrong with a value, or nothing.

        >>> Control("K", "committee", "count", low=1, high=3).fault(4)
        'must lie in [1, 3], got 4'
        """
        if self.kind == "choice":
            known = ", ".join(self.choices)
            return None if value in self.choices else f"must be one of {known}, got {value!r}"
        if isinstance(value, str) or not self.low <= value <= self.high:
            return f"must lie in [{self.low:g}, {self.high:g}], got {value}"
        return None


def value_at(scenario: Any, path: str) -> Any:
    """Return what a scenario has in a field; an index counts in a list, a key is of a mapping.

    >>> from poq_abm.scenario import load
    >>> value_at(load("entry_exit"), "economy.adaptation.0.name")
    'entry_exit'
    """
    for part in path.split("."):
        if isinstance(scenario, Mapping):
            scenario = scenario[part]
        else:
            scenario = scenario[int(part)] if part.isdigit() else getattr(scenario, part)
    return scenario


def field_controls(scenario: Scenario, offered: Iterable[Control]) -> dict[str, Control]:
    """Return those controls whose field acts in a scenario, each wide enough for its value.

    >>> from poq_abm.scenario import load
    >>> offered = [Control("fee", "fee", "number", "economy.payment.treasury_share", high=1.0)]
    >>> field_controls(load("entry_exit"), offered)  # there is no fee
    {}
    """
    found = {}
    for control in offered:
        value = _acting_value(scenario, control)
        if control.kind == "choice" and isinstance(value, str):
            found[control.key] = control
        elif isinstance(value, int | float) and not isinstance(value, bool):
            high = control.high if value <= control.high else 2.0 * value
            step = control.step if control.kind == "count" else _step(high - control.low)
            found[control.key] = replace(control, high=high, step=step)
    return found


def _step(span: float) -> float:
    """Return a power of ten of which a range has a hundred to a thousand.

    >>> _step(2.0), _step(1000.0)
    (0.01, 10.0)
    """
    return float(10.0 ** math.floor(math.log10(span) - 2.0))


def _acting_value(scenario: Scenario, control: Control) -> Any:
    """Return the value of a control's field, or nothing where there is none, or it does nothing.

    What a rule is not told is as the control begins.
    """
    section: Any = scenario
    for part in control.path.split("."):
        if section is None:
            return None
        when = getattr(type(section), "acts", {}).get(part)
        if when is not None and when.fault(scenario, section) is not None:
            return None
        if isinstance(section, Mapping) and part not in section:
            return control.high / 2.0
        section = value_at(section, part)
    return section


#: which error bands and brackets hold: a choice by whether the profile is resampled
BANDS = Control(
    "bands", "Error that bands hold", "choice",
    choices=("of the replications", "of the calibration too"),
)  # fmt: skip


SIDES = ("A", "B")  #: what two scenarios beside each other are called


class Shown(NamedTuple):
    """What is shown of one scenario: what was played, as it was written, and how much of it."""

    played: Any
    written: Any
    length: int  #: rounds or epochs, from the first
    moved: bool  #: whether what was played is another scenario than what was written
    mark: str = ""  #: what tells the scenario from another that is shown beside it
    beside: tuple[Any, ...] = ()  #: plays of that one, for which its axes have room too

    def named(self, chart: str) -> str:
        """Return the name of a chart in the page."""
        return f"{chart}-{self.mark}" if self.mark else chart

    def titled(self, chart: str) -> str:
        """Return the title of a chart."""
        return f"{self.mark} · {chart}" if self.mark else chart

    @property
    def plays(self) -> tuple[Any, ...]:
        """All that the axes have room for."""
        return (self.played, self.written, *self.beside)

    @property
    def in_order(self) -> tuple[Any, ...]:
        """The same plays, alike for both sides: as written before what moved, A before B.

        Classes have their colours in this order, one colour wherever they are drawn.
        """
        mine, other = self.plays[:2], self.plays[2:]
        sides = (other, mine) if self.mark == SIDES[1] else (mine, other)
        written = tuple(side[1] for side in sides if side)
        return (*written, *(side[0] for side in sides if side))


class ScenarioPage(ABC):
    """What the page shows of a scenario without a sweep; a subclass for each kind of scenario.

    It says what can be moved, plays what the controls say, and draws what was played. What
    :meth:`play` returns is shown by :meth:`charts`, :meth:`said` and :meth:`figures`, and by nobody
    else.
    """

    kind: ClassVar[str]  #: what such a scenario plays, in a sentence
    unit: ClassVar[str]  #: what passes while one watches, and stands in links: a round, an epoch
    units: ClassVar[str]  #: the same in the plural
    stepwise: ClassVar[bool] = True  #: whether one can watch; else everything is shown at once
    length: int  #: how many of them are played

    def __init__(
        self, scenario: Scenario, controls: Mapping[str, Control], start: Mapping[str, Value]
    ) -> None:
        self.scenario = scenario
        self.controls = {**controls, BANDS.key: BANDS}
        #: what the controls say for the scenario as it is written
        self.start = {**start, BANDS.key: BANDS.choices[scenario.resample_profile]}
        self.profile = profile_of(scenario)

    def fields(self, state: PageState, moved: set[str]) -> dict[str, Any]:  # noqa: ARG002
        """Return what the controls that moved set, besides the field that one names itself."""
        return {}

    def replications(self, scenario: Scenario) -> int:
        """Return how many replications are played: the scenario's, as far as a slider can wait.

        Raises
        ------
        ScenarioError
            If the scenario cannot be played.
        """
        check_playable(scenario, self.profile)
        least = FEWEST_RESAMPLED if scenario.resample_profile else 1
        return max(self.affordable(scenario), min(least, scenario.most_replications))

    @abstractmethod
    def affordable(self, scenario: Scenario) -> int:
        """Return the replications of a playable scenario that a slider can wait for."""

    def play(self, scenario: Scenario, count: int) -> Any:
        """Play ``count`` replications of a scenario that can be played.

        Where it resamples its profile, as in a run of it: on the same resamples, on which they are
        played beside.
        """
        plain = self.play_some(scenario, self.profile, 0, count)
        if not scenario.resample_profile:
            return plain
        parts = [
            self.play_some(
                scenario,
                resampled_profile(self.profile, scenario.seed, first // SHARING),
                first,
                min(first + SHARING, count),
            )
            for first in range(0, count, SHARING)
        ]
        records = fewest_records(self.profile, scenario.tasks or ())
        return replace(plain, resampled=parts[0].joined(parts), records=records)

    @abstractmethod
    def play_some(
        self, scenario: Scenario, profile: Profile, first: int, last: int
    ) -> PlayedReplications:
        """Play replications ``first`` to ``last - 1`` of a scenario that can be played."""

    @abstractmethod
    def charts(self, shown: Shown) -> dict[str, str]:
        """Return the charts by name, as SVG in HTML; of what was written in thin lines."""

    @abstractmethod
    def said(self, shown: Shown) -> str:
        """Return sentences and tables below the charts, as HTML."""

    @abstractmethod
    def figures(self, played: Any, length: int) -> list[Quantity]:
        """Return the numbers by which plays are compared, over the first rounds or epochs."""

    def compared(self, a: Shown, b: Shown) -> str:
        """Return a table of what sets B apart from A, as HTML; both are of this kind.

        Where anything moved, it says what did as they were written, too.
        """
        now = [self.figures(one.played, one.length) for one in (a, b)]
        if not (a.moved or b.moved):
            return difference_table(now[0], now[1])
        before = [self.figures(one.written, one.length) for one in (a, b)]
        return difference_table(now[0], now[1], (before[0], before[1]))


@dataclass(frozen=True)
class PageState:
    """Where the controls stand and how much is shown; equal states show the same."""

    values: tuple[tuple[str, Value], ...]
    round: int

    def __getitem__(self, key: str) -> Value:
        return dict(self.values)[key]

    def moved(self, key: str, value: Value) -> PageState:
        """Return the state with one control moved.

        >>> PageState((("K", 3),), 10).moved("K", 2)
        PageState(values=(('K', 2),), round=10)
        """
        return replace(self, values=tuple((k, value if k == key else v) for k, v in self.values))

    def at(self, round_: int) -> PageState:
        """Return the state with another number of rounds, or epochs, shown."""
        return replace(self, round=round_)


def start(page: ScenarioPage) -> PageState:
    """Return the state in which the page opens: the scenario as written, shown whole."""
    return PageState(tuple(page.start.items()), page.length)


def scenario_of(page: ScenarioPage, state: PageState) -> Scenario:
    """Return the scenario that a state stands for; the one it started from where nothing moved.

    Raises
    ------
    ScenarioError
        If the fields do not fit one another.

    Examples
    --------
    >>> from poq_abm.page.rounds_page import RoundsPage
    >>> from poq_abm.scenario import load
    >>> page = RoundsPage(load("cost_aware_poq"), 5000)
    >>> scenario_of(page, start(page).moved("share", 0.4)).malicious.behaviour
    {'name': 'boost', 'b': 3.0}
    """
    moved = {key for key, value in state.values if value != page.start[key]}
    changed = {page.controls[key].path: state[key] for key in moved if page.controls[key].path}
    changed |= page.fields(state, moved)
    if BANDS.key in moved:
        changed["resample_profile"] = bool(BANDS.choices.index(str(state[BANDS.key])))
    return page.scenario.replace(changed) if changed else page.scenario
