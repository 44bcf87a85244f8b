"""What the pages take from the code: rules, the schema's keys, the verbs, the public modules.

``python docs/generated.py`` writes a page for each protocol, and into the pages that have them, up
to ``<!-- end -->``, the tables of rules (``<!-- rules: KIND -->``) and the reference
(``<!-- generated: NAME -->``): so the pages read in the repository as they do on the site, where
the public names have their whole docstrings.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import gallery
import typer

from poq_abm.analysis.questions import figures, tables
from poq_abm.cli import app
from poq_abm.rules.adaptation.base import ADAPTATIONS
from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.protocol.protocol import PROTOCOLS, VerificationProtocol
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Kind, Parameter
from poq_abm.scenario import load, scenario_names
from poq_abm.scenario.schema.key_reference import keys_below, markdown
from poq_abm.scenario.schema.mechanism import KINDS as ROUND_KINDS
from poq_abm.scenario.schema.settings import Settings
from poq_abm.scenario.schema.verification import Verification, protocol_of

__all__ = [
    "cli",
    "figure_rows",
    "fill",
    "listing",
    "modules",
    "page_of",
    "protocol_page",
    "protocols",
    "rule_table",
    "scenario",
    "scenarios",
    "updated",
    "write_pages",
]

DOCS: Final = Path(__file__).parent
#: the kinds of rule whose tables stand in pages, by how a page asks for them
KINDS: Final[dict[str, Kind[Any]]] = {**BEHAVIOURS, "adaptation": ADAPTATIONS}

#: what somebody who uses the package from Python needs, in the order of the house
MODULES = (
    "poq_abm.scenario",
    "poq_abm.scenario.metagraph",
    "poq_abm.scenario.price_list",
    "poq_abm.profile",
    "poq_abm.profile.synthetic",
    "poq_abm.simulation.model",
    "poq_abm.simulation.agents",
    "poq_abm.simulation.epochs.environment",
    "poq_abm.rules.rule",
    "poq_abm.rules.registry",
    "poq_abm.rules.kernels",
    "poq_abm.rules.committee",
    "poq_abm.rules.behaviour.base",
    "poq_abm.rules.adaptation.base",
    "poq_abm.rules.protocol.protocol",
    "poq_abm.experiment.plan",
    "poq_abm.experiment.running",
    "poq_abm.experiment.results",
    "poq_abm.experiment.labels",
    "poq_abm.experiment.export",
    "poq_abm.experiment.estimates",
    "poq_abm.experiment.economy_study",
    "poq_abm.experiment.paired",
    "poq_abm.analysis.stored_run",
    "poq_abm.analysis.questions",
    "poq_abm.analysis.rewards",
    "poq_abm.analysis.distributions",
    "poq_abm.analysis.lorenz",
    "poq_abm.analysis.mean_rewards",
    "poq_abm.analysis.alignment",
    "poq_abm.analysis.explanation",
    "poq_abm.analysis.comparison",
    "poq_abm.analysis.convergence",
    "poq_abm.analysis.sweeps",
    "poq_abm.analysis.epochs",
    "poq_abm.analysis.surplus",
    "poq_abm.analysis.elasticity",
    "poq_abm.analysis.trust",
    "poq_abm.analysis.quality_latency",
    "poq_abm.analysis.evaluator_correlation",
    "poq_abm.analysis.cascade",
    "poq_abm.analysis.composite",
    "poq_abm.analysis.contract",
    "poq_abm.analysis.cheapest_contract",
    "poq_abm.analysis.pay_and_accuracy",
    "poq_abm.analysis.trilemma",
    "poq_abm.analysis.deterrence",
    "poq_abm.analysis.audit.auditing",
    "poq_abm.analysis.audit.variants",
    "poq_abm.analysis.audit.attacks",
    "poq_abm.analysis.audit.best_response",
    "poq_abm.analysis.design.problem",
    "poq_abm.analysis.design.searching",
    "poq_abm.analysis.design.selection",
    "poq_abm.analysis.design.fronts",
    "poq_abm.analysis.sensitivity",
    "poq_abm.analysis.figure_style",
    "poq_abm.simulation.inequality",
    "poq_abm.report.page",
    "poq_abm.errors",
    "poq_abm.testing.rule",
    "poq_abm.testing.aggregation",
    "poq_abm.testing.payment",
    "poq_abm.testing.trust",
    "poq_abm.testing.behaviour",
    "poq_abm.testing.adaptation",
    "poq_abm.testing.verification",
)


def rule_table(kind: Kind[Any]) -> str:
    """Return the rules of a kind that ship as a table, and their parameters as another."""
    lines = ["| name | what it is | parameters | traits | source |"]
    lines.append("|---|---|---|---|---|")
    for rule in shipped(kind).values():
        cells = (
            f"`{rule.name}`",
            f"{rule.summary()} {_code(rule.formula)}",
            ", ".join(f"`{key}`" for key in rule.parameters),
            ", ".join(rule.remarks()),
            str(rule.source),
        )
        lines.append(_cells(cells))
    rows = [
        _cells((f"`{rule.name}` `{key}`", _meaning(each), each.unit, _range(each), _default(each)))
        for rule in shipped(kind).values()
        for key, each in rule.parameters.items()
    ]
    if rows:
        lines += ["", "| parameter | meaning | unit | range | default |", "|---|---|---|---|---|"]
    return "\n".join(lines + rows)


def _cells(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _meaning(parameter: Parameter) -> str:
    return f"{parameter.symbol}, {parameter.meaning}" if parameter.symbol else parameter.meaning


def round_rules() -> str:
    """Return the rules of a round, a table for each kind; those with a page of their own link."""
    parts = []
    for kind in ROUND_KINDS:
        table = rule_table(kind)
        for name in shipped(kind) if kind == AGGREGATION else ():
            table = table.replace(f"| `{name}` |", f"| [`{name}`]({name}.md) |")
        parts.append(f"## {kind.name.capitalize()}: `{kind.key}`\n\n{table}")
    return "\n\n".join(parts)


def _code(formula: str) -> str:
    return f"`` {formula} ``" if "`" in formula else f"`{formula}`"


def _range(parameter: Parameter) -> str:
    """Return what a parameter may be, in words: an interval, names, or what kind of thing."""
    if parameter.options:
        return " or ".join(f"`{option}`" for option in parameter.options)
    words = parameter.range().removeprefix("lie ").removeprefix("be ")
    kind = {"number": "", "text": "a name"}.get(parameter.kind, f"a {parameter.kind}")
    return " ".join(part for part in (kind, words) if part)


def _default(parameter: Parameter) -> str:
    """Return a parameter's default, and who answers for it."""
    default = parameter.default
    if parameter.required:
        return "needed"
    if default is None:
        return "none"
    listed = default if isinstance(default, tuple) else [default]
    value = ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in listed)
    return f"{value} ({parameter.status})"


