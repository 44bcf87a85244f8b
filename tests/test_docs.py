"""The README and the docs say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from poq_abm.experiment.tables import NODES, REPLICATIONS, ROUNDS
from poq_abm.scenario import EvaluatorGroup, InferenceGroup, Mechanism
from poq_abm.scenario.schema import Settings

ROOT = Path(__file__).parents[1]


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "mine" / "nodes.parquet").is_file()
    nodes = names["model"].node_table()
    assert nodes["jobs"].sum() == 5000 * 3


@pytest.mark.parametrize("schema", [NODES, REPLICATIONS, ROUNDS], ids=["nodes", "reps", "rounds"])
def test_every_column_is_documented(schema) -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    assert [name for name in schema.names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("part", [Settings, Mechanism, InferenceGroup, EvaluatorGroup])
def test_every_key_is_documented(part) -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text()
    assert [key for key in part.model_fields if not re.search(rf"\b{key}\b", text)] == []


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
