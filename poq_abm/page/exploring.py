"""What is explored, one scenario or two: what was played of it lately, and how it is saved."""

from __future__ import annotations

import itertools
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from poq_abm.errors import InputError, nearest
from poq_abm.page.controls import BANDS, SIDES, PageState, ScenarioPage, Shown, scenario_of
from poq_abm.page.economy_page import EconomyPage
from poq_abm.page.panel import Panel
from poq_abm.page.queries_page import AXIS, QueriesPage
from poq_abm.page.rounds_page import RoundsPage
from poq_abm.scenario import ScenarioError, load
from poq_abm.scenario.checks.idle import idle_settings
from poq_abm.simulation.playable import check_playable, profile_of

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = [
    "Exploration",
    "explorable",
    "fault_of",
    "free_name",
    "opened",
    "page_of",
    "save_scenario",
    "scenario_text",
    "show",
    "side_by_side",
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
            raise InputError(
                f"{scenario.name} has no treatment {treatment!r}; {nearest(treatment, treatments)}"
            )
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


def page_of(scenario: Scenario, most: int | None = None) -> ScenarioPage:
    """Return what the page shows of a scenario, by its kind; at most so many rounds or epochs."""
    kind: type[EconomyPage | QueriesPage | RoundsPage] = RoundsPage
    if scenario.economy is not None:
        kind = EconomyPage
    elif scenario.verification is not None:
        kind = QueriesPage
    return kind(scenario) if most is None else kind(scenario, most)


def side_by_side(a: Scenario, b: Scenario) -> tuple[tuple[ScenarioPage, ...], list[str]]:
    """Return the pages of two scenarios on common keys, and a line for what that took.

    B is played with the seed of A; both as long as the shorter one, and on resampled profiles if
    one is.

    Raises
    ------
    InputError
        If they are of two kinds, which share no figure, or are one and the same.
    """
    pages = page_of(a), page_of(b)
    kinds = [page.kind for page in pages]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"{a.name} plays {kinds[0]} and {b.name} {kinds[1]}: they share no figure that could "
            "stand side by side; explore each by itself"
        )
    notes = []
    if a.seed != b.seed:
        notes.append(f"Keys are common: B is drawn with the seed of A, {a.seed}, not {b.seed}.")
        b = b.replace({"seed": a.seed})
    if a.resample_profile != b.resample_profile:
        notes.append("Both are played on resampled profiles, as one of them says.")
        a, b = (one.replace({"resample_profile": True}) for one in (a, b))
    lengths = [page.length for page in pages]
    if lengths[0] != lengths[1]:
        longer, unit = SIDES[lengths[1] > lengths[0]], pages[0].units
        notes.append(f"Of {longer} the first {min(lengths):,} {unit} are played, as of the other.")
    pages = page_of(a, min(lengths)), page_of(b, min(lengths))
    last = pages[1].scenario
    rounds = {"rounds": last.rounds} if isinstance(pages[1], RoundsPage) else {}
    if pages[0].scenario.replace({"name": last.name, **rounds}) == last:
        raise InputError(
            f"{a.name} and {b.name} play the same game, sweeps apart: nothing can set them apart; "
            "give another scenario, or two treatments"
        )
    if pages[0].profile.content_hash != pages[1].profile.content_hash:
        names = " and ".join(page.profile.name for page in pages)
        notes.append(f"Different profiles ({names}): draws are keyed alike, but pairs match less.")
    return pages, notes


