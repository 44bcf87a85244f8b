"""Compilation: one decorator for every rule, with a cache that cannot go stale.

Numba's on-disk cache watches only the file in which a function is written. Our loops call rules
that live in other files, so an edited rule would change the agent engine and leave a cached loop as
it was: two definitions of one rule. Compiled code is therefore kept in a folder named by a digest
of all sources of this package that may hold any; editing one of them compiles afresh.
"""

# Numba carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from types import FunctionType
from typing import Any, Final, TypeVar, cast

from filelock import FileLock
from numba import _dynfunc, njit, types  # type: ignore[attr-defined]
from numba import config as numba_config
from numba.core import event
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering
from numba.core.typing.templates import infer_global

__all__ = [
    "cache_folder",
    "compiled",
    "compiled_anew",
    "compiled_loop",
    "compiled_or_python",
    "compiled_step",
    "compiled_tree",
    "sources_digest",
]

config: Any = numba_config  # its attributes are made when it is imported
Function = TypeVar("Function", bound=Callable[..., Any])

_BESIDE_THE_SOURCES = Path(__file__).parent / "__pycache__"
_ROOMS_WITH_RULES = ("", "rules", "simulation", "profile")
#: Rules allocate nothing, so nothing need be counted: counting the references to the arrays that a
#: round passes around takes twenty times as long as the round (3.8 us, not 0.2).
_OPTIONS: Final = {"error_model": "numpy", "nogil": True, "_nrt": False}
_ROOM_NEEDED: Final = 64 * 2**20  # bytes: about twice what all compiled code takes
_NUMBAS_LOCK: Final = "numba:compiler_lock"  # events of Numba
_COMPILATION: Final = "numba:compile"
_MOST_KEPT: Final = 512 * 2**20  # bytes: some hundred runs with compiled functions of one's own


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
    return _compile(function, absorbed=True, optimised=False)


def compiled_step(function: Function) -> Function:
    """Compile ``function`` likewise, and optimise it before callers absorb it.

    For steps of many branches: optimised with its loop alone, a round of members who misreport
    takes 145 ns in place of 120.
    """
    return _compile(function, absorbed=True, optimised=True)


def compiled_loop(function: Function) -> Function:
    """Compile ``function`` likewise, but as a unit of its own: for loops over rounds."""
    return _compile(function, absorbed=False, optimised=True)


