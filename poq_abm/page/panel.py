"""The controls of the page, of one scenario or of two beside each other, and their link."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from poq_abm.errors import nearest
from poq_abm.page.controls import SIDES, Control, PageState, ScenarioPage, Value, start

__all__ = ["Panel", "digest", "read_link", "write_link"]

_MOST_CHARACTERS = 4000  # of a link; more is nobody's state


@dataclass(frozen=True)
class Panel:
    """The controls of one scenario, or of two that are shown side by side.

    Of two, a control that both have, and that stands alike in both as they are written, moves both.
    What they differ in, or one alone has, moves that one: its key then begins with ``A.`` or
    ``B.``.
    """

    pages: tuple[ScenarioPage, ...]
    controls: Mapping[str, Control]
    start: PageState  #: the scenarios as written, shown whole

    @classmethod
    def of(cls, *pages: ScenarioPage) -> Panel:
        """Return the controls of one page, or of two of one kind and length."""
        if len(pages) == 1:
            return cls(pages, pages[0].controls, start(pages[0]))
        controls: dict[str, Control] = {}
        values: dict[str, Value] = {}
        for key in pages[0].controls:
            both = _shared(key, *pages)
            if both is not None:
                controls[key], values[key] = both, pages[0].start[key]
        for side, page in zip(SIDES, pages, strict=True):
            for key, control in page.controls.items():
                if key not in controls:
                    own = replace(control, key=f"{side}.{key}")
                    controls[own.key], values[own.key] = own, page.start[key]
        return cls(pages, controls, PageState(tuple(values.items()), pages[0].length))

    @property
    def groups(self) -> Iterator[tuple[str, list[Control]]]:
        """The controls by what they move: both scenarios (no name), ``A`` alone, ``B`` alone."""
        for side in ("", *SIDES):
            mine = [one for one in self.controls.values() if _side(one.key) == side]
            if mine:
                yield side, mine

    def own(self, state: PageState, side: int) -> PageState:
        """Return where the controls of one scenario stand.

        >>> from poq_abm.page.rounds_page import RoundsPage
        >>> from poq_abm.scenario import load
        >>> treatments = load("committee_size").treatments()
        >>> panel = Panel.of(*(RoundsPage(treatments[place].scenario) for place in (0, 2)))
        >>> moved = panel.start.moved("B.K", 2).moved("beta_F", 0.9)
        >>> [(one["K"], one["beta_F"]) for one in (panel.own(moved, 0), panel.own(moved, 1))]
        [(1, 0.9), (2, 0.9)]
        """
        if len(self.pages) == 1:
            return state
        said = dict(state.values)
        page, prefix = self.pages[side], f"{SIDES[side]}."
        values = ((key, said[key] if key in said else said[prefix + key]) for key in page.controls)
        return PageState(tuple(values), state.round)


def _side(key: str) -> str:
    """Return which scenario alone a control moves, or nothing.

    >>> _side("A.K"), _side("K")
    ('A', '')
    """
    side, dot, _ = key.partition(".")
    return side if dot and side in SIDES else ""


def _shared(key: str, a: ScenarioPage, b: ScenarioPage) -> Control | None:
    """Return the control that moves a field of both scenarios; nothing where they differ in it."""
    one, other = a.controls[key], b.controls.get(key)
    if other is None or a.start[key] != b.start[key]:
        return None
    if (one.kind, one.path, one.label) != (other.kind, other.path, other.label):
        return None
    return replace(
        one,
        low=max(one.low, other.low),
        high=min(one.high, other.high),
        step=min(one.step, other.step),
        choices=tuple(choice for choice in one.choices if choice in other.choices),
    )


def digest(panel: Panel) -> str:
    """Return eight characters that tell what is played here from anything else."""
    said = "\n".join(f"{page.length}\n{page.scenario.to_yaml()}" for page in panel.pages)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def write_link(panel: Panel, state: PageState) -> str:
    """Return the query string that says a state: what was moved, how much is shown, the scenario.

    >>> from poq_abm.page.rounds_page import RoundsPage
    >>> from poq_abm.scenario import load
    >>> panel = Panel.of(RoundsPage(load("cost_aware_poq"), 5000))
    >>> write_link(panel, panel.start.moved("K", 2)).split("&")[0]
    'K=2'
    """
    said = {key: _spelt(value) for key, value in state.values if value != panel.start[key]}
    page = panel.pages[0]
    if page.stepwise:
        said[page.unit] = str(state.round)
    said["of"] = _told(panel)
    return urlencode(said)


def read_link(panel: Panel, query: str) -> tuple[PageState, list[str]]:
    """Return the state that a query string says, and what of it could not be used.

    What is left out, unknown or out of range stays as the scenario has it.

    >>> from poq_abm.page.rounds_page import RoundsPage
    >>> from poq_abm.scenario import load
    >>> panel = Panel.of(RoundsPage(load("cost_aware_poq"), 5000))
    >>> state, problems = read_link(panel, "K=2&rul=median")
    >>> state["K"], problems
    (2, ["rul: no such control; did you mean 'rule'?"])
    """
    state, problems, page = panel.start, list[str](), panel.pages[0]
    another, unknown = "", list[str]()
    if len(query) > _MOST_CHARACTERS:
        return state, [f"the link has more than {_MOST_CHARACTERS:,} characters and is not read"]
    for key, text in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
        if key == "of":
            another = _another(panel, text) if text != _told(panel) else ""
        elif key == page.unit and page.stepwise:
            whole = _number(text)
            if isinstance(whole, int) and 0 <= whole <= page.length:
                state = state.at(whole)
            else:
                problems.append(f"{page.unit}: must lie in [0, {page.length}], got {text[:40]}")
        elif key not in panel.controls:
            unknown.append(key[:40])
        else:
            control = panel.controls[key]
            value = text[:80] if control.kind == "choice" else _number(text)
            fault = control.fault(value)
            if fault is None and control.kind == "count" and not isinstance(value, int):
                fault = f"must be a whole number, got {text[:40]}"
            if fault is None:
                state = state.moved(key, value)
            else:
                problems.append(f"{key}: {fault}")
    return state, [*_misplaced(panel, another, unknown), *problems]


def _misplaced(panel: Panel, another: str, unknown: list[str]) -> list[str]:
    """Return what is said of a link of another scenario, or of controls that nobody has.

    A link of another kind of scenario moves much that is not here: that is said once.
    """
    if another:
        named = ", ".join(unknown[:3]) + f" and {len(unknown) - 3} more" * (len(unknown) > 3)
        return [another + f"; nothing here is moved by {named}" * bool(unknown)]
    keys = (*panel.controls, panel.pages[0].unit)
    return [f"{key}: no such control; {nearest(key, keys)}" for key in unknown]


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


def _told(panel: Panel) -> str:
    """Return what a link says of what it was made of."""
    return f"{'+'.join(page.scenario.name for page in panel.pages)}.{digest(panel)}"


def _another(panel: Panel, text: str) -> str:
    return (
        f"the link was made of another scenario ({text[:100]}) than what is open here "
        f"({_told(panel)}): what is seen may differ"
    )
