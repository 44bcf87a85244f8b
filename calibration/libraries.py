"""The heavy libraries, imported when they are used, and told to keep quiet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from calibration.extra import require

__all__ = ["library", "quiet"]


def library(name: str) -> Any:
    """Return the module ``name``, imported now; untyped, since it may not be installed.

    Raises :class:`~poq_abm.errors.InputError` with the command that installs it.

    >>> library("json").dumps([1])
    '[1]'
    """
    require(name.partition(".")[0])
    return import_module(name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing a bar per file it reads; downloads keep theirs."""
    logging = library("transformers.utils.logging")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
