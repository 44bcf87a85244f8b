"""The heavy libraries that only measuring needs: imported when used, and told to keep quiet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from poq_abm.errors import InputError

__all__ = ["COMMAND", "library", "quiet", "require"]

_OPTIONAL = {"gguf", "accelerate"}  # only files of llama.cpp need them
COMMAND = 'pip install "poq-abm[calibration]"'


def require(*modules: str) -> None:
    """Return if all these modules are installed; import none of them.

    Raises :class:`~poq_abm.errors.InputError` naming those that are missing and the command that
    installs them.

    >>> require("json")
    >>> require("json", "no_such_module")
    Traceback (most recent call last):
    poq_abm.errors.InputError: no_such_module is not installed; run: pip install \
"poq-abm[calibration]"
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        command = "pip install " + " ".join(missing) if set(missing) <= _OPTIONAL else COMMAND
        raise InputError(f"{', '.join(missing)} {verb} not installed; run: {command}")


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
