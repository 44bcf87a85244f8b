"""What the pages take from the code: rules, the schema's keys, the verbs, the public modules.

``python docs/generated.py`` writes the tables of rules into the pages that have them, between
``<!-- rules: KIND -->`` and ``<!-- end -->``; the reference is filled as it is built.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from poq_abm.cli import app
from poq_abm.rules.adaptation.base import ADAPTATIONS
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Kind, Parameter
from poq_abm.scenario.schema.key_reference import keys_below, markdown
from poq_abm.scenario.schema.settings import Settings

__all__ = ["cli", "fill", "modules", "rule_table", "scenario", "with_rules", "write_rules"]

DOCS: Final = Path(__file__).parent
#: the kinds of rule whose tables stand in pages, by how a page asks for them
KINDS: Final[dict[str, Kind[Any]]] = {**BEHAVIOURS, "adaptation": ADAPTATIONS}

#: what somebody who uses the package from Python needs, in the order of the house
MODULES = (
    "poq_abm.scenario",
    "poq_abm.profile",
    "poq_abm.profile.synthetic",
    "poq_abm.simulation.model",
    "poq_abm.simulation.agents",
    "poq_abm.rules.behaviour.base",
    "poq_abm.experiment.plan",
    "poq_abm.experiment.running",
    "poq_abm.experiment.results",
    "poq_abm.experiment.estimates",
    "poq_abm.experiment.economy_summary",
    "poq_abm.experiment.paired",
    "poq_abm.analysis.stored_run",
    "poq_abm.analysis.questions",
    "poq_abm.analysis.rewards",
    "poq_abm.analysis.mean_rewards",
    "poq_abm.analysis.alignment",
    "poq_abm.analysis.explanation",
    "poq_abm.analysis.comparison",
    "poq_abm.analysis.sweeps",
    "poq_abm.analysis.epochs",
    "poq_abm.analysis.trust",
    "poq_abm.analysis.quality_latency",
    "poq_abm.analysis.evaluator_correlation",
    "poq_abm.analysis.trilemma",
    "poq_abm.analysis.deterrence",
    "poq_abm.analysis.audit.auditing",
    "poq_abm.analysis.audit.bench",
    "poq_abm.analysis.audit.attacks",
    "poq_abm.analysis.sensitivity",
    "poq_abm.analysis.figure_style",
    "poq_abm.simulation.inequality",
    "poq_abm.report.page",
    "poq_abm.errors",
    "poq_abm.testing.aggregation",
    "poq_abm.testing.behaviour",
)


def rule_table(kind: Kind[Any]) -> str:
    """Return the rules of a kind that ship as a table, from what they declare."""
    lines = ["| name | what it is | parameters (range; default) | traits | source |"]
    lines.append("|---|---|---|---|---|")
    for rule in shipped(kind).values():
        cells = (
            f"`{rule.name}`",
            f"{rule.summary()} {_code(rule.formula)}",
            ", ".join(f"`{key}` ({_range(each)})" for key, each in rule.parameters.items()),
            ", ".join(rule.remarks()),
            str(rule.source),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _code(formula: str) -> str:
    return f"`` {formula} ``" if "`" in formula else f"`{formula}`"


def _range(parameter: Parameter) -> str:
    """Return what a parameter means, in which range, and its default."""
    default = parameter.default
    value = f"{default:g}" if isinstance(default, int | float) else str(default or "none")
    words = parameter.range().removeprefix("lie ").removeprefix("be ")
    ends = (parameter.meaning, words, "needed" if parameter.required else value)
    return "; ".join(end for end in ends if end)


def with_rules(page: str) -> str:
    """Return a page with its tables of rules as the code has them now."""
    return re.sub(
        r"(<!-- rules: (\w+) -->\n).*?(?=<!-- end -->)",
        lambda match: f"{match[1]}\n{rule_table(KINDS[match[2]])}\n\n",
        page,
        flags=re.DOTALL,
    )


def write_rules() -> None:
    """Bring the tables of rules in all pages up to date."""
    for path in DOCS.rglob("*.md"):
        page = path.read_text(encoding="utf-8")
        if with_rules(page) != page:
            path.write_text(with_rules(page), encoding="utf-8")


def fill(_app: Any, _page: str, source: list[str]) -> None:
    """Replace ``<!-- generated: NAME -->`` in a page by what NAME stands for."""
    made = {"scenario": scenario, "cli": cli, "modules": modules}
    source[0] = re.sub(r"<!-- generated: (\w+) -->", lambda m: made[m[1]](), source[0])


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


if __name__ == "__main__":
    write_rules()
