"""What can be moved on the page, where it stands, and the link that says so."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlencode

from poq_abm.errors import nearest
from poq_abm.simulation.playable import profile_of

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = [
    "Control",
    "PageState",
    "ScenarioPage",
    "Value",
    "digest",
    "field_controls",
    "read_link",
    "scenario_of",
    "start",
    "value_at",
    "write_link",
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


_MOST_CHARACTERS = 4000  # of a link; more is nobody's state


class ScenarioPage(ABC):
    """What the page shows of a scenario without a sweep; a subclass for each kind of scenario.

    It says what can be moved, plays what the controls say, and draws what was played. What
    :meth:`play` returns is shown by :meth:`charts` and :meth:`said`, and by nobody else.
    """

    unit: ClassVar[str]  #: what passes while one watches, and stands in links: a round, an epoch
    length: int  #: how many of them are played; 0 where everything is shown at once

    def __init__(self, scenario: Scenario, controls: Mapping[str, Control]) -> None:
        self.scenario = scenario
        self.controls = controls
        self.profile = profile_of(scenario)

    @property
    @abstractmethod
    def start(self) -> Mapping[str, Value]:
        """What the controls say for the scenario as it is written."""

    def fields(self, state: PageState, moved: set[str]) -> dict[str, Any]:  # noqa: ARG002
        """Return what the controls that moved set, besides the field that one names itself."""
        return {}

    @abstractmethod
    def play(self, scenario: Scenario) -> Any:
        """Play a scenario that the controls came to.

        Raises
        ------
        InputError
            If it cannot be played.
        """

    @abstractmethod
    def charts(self, played: Any, written: Any, shown: int) -> dict[str, str]:
        """Return the charts by name, as SVG in HTML; of what was ``written`` in thin lines."""

    @abstractmethod
    def said(self, played: Any, written: Any, shown: int) -> str:
        """Return sentences and tables below the charts, as HTML."""


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


def digest(page: ScenarioPage) -> str:
    """Return eight characters that tell this scenario, as played here, from any other."""
    said = f"{page.length}\n{page.scenario.to_yaml()}"
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def write_link(page: ScenarioPage, state: PageState) -> str:
    """Return the query string that says a state: what was moved, how much is shown, the scenario.

    >>> from poq_abm.page.rounds_page import RoundsPage
    >>> from poq_abm.scenario import load
    >>> page = RoundsPage(load("cost_aware_poq"), 5000)
    >>> write_link(page, start(page).moved("K", 2)).split("&")[0]
    'K=2'
    """
    said = {key: _spelt(value) for key, value in state.values if value != page.start[key]}
    if page.length:
        said[page.unit] = str(state.round)
    said["of"] = f"{page.scenario.name}.{digest(page)}"
    return urlencode(said)


def read_link(page: ScenarioPage, query: str) -> tuple[PageState, list[str]]:
    """Return the state that a query string says, and what of it could not be used.

    What is left out, unknown or out of range stays as the scenario has it.

    >>> from poq_abm.page.rounds_page import RoundsPage
    >>> from poq_abm.scenario import load
    >>> page = RoundsPage(load("cost_aware_poq"), 5000)
    >>> state, problems = read_link(page, "K=2&rul=median")
    >>> state["K"], problems
    (2, ["rul: no such control; did you mean 'rule'?"])
    """
    state, problems = start(page), []
    if len(query) > _MOST_CHARACTERS:
        return state, [f"the link has more than {_MOST_CHARACTERS:,} characters and is not read"]
    for key, text in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
        if key == "of":
            if text != f"{page.scenario.name}.{digest(page)}":
                problems.append(_another(page, text))
        elif key == page.unit and page.length:
            whole = _number(text)
            if isinstance(whole, int) and 0 <= whole <= page.length:
                state = state.at(whole)
            else:
                problems.append(f"{page.unit}: must lie in [0, {page.length}], got {text[:40]}")
        elif key not in page.controls:
            known = nearest(key[:40], (*page.controls, page.unit))
            problems.append(f"{key[:40]}: no such control; {known}")
        else:
            control = page.controls[key]
            value = text[:80] if control.kind == "choice" else _number(text)
            fault = control.fault(value)
            if fault is None and control.kind == "count" and not isinstance(value, int):
                fault = f"must be a whole number, got {text[:40]}"
            if fault is None:
                state = state.moved(key, value)
            else:
                problems.append(f"{key}: {fault}")
    return state, problems


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
    return page.scenario.replace(changed) if changed else page.scenario


def _spelt(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)


def _number(text: str) -> Value:
    """Return the number a text spells, or the text."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text[:40]


def _another(page: ScenarioPage, text: str) -> str:
    return (
        f"the link was made of another scenario ({text[:100]}) than what is open here "
        f"({page.scenario.name}.{digest(page)}): what is seen may differ"
    )
