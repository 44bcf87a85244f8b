"""The libraries that only measuring needs: asked for when they are used, never at import."""

from __future__ import annotations

from importlib.util import find_spec

from poq_abm.errors import InputError

__all__ = ["COMMAND", "require"]

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
        raise InputError(f"{', '.join(missing)} {verb} not installed; run: {COMMAND}")
