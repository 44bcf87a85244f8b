"""The page itself, in Solara: controls that change the state, and what the state shows.

Everything it shows is computed elsewhere in this room; here it is only laid out. The module needs
the extra ``explore`` and is imported by the server alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import solara
import solara.lab

from poq_abm.errors import InputError
from poq_abm.page.controls import SIDES, Control, PageState, Shown, Value
from poq_abm.page.exploring import (
    Exploration,
    fault_of,
    free_name,
    opened,
    save_scenario,
    scenario_text,
)
from poq_abm.page.panel import read_link, write_link

__all__ = ["Page"]

_STYLE = Path(__file__).with_name("page.css")
_FRAME = 0.2  # seconds between two pictures while playing
_FRAMES = 100  # that play takes from the first round to the last


@solara.component_vue("control.vue")
def _moving(
    label: str,
    kind: str,
    low: float,
    high: float,
    step: float,
    choices: list[str],
    value: Value,
    on_value: Callable[[Any], None],
) -> None:
    """Show one control: a slider, or a list to choose from."""


@solara.component_vue("address.vue")
def _address(query: str) -> None:
    """Keep the browser's address on what is shown."""


def _html(text: str, classes: list[str] | None = None) -> None:
    solara.HTML(tag="div", unsafe_innerHTML=text, classes=classes or [])