def page_of(name: str) -> Path:
    """Return the file of a protocol's page.

    >>> page_of("poq+otr").name
    'poq_otr.md'
    """
    return DOCS / "verification" / f"{name.replace('+', '_')}.md"


def protocol_page(rule: type[VerificationProtocol]) -> str:
    """Return the page of a protocol: what it does, formula, parameters, sources and limits."""
    protocol = protocol_of(Verification(), rule)
    parts = [
        f"# `{rule.name}`",
        " ".join(str(rule.__doc__).split()),
        "## Formula",
        rule.formula,
        f"{_detected(protocol)} {_bond(rule)}",
        "## Parameters",
        "\n".join(_figures(rule)),
        "## Sources",
        f"{rule.source.status.capitalize()}: {rule.source.reference}.",
        "## Limits",
        rule.limits,
    ]
    return "\n\n".join(parts) + "\n"


def protocols() -> str:
    """Return a row for each protocol: its page, what stands behind an answer, and its formula."""
    rows = ["| protocol | what stands behind an answer | formula |", "|---|---|---|"]
    for name, rule in shipped(PROTOCOLS).items():
        gloss = rule.gloss.replace("\n", " ")
        rows.append(f"| [`{name}`]({page_of(name).name}) | {gloss} | {rule.formula} |")
    return "\n".join(rows)


def _detected(protocol: VerificationProtocol) -> str:
    if protocol.trusted:
        return "Nobody cheats by assumption, so nothing is there to be found."
    broken, intact = (protocol.detection(broken=state) for state in (True, False))
    if protocol.attested:
        return (
            f"At the defaults a cheat is found with chance {intact:.4g} while the enclave is "
            f"intact and {broken:.4g} while it is broken."
        )
    return f"At the defaults a cheat is found with chance {broken:.4g}."


