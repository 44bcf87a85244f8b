"""What the engines must not lean on: how the interpreter at hand adds floats."""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Iterable
from typing import Any

import pytest


def _compensated(values: Iterable[Any], start: Any = 0) -> Any:
    """Return a sum as Python 3.12 and later form it: without the rounding of each step."""
    terms = list(values)
    if terms and type(start) is int and all(type(term) is float for term in terms):
        return math.fsum((start, *terms))
    return builtins.sum(terms, start)


@pytest.fixture(autouse=True)
def sums_of_a_later_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package add as later interpreters do, so that one of them tells for all."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "poq_abm":
            monkeypatch.setattr(module, "sum", _compensated, raising=False)
