"""Names on a terminal that cannot show them: as far as possible, and never a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from poq_abm.cli import main

NAMES = """# Who gains, α or 通义?
profile: synthetic
synthetic: {evaluators: 3}
rounds: 20
replications: 2
population:
  inference: [{model: model_1, name: "α 通义"}]
  evaluators: [{model: evaluator_1, count: 3, name: "Ω"}]
"""
SIDES = ("beta_inference=0", "beta_inference=0.1")
VERBS = {
    "run": ("run", "names.yaml", "--out", "out"),
    "again": ("run", "names.yaml", "--out", "out"),
    "plan": ("plan", "names.yaml"),
    "show": ("show", "names.yaml"),
    "validate": ("validate", "names.yaml"),
    "status": ("status", "out"),
    "verify": ("verify", "out", "--replications", 1),
    "rewards": ("analyse", "rewards", "out"),
    "csv": ("analyse", "rewards", "out", "--csv"),
    "report": ("report", "out", "--out", "通义.html"),
    "plot": ("plot", "ecdf", "out", "--treatment", SIDES[0], "--format", "svg", "--out", "通义"),
    "compare": ("compare", *SIDES, "--in", "out"),
    "rules": ("rules",),
    "behaviours": ("behaviours",),
    "adaptations": ("adaptations",),
    "scenarios": ("scenarios",),
    "mistake": ("show", "通义.yaml"),
    "help": ("run", "--help"),
}


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_verb_shows_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = "sweep: {mechanism.beta_inference: [0.0, 0.1]}\n"
    Path("names.yaml").write_text(NAMES + sweep, encoding="utf-8")
    for name, arguments in VERBS.items():
        streams = {}
        for stream, errors in (("stdout", "strict"), ("stderr", "backslashreplace")):
            streams[stream] = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
            monkeypatch.setattr(sys, stream, streams[stream])
        monkeypatch.setattr(sys, "argv", ["poq", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
        for stream in streams.values():
            stream.flush()
        out, err = [s.buffer.getvalue().decode(encoding, "replace") for s in streams.values()]
        assert (ended.value.code or 0) == (2 if name == "mistake" else 0), (name, out, err)
        if name == "run":
            assert "? ??" in out or encoding == "ascii"  # Click writes UTF-8 there


def test_a_process_in_a_poor_locale_shows_what_it_can(tmp_path: Path) -> None:
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for settings in ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, poor):
        done = subprocess.run(
            [sys.executable, "-m", "poq_abm.cli", "rules"],
            cwd=tmp_path,
            env={**os.environ, **settings},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"trust" in done.stdout


def test_whoever_asks_for_another_treatment_of_errors_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="xmlcharrefreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["poq", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert stream.errors == "xmlcharrefreplace"
