"""The protocols' pages, made of what the code declares, so that neither can drift from the other.

``python -m poq_abm.simulation.queries.pages docs/verification`` writes them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.protocol.registry import PROTOCOLS, protocol_of
from poq_abm.scenario.schema.verification import Verification

__all__ = ["file_of", "key_rows", "page", "write_pages"]


def file_of(name: str) -> str:
    """Return the file of a protocol's page.

    >>> file_of("poq+otr")
    'poq_otr.md'
    """
    return f"{name.replace('+', '_')}.md"


def page(kind: type[VerificationProtocol]) -> str:
    """Return the page of a protocol: what it does, formula, parameters, sources and limits."""
    protocol = protocol_of(Verification(protocol=kind.name))
    broken, intact = (protocol.detection(broken=state) for state in (True, False))
    parts = [
        f"# `{kind.name}`",
        kind.summary,
        "## Formula",
        kind.formula,
        _defaults(protocol, broken, intact) + " " + _bond(kind),
        "## Parameters",
        "\n".join(_parameters(protocol)),
        "## Sources",
        _sentence(kind.source),
        "## Limits",
        kind.limits,
    ]
    return "\n\n".join(parts) + "\n"


def _defaults(protocol: VerificationProtocol, broken: float, intact: float) -> str:
    if protocol.terms.trusted:
        return "Nobody cheats by assumption, so nothing is there to be found."
    if protocol.terms.attests:
        return (
            f"At the defaults a cheat is found with chance {intact:.4g} while the enclave is "
            f"intact and {broken:.4g} while it is broken."
        )
    return f"At the defaults a cheat is found with chance {broken:.4g}."


def _bond(kind: type[VerificationProtocol]) -> str:
    if kind.bonded:
        return (
            "A node that is convicted loses S = stake_usd x slash_share of its bond and its fee F, "
            "each once; with keeps_gain_when_caught: false what cheating saved as well, and G in "
            "the condition becomes (1 - p) G."
        )
    return "There is no bond, S = 0: who is found out loses the fee F and no more."


def _parameters(protocol: VerificationProtocol) -> Iterator[str]:
    if not protocol.sections:
        yield (
            "None of its own; those of [demand, economics and adversaries](README.md) hold for all."
        )
        return
    yield "| key | default | unit | source | meaning |"
    yield "|---|---|---|---|---|"
    for name, section in protocol.figures().items():
        yield from key_rows(section, f"verification.{name}")


def key_rows(section: BaseModel, prefix: str) -> Iterator[str]:
    """Yield a table's row for every figure of a section, and of the sections inside it."""
    for key, information in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            yield from key_rows(value, f"{prefix}.{key}")
            continue
        told = _told(information)
        yield (
            f"| `{prefix}.{key}` | {_shown(value)} | {told['unit']} | {told['source']} "
            f"| {told['meaning']} |"
        )
        if isinstance(value, dict):
            yield from key_rows(next(iter(value.values())), f"{prefix}.{key}.NAME")


def _told(information: FieldInfo) -> dict[str, Any]:
    extra = information.json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError(f"a figure without unit and source: {information.description}")
    return dict(extra)


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


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def write_pages(folder: Path) -> list[Path]:
    """Write the page of every protocol into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, kind in PROTOCOLS.items():
        path = folder / file_of(name)
        path.write_text(page(kind), encoding="utf-8")
        written.append(path)
    return written


def _main() -> None:
    parser = argparse.ArgumentParser(description="Write the pages of all protocols.")
    parser.add_argument("folder", type=Path, help="where they go, e.g. docs/verification")
    write_pages(parser.parse_args().folder)


if __name__ == "__main__":
    _main()
