"""``poq show``: a scenario as it will be played."""

from __future__ import annotations

import typer

from poq_abm.cli.options import Plugins, ScenarioArgument, Settings

__all__ = ["show"]


def show(scenario: ScenarioArgument, settings: Settings = None, plugin: Plugins = None) -> None:
    """Print the resolved scenario: inheritance and overrides applied, every default written out."""
    from poq_abm.cli.plan import estimated_lines, gap_lines, resampling_lines  # noqa: PLC0415
    from poq_abm.experiment.plan import Plan  # noqa: PLC0415
    from poq_abm.rules.registry import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    plan = Plan.load(scenario, settings or [])
    typer.echo(plan.scenario.to_yaml().rstrip())
    if len(plan.treatments) > 1:
        typer.echo(f"\n# {len(plan.treatments)} treatments:")
        for treatment in plan.treatments:
            typer.echo(f"#   {treatment.id}")
    for line in (*resampling_lines(plan), *estimated_lines(plan), *gap_lines(plan)):
        typer.echo(f"# {line}")