class Exploration:
    """Plays the states of one scenario, or of two side by side, and keeps the latest of them.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> exploration = Exploration(load("cost_aware_poq", ["rounds=100", "replications=2"]))
    >>> exploration.play(exploration.start.moved("K", 2)).game.rules.committee_size
    2
    """

    def __init__(
        self,
        scenario: Scenario,
        against: Scenario | None = None,
        *,
        names: Sequence[str] = (),
        folder: Path = Path(),
        saves: bool = True,
    ) -> None:
        self.notes: list[str] = []  #: what it took for the keys of two to be common
        pages: tuple[ScenarioPage, ...] = (page_of(scenario),)
        if against is not None:
            pages, self.notes = side_by_side(scenario, against)
        self.panel = Panel.of(*pages)
        self.names = names or [page.scenario.name for page in pages]  #: what each is called
        self.folder = folder  #: where scenario files are saved
        self.saves = saves  #: whether visitors may save any
        self._kept: OrderedDict[object, Any] = OrderedDict()
        self._lock = Lock()

    @property
    def pages(self) -> tuple[ScenarioPage, ...]:
        """What is shown of one scenario, or of A and of B."""
        return self.panel.pages

    @property
    def page(self) -> ScenarioPage:
        """What is shown of the scenario, or of A."""
        return self.pages[0]

    @property
    def start(self) -> PageState:
        """The state in which the page opens."""
        return self.panel.start

    def scenario(self, state: PageState, side: int = 0) -> Scenario:
        """Return the scenario, or the one of a side, that a state stands for.

        Raises
        ------
        ScenarioError
            If the fields do not fit one another.
        """
        return scenario_of(self.pages[side], self.panel.own(state, side))

    def idle(self, state: PageState) -> list[str]:
        """Return what is set and does nothing in what a state stands for, a line each.

        >>> from poq_abm.scenario import load
        >>> exploration = Exploration(load("cost_aware_poq", ["rounds=100"]))
        >>> print(exploration.idle(exploration.start.moved("share", 0.1))[0])
        malicious.share does nothing: 0.1 of 3 evaluators is 0 nodes; the smallest share that acts
        is 0.3333
        """
        found: dict[str, str] = {}  # of what, and of which sides
        for side in range(len(self.pages)):
            scenario = self.scenario(state, side)
            for one in itertools.chain(*idle_settings(scenario, scenario.treatments())):
                said = f"{one.path} does nothing: {one.message}"
                found[said] = found.get(said, "") + SIDES[side]
        alone = len(self.pages) == 1
        everywhere = "".join(SIDES)
        return [
            said if alone or sides == everywhere else f"{sides} · {said}"
            for said, sides in found.items()
        ]

    def play(self, state: PageState, side: int = 0) -> Any:
        """Return what a state's controls play, however much of it is shown.

        Of two scenarios as many replications are played as of the one of which fewer can be.

        Raises
        ------
        InputError
            If the fields do not fit one another, as a ring of one.
        """
        with self._lock:
            scenarios = [self.scenario(state, one) for one in range(len(self.pages))]
            count = min(map(ScenarioPage.replications, self.pages, scenarios))
            key = (side, self.panel.own(state, side).values, count)
            if key not in self._kept:
                self._kept[key] = self.pages[side].play(scenarios[side], count)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT * len(self.pages):
                self._kept.popitem(last=False)
            return self._kept[key]

    def shown(self, state: PageState) -> list[Shown]:
        """Return what is shown of the scenario, or of A and of B, in a state.

        Raises
        ------
        InputError
            If the fields do not fit one another.
        """
        # What was written is played with the same error in its bands: that moves no figure.
        start = self.start.moved(BANDS.key, state[BANDS.key])
        sides = range(len(self.pages))
        plays = [(self.play(state, side), self.play(start, side)) for side in sides]
        return [
            Shown(
                *plays[side],
                length=state.round,
                moved=self.panel.own(state, side).values != self.panel.own(start, side).values,
                mark=SIDES[side] if len(plays) > 1 else "",
                beside=tuple(play for other in sides if other != side for play in plays[other]),
            )
            for side in sides
        ]


_shown: list[Exploration] = []


def fault_of(exploration: Exploration, state: PageState) -> str:
    """Return why a state cannot be played, by field; nothing where it can.

    >>> from poq_abm.scenario import load
    >>> exploration = Exploration(load("cost_aware_poq", ["rounds=100", "replications=2"]))
    >>> fault_of(exploration, exploration.start.moved("share", 0.4).moved("attack", "collude"))
    'malicious.behaviour: a ring of one: collude needs two evaluators or more'
    """
    try:
        exploration.shown(state)
    except ScenarioError as error:  # whose places are nowhere in a file: a control said it
        problems = (": ".join(filter(None, (one.path, one.message))) for one in error.problems)
        return "; ".join(dict.fromkeys(problems))
    except InputError as error:
        return str(error)
    return ""


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
