"""Compilation: one decorator for every rule, with a cache that cannot go stale.

Numba's on-disk cache watches only the file in which a function is written. Our loops call rules
that live in other files, so an edited rule would change the agent engine and leave a cached loop as
it was: two definitions of one rule. :func:`compiled` therefore stamps each cached function with a
digest of all compiled sources of this package; editing any of them compiles afresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled", "compiled_loop", "is_cached", "sources_digest"]

Function = TypeVar("Function", bound=Callable[..., Any])

_ROOMS_WITH_RULES = ("", "mechanism", "behaviour", "network")


@cache
def sources_digest() -> str:
    """Return the SHA-256 digest of every source file that may hold compiled code."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for room in _ROOMS_WITH_RULES:
        for source in sorted((package / room).glob("*.py")):
            digest.update(source.name.encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()


def compiled(function: Function) -> Function:
    """Compile ``function`` with Numba and let callers absorb it: for rules and draws.

    Division follows NumPy (no exception on zero) and fast-math stays off, because reordered sums
    would make the compiled engine and the agents disagree in the last bit. The compiled function
    can be called from Python and from other compiled functions.

    >>> @compiled
    ... def twice(x):
    ...     return 2.0 * x
    >>> twice(1.5)
    3.0
    """
    return _compile(function, forceinline=True)


def compiled_loop(function: Function) -> Function:
    """Compile ``function`` likewise, but as a unit of its own: for loops over rounds."""
    return _compile(function, forceinline=False)


def _compile(function: Function, *, forceinline: bool) -> Function:
    dispatcher = njit(
        cache=Path(function.__code__.co_filename).is_file(),
        error_model="numpy",
        forceinline=forceinline,
        nogil=True,
    )(function)
    _stamp(dispatcher)
    return cast(Function, dispatcher)


def is_cached(function: object) -> bool:
    """Return whether a compiled version of ``function`` lies on disk for the present sources."""
    index = getattr(getattr(function, "_cache", None), "_cache_file", None)
    return bool(index is not None and index._load_index())


def _stamp(dispatcher: Any) -> None:
    """Tie the cached machine code to the digest of all sources, not to one file's date."""
    cache_file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if cache_file is not None:
        cache_file._source_stamp = (*cache_file._source_stamp, sources_digest())
