"""The pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poq_abm.rules.protocol.registry import PROTOCOLS
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.pages import file_of, key_rows, page, write_pages

PAGES = Path(__file__).parents[3] / "docs" / "verification"
README = (PAGES / "README.md").read_text()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_has_the_page_that_its_class_writes(name: str) -> None:
    written = (PAGES / file_of(name)).read_text()
    assert written == page(PROTOCOLS[name]), (
        "python -m poq_abm.simulation.queries.pages docs/verification"
    )
    assert {"Formula", "Parameters", "Sources", "Limits"} <= set(
        re.findall(r"^## (.*)$", written, re.MULTILINE)
    )
    assert f"[`{name}`]({file_of(name)})" in README


def test_writing_pages_writes_them_all(tmp_path: Path) -> None:
    assert {path.name for path in write_pages(tmp_path)} == {file_of(name) for name in PROTOCOLS}


def test_every_figure_is_on_some_page() -> None:
    told = README + "".join((PAGES / file_of(name)).read_text() for name in PROTOCOLS)
    verification = Verification()
    for name in type(verification).model_fields:
        if name != "protocol":
            for row in key_rows(getattr(verification, name), f"verification.{name}"):
                assert row in told, row


def test_the_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, {})
