"""Rules that are one function each, which the engines compile; see ``poq_abm.rules.compiled``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

from poq_abm.errors import InputError
from poq_abm.rules.registry import complete
from poq_abm.rules.rule import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KernelRule"]


class KernelRule(Rule):
    """Base class of the rules that a round calls: what such a rule does is its kernel.

    A kernel is a static method in plain Python that takes what its kind hands it, then the rule's
    parameters under their own names and in declared order (a list as an array of its full length,
    NaN where nothing is given), and returns a number. Both engines
    compile it by Numba, with the functions that it calls. It keeps none of the arrays it is given,
    and writes only over those that are there to work in.
    """

    kernel: ClassVar[Callable[..., float]]

    @classmethod
    def trial(cls) -> tuple[Any, ...]:
        """Return an example of what the kind hands to a kernel, to try one with."""
        raise NotImplementedError

    @classmethod
    def array(cls, given: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the values of the parameters in declared order, as given or by default.

        Those by task have their default, which is for tasks that are not named.
        """
        values: NDArray[np.float64] = cls.by_task(given, ())[0]
        return values

    @classmethod
    def by_task(cls, given: Mapping[str, Any], tasks: Sequence[str]) -> NDArray[np.float64]:
        """Return such values in a row for each task, and a last one for tasks not named."""
        import numpy as np  # noqa: PLC0415  (declarations are read without it)

        values = complete(cls, given)
        width = sum(parameter.most for parameter in cls.parameters.values())
        table = np.empty((len(tasks) + 1, width))
        for place, (name, parameter) in zip(cls.places(), cls.parameters.items(), strict=True):
            value = values[name]
            if isinstance(place, slice):
                table[:, place] = parameter.padded(value)
                continue
            each = value if isinstance(value, Mapping) else {}
            other = parameter.default if isinstance(value, Mapping) else value
            table[:, place] = [each.get(task, other) for task in tasks] + [other]
        return table

    @classmethod
    def places(cls) -> list[int | slice]:
        """Return where the value of each parameter lies in such an array; a list takes a slice."""
        found: list[int | slice] = []
        first = 0
        for parameter in cls.parameters.values():
            is_list = parameter.kind == "list"
            found.append(slice(first, first + parameter.most) if is_list else first)
            first += parameter.most
        return found

    @classmethod
    def arguments(cls, values: NDArray[np.float64]) -> tuple[Any, ...]:
        """Return the values of an array as a kernel takes them."""
        return tuple(values[place] for place in cls.places())

    @classmethod
    def compiled(cls) -> Callable[..., float]:
        """Return the kernel as Numba compiles it."""
        from poq_abm.compilation import compiled_tree  # noqa: PLC0415  (Numba is heavy)

        kernel: Callable[..., float] = compiled_tree(cls.kernel)
        return kernel

    @classmethod
    def code(cls) -> tuple[Any, ...]:
        """Return the kernel, what it calls of one's own, and what else the rule declares."""
        traits = {
            name: value
            for name, value in vars(cls).items()
            if not name.startswith("_") and not isinstance(value, staticmethod | classmethod)
        }
        return (*_functions(cls.kernel), repr(sorted(traits.items(), key=str)))

    @classmethod
    def check(cls) -> None:
        """Raise :class:`~poq_abm.errors.InputError` unless the declaration can be played."""
        super().check()
        for name in ("formula", "kernel"):
            if getattr(cls, name, None) is None:
                raise InputError(f"{cls.name}: it declares no {name}, which a {cls.kind.name} has")
        wanted = [*cls.kind.arguments, *cls.parameters]
        takes = list(inspect.signature(getattr(cls.kernel, "py_func", cls.kernel)).parameters)
        if takes != wanted:
            raise InputError(
                f"{cls.name}: a kernel takes what the kind hands it, then the declared parameters: "
                f"({', '.join(wanted)}), not ({', '.join(takes)})"
            )
        cls._try()

    @classmethod
    def _try(cls) -> None:
        """Call the kernel, so that what cannot be compiled is found before anything is played."""
        import numpy as np  # noqa: PLC0415

        examples = [
            np.array(each.padded(each.default or [each.example()]))
            if each.kind == "list"
            else each.example()
            for each in cls.parameters.values()
        ]
        try:
            number = float(cls.compiled()(*cls.trial(), *examples))
        except Exception as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise InputError(
                f"{cls.name}: its kernel cannot be compiled and called: {' '.join(lines[:2])}; a "
                "kernel is a function of numbers and arrays that numba.njit accepts"
            ) from error
        if math.isnan(number):
            raise InputError(f"{cls.name}: its kernel gave no number, but NaN, when it was tried")


def _functions(function: Any) -> list[Any]:
    """Return a function and, of those that are no part of this package, all that it calls."""
    plain = getattr(function, "py_func", function)
    known, found = plain.__globals__, [function]
    for name in plain.__code__.co_names:
        called = known.get(name)
        module = str(getattr(called, "__module__", ""))
        if isinstance(getattr(called, "py_func", called), FunctionType) and called is not function:
            found += [] if module.startswith("poq_abm.") else _functions(called)
    return found
