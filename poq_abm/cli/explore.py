"""``poq explore``: a page to move coefficients on and watch."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer

from poq_abm.cli.options import Plugins, Replications, Rounds, ScenarioArgument, Seed, Settings
from poq_abm.errors import InputError

if TYPE_CHECKING:
    from poq_abm.scenario import Scenario

__all__ = ["explore"]


def explore(
    scenario: ScenarioArgument,
    b: Annotated[
        str | None,
        typer.Argument(metavar="B", help="Another, to stand beside it on common keys."),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; default: this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8765,
    treatment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Which treatment of a sweep; twice: of A and of B, or two of one sweep.",
        ),
    ] = None,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    settings: Settings = None,
    plugin: Plugins = None,
) -> None:
    """Open a page on which coefficients move and curves follow (extra: explore)."""
    from poq_abm.cli.progress import announce_compilation  # noqa: PLC0415
    from poq_abm.page.exploring import Exploration  # noqa: PLC0415
    from poq_abm.page.serving import check_extra, is_local, open_port, serve  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    names, chosen = _sides(scenario, b, treatment or [], [*(settings or []), *overrides])
    exploration = Exploration(*chosen, names=names, saves=is_local(host))
    check_extra()
    with open_port(host, port) as opened:
        announce_compilation()
        exploration.shown(exploration.start)
        name, said = f"[{host}]" if ":" in host else host, " and ".join(names)
        typer.echo(f"Explore {said} at http://{name}:{opened.getsockname()[1]}/")
        typer.echo("Stop with Ctrl-C.")
        if not is_local(host):
            typer.echo("Anybody who reaches this address can look and play; nobody can save.",
                       err=True)  # fmt: skip
        serve(exploration, opened, host)


def _sides(
    a: str, b: str | None, treatments: list[str], overrides: list[str]
) -> tuple[list[str], list[Scenario]]:
    """Return what is explored and what it is called: one scenario, or two side by side."""
    from poq_abm.page.exploring import explorable  # noqa: PLC0415
    from poq_abm.scenario import load  # noqa: PLC0415

    if len(treatments) > 2:
        raise InputError(f"--treatment was given {len(treatments)} times; two stand side by side")
    sources = [a] if b is None else [a, b]
    if b is None and len(treatments) == 2:
        sources = [a, a]
    chosen = [
        explorable(load(source, overrides), treatment)
        for source, treatment in zip_longest(sources, treatments)
    ]
    names = [
        f"{one.name}, {treatment}" if treatment else one.name
        for one, treatment in zip_longest(chosen, treatments)
    ]
    return names, chosen
