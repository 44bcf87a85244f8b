"""``poq rules|behaviours|adaptations|protocols``: what a scenario can name, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import fill
from typing import TYPE_CHECKING, Any

import typer

from poq_abm.cli.options import AsCsv, AsJson, Plugins

if TYPE_CHECKING:
    import pandas as pd

    from poq_abm.rules.rule import Kind, Parameter, Rule

__all__ = ["adaptations", "behaviours", "list_rules", "protocols", "rules"]


def rules(plugin: Plugins = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the rules of a round, from consensus to schedule, with formula and source."""
    from poq_abm.scenario.schema.mechanism import KINDS  # noqa: PLC0415

    list_rules(plugin, KINDS, as_json=as_json, as_csv=as_csv)


def adaptations(plugin: Plugins = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the rules by which nodes adapt at the end of an epoch, with formula and source."""
    from poq_abm.rules.adaptation.base import ADAPTATIONS  # noqa: PLC0415

    list_rules(plugin, [ADAPTATIONS], as_json=as_json, as_csv=as_csv)


def behaviours(plugin: Plugins = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the behaviours with traits, parameters, formula and source."""
    from poq_abm.rules.behaviour.base import BEHAVIOURS  # noqa: PLC0415

    list_rules(plugin, BEHAVIOURS.values(), as_json=as_json, as_csv=as_csv)


def protocols(plugin: Plugins = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the verification protocols with traits, parameters, formula and source."""
    from poq_abm.rules.protocol.protocol import PROTOCOLS  # noqa: PLC0415

    list_rules(plugin, [PROTOCOLS], as_json=as_json, as_csv=as_csv)


def list_rules(
    plugin: list[str] | None, kinds: Iterable[Kind[Any]], *, as_json: bool, as_csv: bool
) -> None:
    """Print the rules of some kinds as they declare themselves, those of plug-ins among them."""
    from poq_abm.cli.printing import output_console, print_data  # noqa: PLC0415
    from poq_abm.rules import registry  # noqa: PLC0415

    registry.load_plugins(plugin)
    known = [(kind, rule) for kind in kinds for rule in registry.rules(kind).values()]
    if as_json or as_csv:
        tables = {"rules": _as_frame(known), "parameters": _parameters(known)}
        print_data(tables, as_json=as_json, as_csv=as_csv)
        return
    width, before = output_console().width, ""
    for kind, rule in known:
        if kind.name != before:
            typer.echo(f"{kind.name.upper()} ({kind.key})\n")
            before = kind.name
        typer.echo(rule.name)
        for line in _said(rule):
            typer.echo(fill(line, width, initial_indent="    ", subsequent_indent="      "))
        typer.echo()


def _said(rule: type[Rule]) -> Iterator[str]:
    """Yield the lines that tell a rule."""
    yield rule.summary()
    yield f"formula: {rule.formula}"
    for name, parameter in rule.parameters.items():
        yield f"{name}: {_told(parameter)}"
    if remarks := rule.remarks():
        yield f"traits: {', '.join(remarks)}"
    yield f"source: {rule.source}"


def _told(parameter: Parameter) -> str:
    """Return a parameter's meaning, unit, range and default.

    >>> from poq_abm.rules.rule import Parameter
    >>> _told(Parameter("share cut from each end", 0.2, low=0.0, high=0.5, symbol="tau"))
    'tau, share cut from each end; must lie in [0, 0.5]; default 0.2 (assumed)'
    """
    meaning = f"{parameter.symbol}, {parameter.meaning}" if parameter.symbol else parameter.meaning
    unit = f" ({parameter.unit})" if parameter.unit else ""
    within = f"; must {parameter.range()}" if parameter.range() else ""
    among = f"; {' or '.join(parameter.options)}" if parameter.options else ""
    default = f"default {_shown(parameter.default)} ({parameter.status})"
    if parameter.default is None:
        default = "must be given" if parameter.required else "may be left out"
    return f"{meaning}{unit}{within}{among}; {default}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_frame(known: Iterable[tuple[Kind[Any], type[Rule]]]) -> pd.DataFrame:
    """Return one row a rule."""
    import pandas as pd  # noqa: PLC0415

    rows = [
        {
            "kind": kind.name,
            "key": kind.key,
            "name": rule.name,
            "summary": rule.summary(),
            "formula": rule.formula,
            "parameters": "\n".join(f"{name}: {_told(p)}" for name, p in rule.parameters.items()),
            "traits": ", ".join(rule.remarks()),
            "source": str(rule.source),
        }
        for kind, rule in known
    ]
    return pd.DataFrame(rows)


def _parameters(known: Iterable[tuple[Kind[Any], type[Rule]]]) -> pd.DataFrame:
    """Return one row a parameter."""
    import pandas as pd  # noqa: PLC0415

    rows = [
        {
            "kind": kind.name,
            "rule": rule.name,
            "parameter": name,
            "meaning": each.meaning,
            "symbol": each.symbol,
            "unit": each.unit,
            "type": each.kind,
            "range": each.range(),
            "options": ", ".join(each.options),
            "default": None if each.default is None else _shown(each.default),
            "status": each.status,
            "required": each.required,
        }
        for kind, rule in known
        for name, each in rule.parameters.items()
    ]
    return pd.DataFrame(rows)
