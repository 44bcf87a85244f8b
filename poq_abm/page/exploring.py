"""One scenario being explored: what was played of it lately, and how it is saved as a file."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from poq_abm.errors import InputError, nearest
from poq_abm.page.controls import PageState, ScenarioPage, scenario_of, start
from poq_abm.page.economy_page import EconomyPage
from poq_abm.page.queries_page import AXIS, QueriesPage
from poq_abm.page.rounds_page import RoundsPage
from poq_abm.scenario import ScenarioError, load
from poq_abm.simulation.playable import check_playable, profile_of

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = [
    "Exploration",
    "explorable",
    "free_name",
    "opened",
    "page_of",
    "save_scenario",
    "scenario_text",
    "show",
]


_KEPT = 8  # plays that moving a slider back finds again


def explorable(scenario: Scenario, treatment: str | None = None) -> Scenario:
    """Return the scenario without its sweep that is explored, or the treatment of it named.

    A sweep of verification protocols stays, for they are shown side by side. Where what a sweep
    leaves out cannot be played, the first treatment is taken.

    Raises
    ------
    InputError
        If there is no such treatment.
    """
    if treatment is not None:
        treatments = {one.id: one.scenario for one in scenario.treatments()}
        if treatment not in treatments:
            raise InputError(f"no treatment {treatment!r}; {nearest(treatment, treatments)}")
        return treatments[treatment]
    return _without_sweep(scenario)


def _without_sweep(scenario: Scenario) -> Scenario:
    if not scenario.sweep:
        return scenario
    kept = {AXIS: scenario.sweep[AXIS]} if isinstance(scenario.sweep.get(AXIS), list) else {}
    try:
        plain = scenario.replace({"sweep": kept})
        check_playable(plain, profile_of(plain))
    except ScenarioError:
        return scenario.treatments()[0].scenario
    return plain


def page_of(scenario: Scenario) -> ScenarioPage:
    """Return what the page shows of a scenario, by its kind."""
    if scenario.economy is not None:
        return EconomyPage(scenario)
    if scenario.verification is not None:
        return QueriesPage(scenario)
    return RoundsPage(scenario)


class Exploration:
    """Plays the states of one scenario, and keeps the latest of them.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> exploration = Exploration(load("cost_aware_poq", ["rounds=100", "replications=2"]))
    >>> exploration.play(exploration.start.moved("K", 2)).game.rules.committee_size
    2
    """

    def __init__(self, scenario: Scenario, folder: Path = Path(), *, saves: bool = True) -> None:
        self.page = page_of(scenario)
        self.folder = folder  #: where scenario files are saved
        self.saves = saves  #: whether visitors may save any
        self.start: PageState = start(self.page)
        self._kept: OrderedDict[object, Any] = OrderedDict()
        self._lock = Lock()
        self.written = self.page.play(self.page.scenario)

    def play(self, state: PageState) -> Any:
        """Return what a state's controls play, however much of it is shown.

        Raises
        ------
        InputError
            If the fields do not fit one another, as a ring of one.
        """
        if state.values == self.start.values:
            return self.written
        with self._lock:
            if state.values not in self._kept:
                self._kept[state.values] = self.page.play(scenario_of(self.page, state))
            self._kept.move_to_end(state.values)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[state.values]


_shown: list[Exploration] = []


def show(exploration: Exploration) -> None:
    """Make an exploration the one that the page of this process shows."""
    _shown[:] = [exploration]


def opened() -> Exploration:
    """Return the exploration that the page of this process shows."""
    return _shown[0]


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


_MOST_FILES = 10_000


def scenario_text(scenario: Scenario, name: str) -> str:
    """Return the file of a scenario under another name.

    Raises
    ------
    InputError
        If no scenario may have this name.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:80]!r} is no name of a scenario: up to 80 letters, digits, '_', '-' and '.', "
            "the first a letter or digit"
        )
    return scenario.replace({"name": name}).to_yaml()


def free_name(folder: Path, name: str) -> str:
    """Return the name, or the first of name_2, name_3 ... that no file in the folder has."""
    for number in range(1, _MOST_FILES):
        wanted = name if number == 1 else f"{name[:70]}_{number}"
        if not (folder / f"{wanted}.yaml").exists():
            return wanted
    raise InputError(f"{folder} has too many files named {name}")


def save_scenario(scenario: Scenario, folder: Path, name: str) -> Path:
    """Write ``folder/name.yaml`` and return its path; a file that is there already stays.

    The name has no folder in it, so that nothing outside ``folder`` can be written.

    Raises
    ------
    InputError
        If the name is taken or cannot be used, or the file cannot be written.
    """
    name = name.strip().removesuffix(".yaml")
    text = scenario_text(scenario, name)
    path = folder / f"{name}.yaml"
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(
            f"{path} exists already; nothing was written. {free_name(folder, name)} is free"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    load(path)  # what was written is what `poq run` takes
    return path
