"""Compilation: decorators for every rule and loop, which Numba compiles when they are first called.

Nothing is compiled, and Numba is not imported, before a compiled function is called: a verb that
plays nothing needs none of it. :mod:`poq_abm.compiler` says how it is done and where code is kept.
"""

# Numba carries no types.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import cache, partial, update_wrapper
from types import FunctionType, ModuleType
from typing import Any, TypeVar, cast

__all__ = [
    "CompiledFunction",
    "compiled",
    "compiled_anew",
    "compiled_loop",
    "compiled_or_python",
    "compiled_step",
    "compiled_tree",
    "intrinsic_or_python",
]

Function = TypeVar("Function", bound=Callable[..., Any])

_lock = threading.RLock()
#: what Numba is to be told as soon as it is there: of plain functions that compiled ones call
_to_be_told: list[Callable[[ModuleType], None]] = []


class CompiledFunction:
    """A function that is compiled when it is first called, by Python or by a compiled function.

    It is called like the function it was made of, ``py_func``, and has whatever Numba's dispatcher
    has besides. Numba asks for its type where a compiled function names it.
    """

    def __init__(self, function: Any, *, absorbed: bool, optimised: bool) -> None:
        update_wrapper(self, function)
        self.py_func = function
        self._options = {"absorbed": absorbed, "optimised": optimised}
        self._for_python: Any = None
        self._for_callers: Any = None

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Return what the function does, compiled for the types of what it is given."""
        return self.dispatcher(*given, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dispatcher, name)

    def __reduce__(self) -> str | tuple[Any, ...]:
        name = str(self.__qualname__)
        if getattr(sys.modules.get(self.__module__), name, None) is self:
            return name
        return partial(CompiledFunction, **self._options), (self.py_func,)

    @property
    def dispatcher(self) -> Any:
        """What Numba makes of the function for callers in Python."""
        with _lock:
            if self._for_python is None:
                absorbed = self._options["absorbed"]
                self._for_python = _compiler().for_python(self.py_func, absorbed=absorbed)
                # A call is looked up in the class: one of its own goes straight to Numba's, which
                # spares the agents a tenth of their round.
                straight = {"__call__": staticmethod(self._for_python)}
                self.__class__ = type(CompiledFunction.__name__, (CompiledFunction,), straight)
            return self._for_python

    @property
    def _numba_type_(self) -> Any:
        """The type by which compiled callers know it."""
        with _lock:
            if self._for_callers is None:
                part = _compiler().for_callers(self.py_func, **self._options)
                self._for_callers = part._numba_type_, part  # the type alone would let go of it
            return self._for_callers[0]


def _compiler() -> Any:
    """Return :mod:`poq_abm.compiler`, and with it Numba, which knows all that it must be told."""
    with _lock:
        from poq_abm import compiler  # noqa: PLC0415  (Numba is heavy)

        while _to_be_told:
            tell = _to_be_told.pop()
            if not compiler.config.DISABLE_JIT:  # where all is Python, nobody is to be told
                tell(compiler)
        return compiler


def _tell(telling: Callable[[ModuleType], None]) -> None:
    _to_be_told.append(telling)
    if "numba" in sys.modules:  # somebody's own function may be compiled next, and call it
        _compiler()


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
    return cast(Function, CompiledFunction(function, absorbed=True, optimised=False))


def compiled_step(function: Function) -> Function:
    """Compile ``function`` likewise, and optimise it before callers absorb it.

    For steps of many branches: optimised with its loop alone, a round of members who misreport
    takes 145 ns in place of 120.
    """
    return cast(Function, CompiledFunction(function, absorbed=True, optimised=True))


def compiled_loop(function: Function) -> Function:
    """Compile ``function`` likewise, but as a unit of its own: for loops over rounds."""
    return cast(Function, CompiledFunction(function, absorbed=False, optimised=True))


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
    return _compiler().on_its_own(function)


def compiled_or_python(function: Function) -> Function:
    """Let compiled callers absorb ``function``; called from Python it is the plain function it is.

    For steps that agents call with records: Python takes 0.2 us to hand compiled code one field of
    a record, and longer for a whole one than for the step.
    """

    def tell(compiler: Any) -> None:
        part = compiler.for_callers(function, absorbed=True, optimised=False)
        vars(function)["compiled_part"] = part  # Numba keeps a weak reference to it
        compiler.name_for_callers(function, part)

    _tell(tell)
    return function


def intrinsic_or_python(
    write: Callable[..., Any],
) -> Callable[[Function], Function]:
    """Let compiled callers of a plain function take the code that ``write`` writes for them.

    ``write`` is told types and returns a signature and who writes the code, as a function under
    :func:`numba.extending.intrinsic` does.
    """

    def decorate(function: Function) -> Function:
        _tell(lambda compiler: compiler.name_intrinsic(function, write))
        return function

    return decorate
