"""Every notebook runs from a clean kernel, is stored without outputs, and agrees with its twin."""

from __future__ import annotations

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="the extra `notebooks` is not installed")
nbclient = pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")
nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("ipykernel", reason="the extra `notebooks` is not installed")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TWINS = sorted(NOTEBOOKS.glob("*.py"))
NAMES = [path.stem for path in TWINS]

pytestmark = pytest.mark.filterwarnings("ignore")  # of the notebooks' libraries, not of ours


def stored(twin: Path):
    return nbformat.read(twin.with_suffix(".ipynb"), as_version=4)


def test_every_notebook_has_a_twin() -> None:
    assert [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))] == NAMES
    assert len(NAMES) >= 9


@pytest.mark.parametrize("twin", TWINS, ids=NAMES)
def test_a_notebook_agrees_with_its_twin_and_holds_no_outputs(twin: Path) -> None:
    cells = [(cell.cell_type, cell.source) for cell in stored(twin).cells]
    assert cells == [(cell.cell_type, cell.source) for cell in jupytext.read(twin).cells]
    code = [cell for cell in stored(twin).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


@pytest.mark.parametrize("twin", TWINS, ids=NAMES)
def test_a_notebook_starts_from_a_question(twin: Path) -> None:
    first = stored(twin).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.splitlines()[0].startswith("# ")
    assert first.source.splitlines()[0].endswith("?")


@pytest.mark.slow
@pytest.mark.parametrize("twin", TWINS, ids=NAMES)
def test_a_notebook_runs_from_a_clean_kernel(
    twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel starts elsewhere; a checkout that is not installed has to be found all the same.
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOKS.parent))
    book = stored(twin)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs), "a figure"
    said = "".join(o.get("text", "") for o in outputs if o.get("name") == "stderr")
    assert said == ""