@solara.component
def Page() -> None:  # noqa: N802  (the name that Solara looks for)
    """Show the scenario of this process; every visitor has a state of their own."""
    exploration = opened()
    search = solara.use_router().search or ""
    first, problems = solara.use_memo(lambda: read_link(exploration.panel, search), [])
    state = solara.use_reactive(first)
    playing = solara.use_reactive(False)
    stride = solara.use_reactive(max(1, exploration.page.length // _FRAMES))
    last_good = solara.use_ref(exploration.start)
    fault = fault_of(exploration, state.value)
    last_good.current = last_good.current.at(state.value.round) if fault else state.value

    async def go_on() -> None:
        await _go_on(exploration, state, playing, stride)

    solara.lab.use_task(go_on, dependencies=[playing.value])
    solara.Title(f"{' and '.join(exploration.names)} - poq explore")
    solara.Style(_STYLE)
    if not playing.value:
        _address(query=write_link(exploration.panel, state.value))
    with solara.Div(classes=["poq-page"]):
        _heading(exploration)
        for problem in problems:
            _html(f'<div class="poq-alert" role="alert">{escape(problem)}</div>')
        _bar(exploration, state, playing, stride)
        if fault:
            _html(f'<div class="poq-alert" role="alert">Not played, the last picture stays: '
                  f"{escape(fault)}</div>")  # fmt: skip
        for said in exploration.idle(last_good.current):
            _html(f'<div class="poq-alert" role="status">{escape(said)}</div>')
        with solara.Div(classes=["poq-body"]):
            _controls(exploration, state)
            _pictures(exploration, exploration.shown(last_good.current))
        _sharing(exploration, state.value)


def _heading(exploration: Exploration) -> None:
    """Say what is shown, and what it took for two scenarios to stand side by side."""
    questions = [page.scenario.question for page in exploration.pages]
    lines = []
    for side, name in enumerate(exploration.names):
        mark = f"{SIDES[side]} · " if len(questions) > 1 else ""
        lines.append(f"<h1>{mark}{escape(name)}</h1>")
        if questions[side] not in questions[side + 1 :]:
            lines.append(f"<p>{escape(questions[side])}</p>")
    lines += [f'<p class="poq-quiet">{escape(note)}</p>' for note in exploration.notes]
    _html("".join(lines))


async def _go_on(exploration: Exploration, state: Any, playing: Any, stride: Any) -> None:
    """Show more and more rounds, to the last one or until somebody pauses."""
    while playing.value:
        await asyncio.sleep(_FRAME)
        if not playing.value:
            return
        shown = min(exploration.page.length, state.value.round + stride.value)
        state.value = state.value.at(shown)
        if shown == exploration.page.length:
            playing.value = False


def _bar(exploration: Exploration, state: Any, playing: Any, stride: Any) -> None:
    page = exploration.page
    rounds, units = page.length, page.units.capitalize()

    def step() -> None:
        playing.value = False
        state.value = state.value.at(min(rounds, state.value.round + stride.value))

    def play() -> None:
        if state.value.round >= rounds:
            state.value = state.value.at(0)
        playing.value = True

    def reset() -> None:
        playing.value = False
        state.value = state.value.at(0)

    def as_written() -> None:
        state.value = exploration.start.at(state.value.round)

    with solara.Div(classes=["poq-bar"]):
        if page.stepwise:
            solara.Button("Step", on_click=step, outlined=True,
                          disabled=state.value.round >= rounds)  # fmt: skip
            solara.Button("Play", on_click=play, color="primary", disabled=playing.value)
            solara.Button("Pause", on_click=lambda: playing.set(False), outlined=True,
                          disabled=not playing.value)  # fmt: skip
            solara.Button("Reset", on_click=reset, outlined=True, disabled=state.value.round == 0)
        solara.Button("As written", on_click=as_written, text=True,
                      disabled=state.value.values == exploration.start.values)  # fmt: skip
        if not page.stepwise:
            return
        strides = sorted({1, 10, max(1, rounds // _FRAMES), max(1, rounds // 10)})
        _moving(label=f"{units} per step", kind="choice", low=0, high=0, step=1,
                 choices=[str(one) for one in strides], value=str(stride.value),
                 on_value=lambda said: stride.set(int(said)))  # fmt: skip
        shown = Control("shown", f"{units} shown", "count", low=0, high=rounds)
        _control(shown, state.value.round, lambda said: state.set(state.value.at(int(said))))


def _controls(exploration: Exploration, state: Any) -> None:
    def mover(key: str) -> Callable[[Value], None]:
        return lambda said: state.set(state.value.moved(key, said))

    with solara.Div(classes=["poq-controls"]):
        for side, controls in exploration.panel.groups:
            if len(exploration.pages) > 1:
                title = f"{side} · {exploration.names[SIDES.index(side)]}" if side else "Both"
                _html(f"<h2>{escape(title)}</h2>")
            for control in controls:
                _control(control, state.value[control.key], mover(control.key))


def _control(control: Control, value: Value, on_value: Callable[[Any], None]) -> None:
    whole = control.kind == "count"
    _moving(
        label=control.label,
        kind=control.kind,
        low=control.low,
        high=control.high,
        step=control.step,
        choices=list(control.choices),
        value=value,
        on_value=(lambda said: on_value(int(said))) if whole else on_value,
    ).key(control.key)


def _pictures(exploration: Exploration, shown: list[Shown]) -> None:
    """Draw what is shown: of two scenarios every chart twice, and what sets them apart."""
    page = exploration.page
    drawn = [page.charts(one) for one in shown]
    with solara.Div():
        with solara.Div(classes=["poq-charts"]):
            for name in drawn[0]:
                for one, charts in zip(shown, drawn, strict=True):
                    solara.HTML(tag="div", unsafe_innerHTML=charts[name]).key(one.named(name))
        if len(shown) == 1:
            _html(page.said(*shown))
            return
        _html(page.compared(*shown))
        for name, one in zip(exploration.names, shown, strict=True):
            _html(f'<details class="poq-side"><summary>{one.mark} · {escape(name)} by itself'
                  f"</summary>{page.said(one)}</details>")  # fmt: skip


@solara.component
def _sharing(exploration: Exploration, state: PageState) -> None:
    """Offer the link and the scenario file of a state; of two scenarios, that of either."""
    free = solara.use_memo(lambda: free_name(exploration.folder, "explored"), [])
    name = solara.use_reactive(free)
    said = solara.use_reactive(("", True))
    which = solara.use_reactive(SIDES[0])
    side = SIDES.index(which.value)

    def save() -> None:
        try:
            scenario = exploration.scenario(state, side)
            path = save_scenario(scenario, exploration.folder, name.value)
            said.value = (f"Wrote {path}. Play it with: poq run {path}", True)
        except InputError as error:
            said.value = (str(error), False)

    link = f"?{write_link(exploration.panel, state)}"
    _html(
        f'<p class="poq-link">Link to what you see: <a href="{escape(link)}">{escape(link)}</a></p>'
    )
    with solara.Div(classes=["poq-bar", "poq-save"]):
        if len(exploration.pages) > 1:
            _moving(label="Scenario to save", kind="choice", low=0, high=0, step=1,
                    choices=list(SIDES), value=which.value, on_value=which.set)  # fmt: skip
        if exploration.saves:
            solara.InputText("Name of the scenario file", value=name, continuous_update=True)
            solara.Button("Save as scenario file", on_click=save, outlined=True)
    if said.value[0]:
        kind, role = ("poq-done", "status") if said.value[1] else ("poq-alert", "alert")
        _html(f'<div class="{kind}" role="{role}">{escape(said.value[0])}</div>')
    try:
        text = scenario_text(exploration.scenario(state, side), "explored")
    except InputError:
        return
    mark = f" of {which.value}" if len(exploration.pages) > 1 else ""
    _html(f'<details class="poq-file"><summary>The scenario file{mark}</summary>'
          f"<pre>{escape(text)}</pre></details>")  # fmt: skip
