"""``poq rules|behaviours|adaptations|protocols``: what a scenario can name, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from poq_abm.cli.options import Plugins

if TYPE_CHECKING:
    from poq_abm.rules.rule import Kind, Rule

__all__ = ["adaptations", "behaviours", "list_rules", "protocols", "rules"]


def rules(plugin: Plugins = None) -> None:
    """List the rules of a round, from consensus to schedule, with formula and source."""
    from poq_abm.scenario.schema.mechanism import KINDS  # noqa: PLC0415

    list_rules(plugin, *KINDS)


def adaptations(plugin: Plugins = None) -> None:
    """List the rules by which nodes adapt at the end of an epoch, with formula and source."""
    from poq_abm.rules.adaptation.base import ADAPTATIONS  # noqa: PLC0415

    list_rules(plugin, ADAPTATIONS)


def behaviours(plugin: Plugins = None) -> None:
    """List the behaviours with traits, parameters, formula and source."""
    from poq_abm.rules.behaviour.base import BEHAVIOURS  # noqa: PLC0415

    list_rules(plugin, *BEHAVIOURS.values())


def protocols(plugin: Plugins = None) -> None:
    """List the verification protocols with traits, parameters, formula and source."""
    from poq_abm.rules.protocol.protocol import PROTOCOLS  # noqa: PLC0415

    list_rules(plugin, PROTOCOLS)


def list_rules(plugin: list[str] | None, *kinds: Kind[Any]) -> None:
    """Print the rules of some kinds as they declare themselves, those of plug-ins among them."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.rules import registry  # noqa: PLC0415

    registry.load_plugins(plugin)
    table = Table(show_lines=True)
    for heading in ("kind", "name", "what it is", "parameters", "traits", "source"):
        table.add_column(heading)
    for kind in kinds:
        for rule in registry.rules(kind).values():
            said = f"{rule.summary()}\n{rule.formula}"
            cells = (kind.name, rule.name, said, "\n".join(_parameters(rule)),
                     ", ".join(rule.remarks()) or "-", str(rule.source))  # fmt: skip
            table.add_row(*map(escape, cells))
    output_console().print(table)


def _parameters(rule: type[Rule]) -> Iterator[str]:
    for name, parameter in rule.parameters.items():
        yield f"{name} (needed)" if parameter.required else f"{name} = {parameter.default}"