def _bond(rule: type[VerificationProtocol]) -> str:
    if rule.bonded:
        return (
            "A node that is convicted loses S = stake_usd x slash_share of its bond and its fee F, "
            "each once; with keeps_gain_when_caught: false what cheating saved as well, and G in "
            "the condition becomes (1 - p) G."
        )
    return "There is no bond, S = 0: who is found out loses the fee F and no more."


def _figures(rule: type[VerificationProtocol]) -> Iterator[str]:
    """Yield the figures that a protocol reads, of its own section and of others."""
    read = [rule.name] if rule.parameters else []
    read += [each.section for each in rule.reads] + ["watchers"] * rule.watched
    if not read:
        yield (
            "None of its own; those of [demand, economics and adversaries](README.md) hold for all."
        )
        return
    yield "| key | default | unit | source | meaning |"
    yield "|---|---|---|---|---|"
    for section in read:
        yield from figure_rows(getattr(Verification(), section), f"verification.{section}")


def figure_rows(section: Any, prefix: str) -> Iterator[str]:
    """Yield a table's row for every figure of a section, and of the sections inside it."""
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if hasattr(value, "model_fields_set"):
            yield from figure_rows(value, f"{prefix}.{key}")
            continue
        told = dict(field.json_schema_extra)
        yield (
            f"| `{prefix}.{key}` | {_shown(value)} | {told['unit']} | {told['source']} "
            f"| {told['meaning']} |"
        )
        if isinstance(value, dict):
            yield from figure_rows(next(iter(value.values())), f"{prefix}.{key}.NAME")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | dict):
        return ", ".join(f"`{item}`" for item in value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"`{value}`" if isinstance(value, str) else f"{value:,g}"


def updated(page: str, parts: Mapping[str, Callable[[], str]] | None = None) -> str:
    r"""Return a page with what is generated in it as the code has it now.

    >>> updated("<!-- generated: cli --> ... <!-- end -->", {"cli": lambda: "poq"})
    '<!-- generated: cli -->\n\npoq\n\n<!-- end -->'
    """
    made = PARTS if parts is None else parts

    def text(match: re.Match[str]) -> str:
        what, name = match[2], match[3]
        found = rule_table(KINDS[name]) if what == "rules" else made[name]()
        return f"{match[1]}\n\n{found}\n\n"

    marked = r"(<!-- (rules|generated): (\w+) -->).*?(?=<!-- end -->)"
    return re.sub(marked, text, page, flags=re.DOTALL)


def write_pages() -> None:
    """Bring the pages of protocols and what is generated in all pages up to date."""
    for name, rule in shipped(PROTOCOLS).items():
        page_of(name).write_text(protocol_page(rule), encoding="utf-8")
    for path in DOCS.rglob("*.md"):
        page = path.read_text(encoding="utf-8")
        if (now := updated(page)) != page:
            path.write_text(now, encoding="utf-8")


def fill(_app: Any, _page: str, source: list[str]) -> None:
    """Bring a page that Sphinx reads up to date, public names with their whole docstrings."""
    source[0] = updated(source[0], {**PARTS, "modules": modules})


def scenario() -> str:
    """Return every key of a scenario, a table for each section."""
    sections: dict[str, list[Any]] = {}
    for key in keys_below(Settings):
        head, dot, _ = key.path.partition(".")
        sections.setdefault(head if dot else "", []).append(key)
    parts = [markdown(iter(sections.pop("")))]
    for head, keys in sections.items():
        parts += [f"## `{head}`", markdown(iter(keys), f"{head}.")]
    return "\n\n".join(parts)


def scenarios() -> str:
    """Return the scenarios that ship: the question of each, what it plays, and what it sweeps."""
    rows = ["| scenario | question | plays | sweeps |", "|---|---|---|---|"]
    for name in scenario_names():
        found = load(name)
        plays = "rounds" if found.economy is None else "an economy"
        plays = plays if found.verification is None else "verification protocols"
        treatments = found.treatments()
        axes = ", ".join(f"`{axis}`" for axis in treatments[0].settings)
        swept = f"{axes}: {len(treatments):,} treatments" if len(treatments) > 1 else ""
        rows.append(f"| `{name}` | {found.question} | {plays} | {swept} |")
    return "\n".join(rows)


def cli() -> str:
    """Return every verb with its arguments and options."""
    return "\n\n".join(_verbs(typer.main.get_command(app), "poq"))


def _verbs(command: Any, name: str) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children is not None:
        for child, found in children.items():
            yield from _verbs(found, f"{name} {child}")
        return
    said = " ".join((command.help or "").split())
    yield f"## `{name}`\n\n{said}"
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        yield "| takes | meaning |\n|---|---|\n" + "\n".join(rows)


def questions() -> str:
    """Return what can be asked of a run: the tables of ``poq analyse``, the figures of ``plot``."""
    parts = []
    for title, kinds in (("poq analyse", tables()), ("poq plot", figures())):
        rows = [
            f"| `{kind.name}` | {kind[1]} | {', '.join(f'`--{name}`' for name in kind.takes)} |"
            for kind in kinds.values()
        ]
        parts.append(
            "\n".join(
                [f"## `{title}`, by kind", "", "| kind | what | heeds |", "|---|---|---|", *rows]
            )
        )
    return "\n\n".join(parts)


def _row(parameter: Any) -> str:
    # The parser behind typer differs between its releases; these attributes do not.
    is_option = str(parameter.opts[0]).startswith("-")
    value = parameter.metavar or str(parameter.name).upper()
    names = " ".join(parameter.opts) if is_option else value
    if is_option and not getattr(parameter, "is_flag", False):
        names += f" {value}"
    meaning = " ".join(str(getattr(parameter, "help", None) or "").split())
    default = parameter.default
    if default not in (None, False, "", ()) and not callable(default):
        meaning += f" Default: {default}."
    return f"| `{names.replace('|', '/')}` | {meaning.replace('|', '/')} |"


def modules() -> str:
    """Return the directives that document the public names of every module."""
    parts = []
    for name in MODULES:
        public = ", ".join(importlib.import_module(name).__all__)
        parts.append(
            f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members: {public}\n"
            "   :exclude-members: model_config\n```"
        )
    return "\n\n".join(parts)


def listing() -> str:
    """Return the public names of every module, with what they take and what they are."""
    parts = []
    for name in MODULES:
        module = importlib.import_module(name)
        rows = [f"| {_call(module, each)} | {_said(module, each)} |" for each in module.__all__]
        head = _first_lines(module.__doc__)
        parts.append(
            f"## `{name}`\n\n{head}\n\n" + "\n".join(["| name | what |", "|---|---|", *rows])
        )
    return "\n\n".join(parts)


def _call(module: Any, name: str) -> str:
    """Return a name, of a function with the names of what it takes."""
    found = getattr(module, name)
    if not inspect.isfunction(found):
        return f"`{name}`"
    taken = inspect.signature(found).parameters
    return f"`{name}({', '.join(taken)})`"


def _said(module: Any, name: str) -> str:
    found = getattr(module, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        return _first_lines(found.__doc__)
    parts, text = found if type(found) is tuple else (found,), repr(found)
    plain = all(isinstance(part, int | float | str) for part in parts)
    return f"`{text}`" if plain and len(text) <= _LONGEST_VALUE else ""


def _first_lines(text: str | None) -> str:
    r"""Return the first paragraph of a docstring in one line, as Markdown writes it.

    >>> _first_lines("A :class:`Plan`, or ``None``.\n\nMore.")
    'A `Plan`, or `None`.'
    """
    line = " ".join((text or "").strip().partition("\n\n")[0].split()).replace("|", "\\|")
    return re.sub(r":\w+:`~?", "`", line).replace("``", "`")


_LONGEST_VALUE = 60  # characters of a constant that is shown

#: what is generated in pages, by how a page asks for it
PARTS: Final[dict[str, Callable[[], str]]] = {
    "scenario": scenario,
    "scenarios": scenarios,
    "cli": cli,
    "gallery": gallery.gallery,
    "modules": listing,
    "protocols": protocols,
    "questions": questions,
    "rules": round_rules,
}

if __name__ == "__main__":
    write_pages()
