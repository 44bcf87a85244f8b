"""The compiler: Numba as this package needs it, and the folder that keeps what it compiled.

Numba's on-disk cache watches only the file in which a function is written. Our loops call rules
that live in other files, so an edited rule would change the agent engine and leave a cached loop as
it was: two definitions of one rule. Compiled code is therefore kept in a folder named by a digest
of all sources of this package that may hold any; editing one of them compiles afresh.

Importing this module imports Numba, so nothing but :mod:`poq_abm.compilation` does it at once.
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
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final

from filelock import FileLock
from numba import _dynfunc, njit, types  # type: ignore[attr-defined]
from numba import config as numba_config
from numba.core import event
from numba.core.caching import FunctionCache, NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template

__all__ = [
    "NotCompiledError",
    "cache_folder",
    "for_callers",
    "for_python",
    "name_for_callers",
    "name_intrinsic",
    "on_its_own",
    "refusing_to_compile",
    "sources_digest",
]

config: Any = numba_config  # its attributes are made when it is imported

_BESIDE_THE_SOURCES = Path(__file__).parent / "__pycache__"
_ROOMS_WITH_RULES = ("", "rules", "simulation", "profile")
#: Rules allocate nothing, so nothing need be counted: counting the references to the arrays that a
#: round passes around takes twenty times as long as the round (3.8 us, not 0.2).
_OPTIONS: Final = {"error_model": "numpy", "nogil": True, "_nrt": False}
_ROOM_NEEDED: Final = 64 * 2**20  # bytes: about twice what all compiled code takes
_NUMBAS_LOCK: Final = "numba:compiler_lock"  # events of Numba
_COMPILATION: Final = "numba:compile"
_MOST_KEPT: Final = 512 * 2**20  # bytes: some hundred runs with compiled functions of one's own


_refusing: list[None] = []  # one for each block of code that is not to wait for a compilation


class NotCompiledError(BaseException):
    """Code would have had to be compiled, where nobody is to wait for that.

    Whoever notes what fails and goes on lets it pass, as an interrupt: nothing failed.
    """


@contextmanager
def refusing_to_compile() -> Iterator[None]:
    """Raise :class:`NotCompiledError` where a loop that ships would be compiled.

    A function of somebody's own is compiled in each process and is compiled here too.
    """
    _refusing.append(None)
    try:
        yield
    finally:
        _refusing.pop()


def for_python(function: Any, *, absorbed: bool) -> Any:
    """Return a function compiled for callers in Python, its machine code kept on disk."""
    options: dict[str, Any] = {
        "no_cfunc_wrapper": True,  # a twentieth of the time, and nobody asks for it
        "forceinline": absorbed,
        **_OPTIONS,
    }
    called: Any = njit(**options)(function)
    if not config.DISABLE_JIT:
        called._cache = _KeptCode(function)
    return called


def for_callers(function: Any, *, absorbed: bool, optimised: bool) -> Any:
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


def on_its_own(function: Any) -> Any:
    """Return a function compiled in this process alone; one's own may make arrays, ours do not."""
    return njit(error_model="numpy", nogil=True)(function)


def name_for_callers(function: Any, part: Any) -> None:
    """Let compiled callers of a plain function take ``part``, which somebody must keep."""
    infer_global(function, types.Dispatcher(part))


def name_intrinsic(function: Any, generate: Any) -> None:
    """Let compiled callers of a plain function take code that is written for them.

    ``generate`` is what :func:`numba.extending.intrinsic` takes.
    """
    template = make_intrinsic_template(function, generate, function.__name__)
    infer(template)
    infer_global(function, types.Function(template))


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


class _KeptCode:
    """A function's machine code on disk, where nothing is looked for before it is asked for.

    Numba fills its tables of types and of code to be written before it reads any, and imports
    linear algebra for it: a fifth of a second, and nothing that code which is compiled needs.
    """

    def __init__(self, function: Any) -> None:
        self._function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    @cached_property
    def _files(self) -> Any:
        written = Path(self._function.__code__.co_filename).is_file()
        if not written or (folder := cache_folder()) is None:
            return NullCache()
        usual, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            return FunctionCache(self._function)
        finally:
            config.CACHE_DIR = usual

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the code for some types of arguments; None where none is kept."""
        files, found = self._files, None
        if not isinstance(files, NullCache):
            with files._guard_against_spurious_io_errors():
                found = files._load_overload(signature, target)
        if found is None and _refusing:
            raise NotCompiledError(self._function.__qualname__)
        return found  # (Numba lets some errors pass)


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
