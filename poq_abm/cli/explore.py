"""``poq explore``: a page to move coefficients on and watch."""

from __future__ import annotations

from typing import Annotated

import typer

from poq_abm.cli.options import Plugins, Replications, Rounds, ScenarioArgument, Seed, Settings

__all__ = ["explore"]


def explore(
    scenario: ScenarioArgument,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; default: this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8765,
    treatment: Annotated[
        str | None, typer.Option(metavar="ID", help="Which treatment of a sweep.")
    ] = None,
    replications: Replications = None,
    rounds: Rounds = None,
    seed: Seed = None,
    settings: Settings = None,
    plugin: Plugins = None,
) -> None:
    """Open a page on which coefficients move and curves follow (extra: explore)."""
    from poq_abm.cli.progress import announce_compilation  # noqa: PLC0415
    from poq_abm.page.exploring import Exploration, explorable  # noqa: PLC0415
    from poq_abm.page.serving import check_extra, is_local, open_port, serve  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415
    from poq_abm.scenario import load  # noqa: PLC0415

    load_plugins(plugin)
    numbers = {"replications": replications, "rounds": rounds, "seed": seed}
    overrides = [f"{name}={value}" for name, value in numbers.items() if value is not None]
    chosen = explorable(load(scenario, [*(settings or []), *overrides]), treatment)
    check_extra()
    with open_port(host, port) as opened:
        announce_compilation()
        exploration = Exploration(chosen, saves=is_local(host))
        name = f"[{host}]" if ":" in host else host
        typer.echo(f"Explore {chosen.name} at http://{name}:{opened.getsockname()[1]}/")
        typer.echo("Stop with Ctrl-C.")
        if not is_local(host):
            typer.echo("Anybody who reaches this address can look and play; nobody can save.",
                       err=True)  # fmt: skip
        serve(exploration, opened, host)
