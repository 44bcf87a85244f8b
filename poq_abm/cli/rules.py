"""``poq rules``, ``poq behaviours``, ``poq adaptations``: what a scenario can name, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from poq_abm.cli.options import Plugins

if TYPE_CHECKING:
    from poq_abm.rules.behaviour.base import Parameter

__all__ = ["adaptations", "behaviours", "rules"]


def rules() -> None:
    """List the aggregation rules and trust updates, with formula and source."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.rules import aggregation  # noqa: PLC0415
    from poq_abm.rules.trust import updates as trust  # noqa: PLC0415

    weighted = {"trust_weighted": "weighted_mean", "trust_weighted_median": "weighted_median"}
    names = [rule.name.lower() for rule in aggregation.Aggregation]
    functions = {name: getattr(aggregation, weighted.get(name, name)) for name in names}
    updates = {
        update.name.lower(): getattr(trust, update.name.lower(), None)
        for update in trust.TrustUpdate
        if update.name != "NONE"
    }
    table = Table(show_lines=True)
    for heading in ("kind", "name", "what it is"):
        table.add_column(heading)
    for kind, named in (("aggregation", functions), ("trust update", updates)):
        for name, function in named.items():
            table.add_row(kind, name, escape(_said(function)))
    output_console().print(table)


def _said(function: object) -> str:
    """Return the sentence and the formula of a rule's docstring."""
    if function is None:
        return "multiplicative against the truth, on planted records only; ours"
    text = str(function.__doc__).split(">>>")[0]
    return " ".join(text.split())


def adaptations(plugin: Plugins = None) -> None:
    """List the rules by which nodes adapt at the end of an epoch, with formula and source."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.rules.adaptation.registry import adaptations as known  # noqa: PLC0415
    from poq_abm.rules.behaviour.resolving import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    table = Table(show_lines=True)
    for heading in ("name", "what it is", "formula", "parameters", "source"):
        table.add_column(heading)
    for kind in known().values():
        said = " ".join(str(kind.__doc__).split("\n\n")[0].split())
        table.add_row(
            kind.name,
            escape(said),
            escape(kind.formula),
            escape("\n".join(_parameters(kind.parameters))),
            escape(kind.source),
        )
    output_console().print(table)


def _parameters(parameters: Mapping[str, Parameter]) -> list[str]:
    return [
        f"{name} = {parameter.default}" if not parameter.required else f"{name} (needed)"
        for name, parameter in parameters.items()
    ]


def behaviours(plugin: Plugins = None) -> None:
    """List the behaviours with role, traits, parameters, formula and source."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from poq_abm.cli.tables import output_console  # noqa: PLC0415
    from poq_abm.rules.behaviour.base import Role  # noqa: PLC0415
    from poq_abm.rules.behaviour.resolving import behaviours as known  # noqa: PLC0415
    from poq_abm.rules.behaviour.resolving import load_plugins  # noqa: PLC0415

    load_plugins(plugin)
    table = Table(show_lines=True)
    for heading in ("role", "name", "formula", "parameters", "traits", "source"):
        table.add_column(heading)
    roles: tuple[Role, ...] = ("evaluator", "inference")
    for role in roles:
        for kind in known(role).values():
            traits = [name.replace("_", " ") for name, has in vars(kind.traits).items() if has]
            table.add_row(
                role,
                kind.name,
                escape(kind.formula),
                escape("\n".join(_parameters(kind.parameters))),
                ", ".join(traits) or "-",
                kind.source,
            )
    output_console().print(table)