@cache
def compiled_tree(function: Any, *, absorbed: bool = False) -> Any:
    """Return a function compiled, with the functions of its module that it calls.

    What is compiled already is returned as it is. With ``absorbed``, what ships stays plain where
    Python calls it, as by :func:`compiled_or_python`.

    >>> def half(x):
    ...     return 0.5 * x
    >>> def quarter(x):
    ...     return half(half(x))
    >>> compiled_tree(quarter)(6.0)
    1.5
    """
    if not isinstance(function, FunctionType):
        return function
    known = function.__globals__
    called = {
        name: compiled_tree(known[name], absorbed=absorbed)
        for name in function.__code__.co_names
        if isinstance(known.get(name), FunctionType) and known[name] is not function
    }
    copy = FunctionType(
        function.__code__,
        {**known, **called},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__qualname__, copy.__module__ = function.__qualname__, function.__module__
    copy.__doc__, copy.__annotations__ = function.__doc__, function.__annotations__
    ships = str(function.__module__).startswith("poq_abm.")
    if not ships:
        return compiled_anew(copy)
    return compiled_or_python(copy) if absorbed else compiled(copy)


def compiled_anew(function: Any) -> Any:
    """Return a function compiled in this process alone; one's own may make arrays, ours do not."""
    return njit(error_model="numpy", nogil=True)(function)


def compiled_or_python(function: Function) -> Function:
    """Let compiled callers absorb ``function``; called from Python it is the plain function it is.

    For steps that agents call with records: Python takes 0.2 us to hand compiled code one field of
    a record, and longer for a whole one than for the step.
    """
    if config.DISABLE_JIT:
        return function
    part = _part(function, absorbed=True, optimised=False)
    vars(function)["compiled_part"] = part  # Numba keeps a weak reference to it
    infer_global(function, types.Dispatcher(part))
    return function


class _PartLibrary(JITCodeLibrary):
    """The code of a function as its compiled callers link it: never made machine code by itself.

    Numba would optimise each function with all that it calls and make machine code of it, and do
    so again for every caller; rounds are called through seven others. Left to the outermost, which
    alone Python calls, a first run compiles in a third of the time.
    """

    optimised = False

    def _optimize_final_module(self) -> None:
        if self.optimised:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(NativeLowering):
    """Numba's last pass, with an entry for compiled callers alone."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """Write the code, and tell Numba where callers find it."""
        state.flags.no_compile = True
        super().run_pass(state)
        library, lowered = state.library, state["cr"]
        names = lowered.fndesc.lookup_module(), lowered.fndesc.qualname
        entry = _dynfunc.make_function(*names, "no entry", 0, lowered.env, (library,))
        state.targetctx.insert_user_function(entry, lowered.fndesc, [library])
        state["cr"] = lowered._replace(cfunc=entry)
        return True


class _PartCompiler(CompilerBase):
    """Numba's compiler of a function that compiled code alone calls."""

    optimised = False

    def define_pipelines(self) -> list[Any]:
        """Return the usual passes, the last of them our own."""
        state = self.state
        state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.optimised = self.optimised
        pipeline = DefaultPassBuilder.define_nopython_pipeline(state)
        last = NativeLowering, _PartLowering
        pipeline.passes = [
            (last[1] if step is last[0] else step, told) for step, told in pipeline.passes
        ]
        pipeline.finalize()
        return [pipeline]


class _OptimisedPartCompiler(_PartCompiler):
    """The same for one that is optimised before its callers are."""

    optimised = True


def _part(function: Any, *, absorbed: bool, optimised: bool) -> Any:
    """Return a function as compiled callers take it; Python must never call what is returned.

    One compilation does for every number it is called with: Numba would make another for each
    literal, and for members of an enum.
    """
    options: dict[str, Any] = {
        "pipeline_class": _OptimisedPartCompiler if optimised else _PartCompiler,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
        "forceinline": absorbed,
        **_OPTIONS,
    }
    part: Any = njit(**options)(function)
    find = part.get_call_template

    def find_for_numbers(given: Any, named: Any) -> Any:
        return find([_number(kind) for kind in given], {k: _number(named[k]) for k in named})

    part.get_call_template = find_for_numbers
    return part


def _number(kind: Any) -> Any:
    """Return the type of the numbers that a literal's or an enum's is of; others as they are."""
    return kind.dtype if isinstance(kind, types.IntEnumMember) else types.unliteral(kind)


def _compile(function: Function, *, absorbed: bool, optimised: bool) -> Function:
    if config.DISABLE_JIT:
        return function
    folder = cache_folder() if Path(function.__code__.co_filename).is_file() else None
    options: dict[str, Any] = {
        "cache": folder is not None,
        "no_cfunc_wrapper": True,  # a twentieth of the time, and nobody asks for it
        "forceinline": absorbed,
        **_OPTIONS,
    }
    usual = config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")
    try:
        called: Any = njit(**options)(function)
    finally:
        config.CACHE_DIR = usual
    part = _part(function, absorbed=absorbed, optimised=optimised)
    called.get_call_template, called.get_overload = part.get_call_template, part.get_overload
    return cast(Function, called)


@cache
def cache_folder() -> Path | None:
    """Return the folder of the compiled code of these sources; None where none can be kept."""
    for place in chain(_usual_places(), _temporary_places()):
        folder = place / f"compiled-{sources_digest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        if shutil.disk_usage(folder).free < _ROOM_NEEDED:
            continue  # what is half written when the disk is full stops the run that needs it
        _empty_if_large(folder)
        _bring_along(folder)
        register: Any = event.register  # it carries no types
        listener = _OneSavesAtATime(folder / "lock")
        register(_NUMBAS_LOCK, listener)
        register(_COMPILATION, listener)
        return folder
    return None


def _empty_if_large(folder: Path, most: int = _MOST_KEPT) -> None:
    """Delete what is kept where it has grown beyond ``most`` bytes.

    Code compiled around a function of somebody's own is never found again, because Numba gives that
    function another type in every process, and is kept all the same.
    """
    with FileLock(folder / "lock"):
        kept = [path for path in folder.rglob("*.nb[ic]") if path.is_file()]
        if sum(path.stat().st_size for path in kept) > most:
            for path in kept:
                path.unlink(missing_ok=True)


def _bring_along(folder: Path) -> None:
    """Copy into an empty folder what an installation that cannot be written has compiled.

    Numba takes of it what was compiled for this processor by this Python and this Numba, of sources
    that were not touched since, and compiles the rest.
    """
    installed = _BESIDE_THE_SOURCES / folder.name
    with FileLock(folder / "lock"):
        alone = not any(folder.rglob("*.nbi"))
        if alone and installed.is_dir() and installed != folder:
            shutil.copytree(
                installed, folder, ignore=shutil.ignore_patterns("lock"), dirs_exist_ok=True
            )


def _usual_places() -> Iterator[Path]:
    """Yield where compiled code may be kept: as Numba is set up, or the package, or the home."""
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR)
        return
    yield _BESIDE_THE_SOURCES
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    yield Path(home or Path("~/.cache").expanduser()) / "poq_abm"


def _temporary_places() -> Iterator[Path]:
    """Yield a folder of our own for machine code, and say so, once.

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
    if folder is not None:
        yield folder


class _OneSavesAtATime(event.Listener):
    """One process at a time saves what it compiled.

    Numba numbers the files of a function as it finds its index: two processes that save at once
    could write two versions to one file, and leave an index that pairs types with the wrong machine
    code. Numba saves after it has told that it compiled, and before it lets go of its own lock.
    """

    def __init__(self, path: Path) -> None:
        self._processes = FileLock(path)
        self._thread = threading.local()

    def on_start(self, event: Any) -> None:
        """Count how often the thread has taken Numba's lock."""
        if event.kind == _NUMBAS_LOCK:
            self._thread.depth = getattr(self._thread, "depth", 0) + 1

    def on_end(self, event: Any) -> None:
        """Wait for other processes once something is compiled; let them in once it is saved."""
        saving = vars(self._thread).setdefault("saving", [])
        if event.kind == _COMPILATION:
            self._processes.acquire()
            saving.append(getattr(self._thread, "depth", 0))
            return
        self._thread.depth = getattr(self._thread, "depth", 0) - 1
        if saving and self._thread.depth < saving[-1]:
            saving.pop()
            self._processes.release()
