"""The documentation builds without a warning, and its generated parts hold what they should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from poq_abm.cli import app
from poq_abm.scenario.schema.key_reference import keys_below
from poq_abm.scenario.schema.settings import Settings

pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
pytest.importorskip("myst_nb", reason="the extra `docs` is not installed")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the pages in a process of their own, warnings being errors."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    told = subprocess.run(
        [*command, "-d", str(out / "trees"), str(DOCS), str(out / "html")],
        capture_output=True, text=True, check=False, cwd=DOCS.parent,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return out / "html"


def text_of(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_every_page_is_built_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = {p.relative_to(DOCS).with_suffix("") for p in DOCS.rglob("*.md")}
    pages |= {Path("notebooks") / p.stem for p in (DOCS.parent / "notebooks").glob("*.ipynb")}
    assert {p for p in pages if not (site / p.with_suffix(".html")).is_file()} == set()
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text()
        )
        assert loaded == [], page


def test_every_key_of_the_schema_is_in_the_reference(site: Path) -> None:
    text = text_of(site / "reference/scenario.html")
    keys = [key.path for key in keys_below(Settings)]
    leaves = {path if "." not in path else path.partition(".")[2] for path in keys}
    assert len(keys) > 100
    assert [leaf for leaf in leaves if leaf not in text] == []
    assert [key.path for key in keys_below(Settings) if not key.meaning] == []


def test_every_verb_is_in_the_reference(site: Path) -> None:
    import typer

    text = text_of(site / "reference/cli.html")
    verbs = typer.main.get_command(app).commands
    assert [verb for verb in verbs if f"poq {verb}" not in text] == []
    assert "--replications REPLICATIONS" in text


def test_public_names_are_in_the_reference(site: Path) -> None:
    text = text_of(site / "reference/python.html")
    for name in ("compare(", "explain(", "class poq_abm.experiment.results.Results", "audit("):
        assert name.removeprefix("class poq_abm.experiment.results.") in text, name
