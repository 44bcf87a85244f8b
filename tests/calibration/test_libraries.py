"""What needs torch asks for it when it is used, and says how to get it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from calibration.libraries import require
from poq_abm.errors import InputError


def test_missing_libraries_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("torch", "openai"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as caught:
        require("torch", "json", "openai")
    assert str(caught.value) == (
        'torch, openai are not installed; run: pip install "poq-abm[calibration]"'
    )


def test_the_foundation_imports_nothing_heavy() -> None:
    modules = (
        "configuration, workspace, corpus.record_samples, models.checkpoints, models.scoring, "
        "judge.judging, latency.measurement, profile.building, profile.importing, shipped.published"
    )
    code = (
        f"import sys; from importlib import import_module; [import_module('calibration.' + name) "
        f"for name in '{modules}'.split(', ')]; "
        "print([m for m in ('torch', 'transformers', 'openai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
