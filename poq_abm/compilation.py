"""Compilation: one decorator for every rule, with a cache that cannot go stale.

Numba's on-disk cache watches only the file in which a function is written. Our loops call rules
that live in other files, so an edited rule would change the agent engine and leave a cached loop as
it was: two definitions of one rule. :func:`compiled` therefore stamps each cached function with a
digest of all compiled sources of this package; editing any of them compiles afresh.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config as numba_config
from numba import njit
from numba.core import types
from numba.core.caching import IndexDataCacheFile

__all__ = ["compiled", "compiled_loop", "sources_digest"]

config: Any = numba_config  # its attributes are made when it is imported
Function = TypeVar("Function", bound=Callable[..., Any])

_ROOMS_WITH_RULES = ("", "rules", "simulation", "profile")


@cache
def sources_digest() -> str:
    """Return the SHA-256 digest of every source file that may hold compiled code."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for room in _ROOMS_WITH_RULES:
        sources = (package / room).glob("*.py") if room == "" else (package / room).rglob("*.py")
        for source in sorted(sources):
            digest.update(str(source.relative_to(package)).encode())
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
    options: dict[str, Any] = {
        "cache": Path(function.__code__.co_filename).is_file(),
        "error_model": "numpy",
        "forceinline": forceinline,
        "nogil": True,
        # Rules allocate nothing, so nothing need be counted: counting the references to the arrays
        # that a round passes around would take longer than the round.
        "_nrt": False,
    }
    dispatcher = _cached(function, options)
    _stamp(dispatcher)
    return cast(Function, dispatcher)


def _cached(function: Any, options: dict[str, Any]) -> Any:
    """Return a dispatcher whose cache lies where it can be written, or that has none."""
    usual = config.CACHE_DIR
    for place in _cache_places(usual):
        config.CACHE_DIR = place
        try:
            return njit(**options)(function)
        except RuntimeError as error:
            if not str(error).startswith("cannot cache"):
                raise
        finally:
            config.CACHE_DIR = usual
    return njit(**{**options, "cache": False})(function)


def _cache_places(usual: str) -> Iterator[str]:
    """Yield where Numba may keep its cache: as it is set up, and in the temporary folder."""
    yield usual
    if (temporary := _temporary_cache()) is not None:
        yield temporary


@cache
def _temporary_cache() -> str | None:
    """Return a folder of our own for machine code, and say so, once.

    A read-only installation without a home has no other: a container, a module of a cluster. What
    lies there is executed, so it must be ours alone.
    """
    user = getattr(os, "getuid", lambda: 0)()
    folder: Path | None
    try:
        folder = Path(tempfile.gettempdir(), f"poq_abm-{user}")
        folder.mkdir(mode=0o700, exist_ok=True)
        there = folder.lstat()
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != user or there.st_mode & 0o022:
            folder = Path(tempfile.mkdtemp(prefix="poq_abm-"))
    except OSError:
        folder = None
    if multiprocessing.current_process().name == "MainProcess":  # its workers need not say it too
        kept = f"is kept in {folder}" if folder else "cannot be kept, and is made in every run"
        sys.stderr.write(
            f"poq_abm: neither the installation nor the home can be written: compiled code {kept}; "
            "NUMBA_CACHE_DIR names another place.\n"
        )
    return str(folder) if folder else None


class _CacheFile(IndexDataCacheFile):
    """Numba's cache of one function, in files that belong to one state of all sources.

    Numba numbers the data files of a function as it finds the index, so two processes that compile
    at once can write two versions to one file and leave an index that points to the wrong machine
    code. Here a file is named after the sources and the types it was compiled for: whoever writes
    it writes the same.
    """

    def __init__(self, path: str, base: str, stamp: Any) -> None:
        self._base = f"{base}-{sources_digest()[:12]}"
        super().__init__(path, self._base, (stamp, sources_digest()))  # type: ignore[no-untyped-call]

    def save(self, key: Any, data: Any) -> None:
        """Write the data, then the index, which by then points to nothing that is not there.

        Where they cannot be written (a full disk, a quota), the function is compiled again in the
        next process; what was compiled for is played all the same.
        """
        if any(isinstance(argument, types.Dispatcher) for argument in key[0]):
            return  # a user's function is a type of its own in each process: never found again
        numba: Any = super()
        name = f"{self._base}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"
        with contextlib.suppress(OSError):
            numba._save_data(name, data)
            numba._save_index({**numba._load_index(), key: name})


def _stamp(dispatcher: Any) -> None:
    """Tie the cached machine code to the state of all sources, not to one file's date."""
    cached: Any = getattr(dispatcher, "_cache", None)
    if getattr(cached, "_cache_file", None) is not None:
        base, stamp = cached._impl.filename_base, cached._impl.locator.get_source_stamp()
        cached._cache_file = _CacheFile(cached._cache_path, base, stamp)
