"""Mesa's page for the browser steps and resets a model of ours, as the how-to has it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_support import opened_browser

pytest.importorskip("solara", reason="Mesa's page needs pip install solara altair")
pytest.importorskip("altair", reason="Mesa's page needs pip install solara altair")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the examples of the page, in a process of their own."""
    text = (ROOT / "docs" / "how-to" / "mesa.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "watch.py").write_text("\n".join(blocks))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "solara", "run", "watch.py", "--port", str(port)]
    command += ["--no-open", "--production"]  # and watches no file
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "said").open("w") as said, subprocess.Popen(
        command, cwd=tmp_path, stdout=said, stderr=said, env=environment
    ) as server:  # fmt: skip
        try:
            for _ in range(600):
                with socket.socket() as asked:
                    if asked.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, (tmp_path / "said").read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=20)


def test_a_model_is_shown_stepped_and_reset(address: str) -> None:
    with opened_browser() as browser:
        page = browser.new_page()
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(address)
        page.get_by_text("Step: 0").wait_for(timeout=60_000)
        page.get_by_text("Replication", exact=False).first.wait_for()
        for taken in (1, 2):
            page.get_by_role("button", name="Step", exact=True).click()
            page.get_by_text(f"Step: {taken}").wait_for()
        page.get_by_role("button", name="Reset", exact=True).click()
        page.get_by_text("Step: 0").wait_for()
        assert failed == []
        assert "rror" not in page.inner_text("body")
