"""What the page shows, as data: the controls, the round, and the link that says both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from poq_abm.errors import nearest
from poq_abm.page.controls import (
    Control,
    Value,
    attacks_of,
    controls_of,
    start_of,
    strength_of,
    strengthened,
)

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = ["PageSettings", "PageState", "digest", "read_link", "scenario_of", "start", "write_link"]

_MOST_CHARACTERS = 4000  # of a link; more is nobody's state


@dataclass(frozen=True)
class PageSettings:
    """A scenario without a sweep and what can be moved in it."""

    scenario: Scenario
    controls: Mapping[str, Control]
    start: Mapping[str, Value]
    rounds: int  #: rounds that are played for the page, at most the scenario's

    @classmethod
    def of(cls, scenario: Scenario, rounds: int) -> PageSettings:
        """Return the settings of a scenario."""
        controls = controls_of(scenario)
        return cls(scenario, controls, start_of(scenario, controls), rounds)


@dataclass(frozen=True)
class PageState:
    """Where the controls stand and how many rounds are shown; equal states show the same."""

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
        """Return the state with another number of rounds shown."""
        return replace(self, round=round_)


def start(settings: PageSettings) -> PageState:
    """Return the state in which the page opens: the scenario as written, all rounds shown."""
    return PageState(tuple(settings.start.items()), settings.rounds)


def digest(settings: PageSettings) -> str:
    """Return eight characters that tell this scenario, as played here, from any other."""
    said = f"{settings.rounds}\n{settings.scenario.to_yaml()}"
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def write_link(settings: PageSettings, state: PageState) -> str:
    """Return the query string that says a state: what was moved, the round, the scenario.

    >>> from poq_abm.scenario import load
    >>> settings = PageSettings.of(load("cost_aware_poq"), 5000)
    >>> write_link(settings, start(settings).moved("K", 2)).split("&")[0]
    'K=2'
    """
    said = {key: _spelt(value) for key, value in state.values if value != settings.start[key]}
    said["round"] = str(state.round)
    said["of"] = f"{settings.scenario.name}.{digest(settings)}"
    return urlencode(said)


def read_link(settings: PageSettings, query: str) -> tuple[PageState, list[str]]:
    """Return the state that a query string says, and what of it could not be used.

    What is left out, unknown or out of range stays as the scenario has it.

    >>> from poq_abm.scenario import load
    >>> settings = PageSettings.of(load("cost_aware_poq"), 5000)
    >>> state, problems = read_link(settings, "K=2&rul=median")
    >>> state["K"], problems
    (2, ["rul: no such control; did you mean 'rule'?"])
    """
    state, problems = start(settings), []
    if len(query) > _MOST_CHARACTERS:
        return state, [f"the link has more than {_MOST_CHARACTERS:,} characters and is not read"]
    for key, text in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
        if key == "of":
            if text != f"{settings.scenario.name}.{digest(settings)}":
                problems.append(_another(settings, text))
        elif key == "round":
            whole = _number(text)
            if isinstance(whole, int) and 0 <= whole <= settings.rounds:
                state = state.at(whole)
            else:
                problems.append(f"round: must lie in [0, {settings.rounds}], got {text[:40]}")
        elif key not in settings.controls:
            known = nearest(key[:40], (*settings.controls, "round"))
            problems.append(f"{key[:40]}: no such control; {known}")
        else:
            control = settings.controls[key]
            value = text[:80] if control.kind == "choice" else _number(text)
            fault = control.fault(value)
            if fault is None and control.kind == "count" and not isinstance(value, int):
                fault = f"must be a whole number, got {text[:40]}"
            if fault is None:
                state = state.moved(key, value)
            else:
                problems.append(f"{key}: {fault}")
    return state, problems


def scenario_of(settings: PageSettings, state: PageState) -> Scenario:
    """Return the scenario that a state stands for; the one it started from where nothing moved.

    Raises
    ------
    ScenarioError
        If the fields do not fit one another.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> settings = PageSettings.of(load("cost_aware_poq"), 5000)
    >>> scenario_of(settings, start(settings).moved("share", 0.4)).malicious.behaviour
    {'name': 'boost', 'b': 3.0}
    """
    changed: dict[str, Any] = {}
    moved = {key for key, value in state.values if value != settings.start[key]}
    for key in moved:
        if settings.controls[key].path:
            changed[settings.controls[key].path] = state[key]
    for key, strength in strength_of(settings.scenario).items():
        if key in moved and strength.group is not None:
            group = settings.scenario.population.evaluators[strength.group]
            path = f"population.evaluators.{strength.group}.behaviour"
            changed[path] = strengthened(group.behaviour, float(state[key]))
    if moved & {"share", "attack", "strength"}:
        spec = attacks_of(settings.scenario)[str(state["attack"])]
        sized = strengthened(spec, float(state["strength"]))
        changed["malicious"] = {"share": state["share"], "behaviour": sized}
        if settings.scenario.malicious is None and not state["share"]:
            del changed["malicious"]
    return settings.scenario.replace(changed) if changed else settings.scenario


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


def _another(settings: PageSettings, text: str) -> str:
    return (
        f"the link was made of another scenario ({text[:100]}) than what is open here "
        f"({settings.scenario.name}.{digest(settings)}): what is seen may differ"
    )
