"""A rule of the game, declared once: its name, parameters, formula, source, traits and kernel."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, TypeVar

from poq_abm.errors import InputError

__all__ = ["COST_AWARE", "ROBUST", "Kind", "Parameter", "Rule", "Source", "Status", "code_digest"]

Status = Literal["published", "inferred", "assumed"]
Declared = TypeVar("Declared", bound="Rule")

COST_AWARE: Final = "arXiv 2512.16317"
ROBUST: Final = "arXiv 2601.21189"


class Source(NamedTuple):
    """How far somebody else answers for a rule, and who.

    ``published`` where a paper has the formula, ``inferred`` where it follows from published
    figures by a step of ours, ``assumed`` where it was chosen: by us, or by whoever wrote it.
    """

    status: Status
    reference: str

    def __str__(self) -> str:
        return f"{self.status}: {self.reference}"


@dataclass(frozen=True)
class Kind(Generic[Declared]):
    """A kind of rule: how it is called, and the key of a scenario that names one.

    ``Kind[Behaviour]`` is one whose rules are subclasses of ``Behaviour``.
    """

    name: str  #: in messages and tables, e.g. ``aggregation rule``
    key: str  #: dotted path in a scenario, e.g. ``mechanism.aggregation``
    package: str  #: whose modules declare those that ship
    arguments: tuple[str, ...] = ()  #: what a kernel is handed before its rule's parameters
    field: str = ""  #: of :class:`~poq_abm.rules.kernels.Kernels`, where there are kernels


@dataclass(frozen=True)
class Parameter:
    """A parameter of a rule: its meaning, symbol, unit, default and range.

    ``kind`` is ``number``, ``count`` (a whole number), ``by task`` (a number for each task that is
    named, the default for others), ``list`` (one to ``most`` numbers), ``switch`` (yes or no),
    ``text`` (a name in the scenario) or ``behaviour`` (another behaviour).
    The range is closed at an end unless ``open_low`` or ``open_high`` opens it.
    """

    meaning: str
    default: Any = None
    kind: Literal["number", "count", "by task", "list", "switch", "text", "behaviour"] = "number"
    low: float = -math.inf
    high: float = math.inf
    most: int = 1  #: how many numbers a list may hold
    required: bool = False  #: must be given: there is no default
    symbol: str = ""  #: in the formula, e.g. ``tau``
    unit: str = ""  #: e.g. ``points``; empty for a pure number
    open_low: bool = False  #: the lower end is no value of its own
    open_high: bool = False
    options: tuple[str, ...] = ()  #: the texts it can be; any, where there are none
    status: Status = "assumed"  #: how far somebody else answers for the default
    only_with: str = ""  #: the parameter beside it that must be above 0 for this one to act

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or nothing.

        >>> Parameter("a chance", 0.5, low=0.0, high=1.0).fault(1.5)
        'must lie in [0, 1], got 1.5'
        >>> Parameter("a share", 0.2, low=0.0, high=0.5, open_high=True).fault(0.5)
        'must lie in [0, 0.5), got 0.5'
        """
        if self.kind == "behaviour":
            return None
        if self.kind == "text":
            return self._fault_of_text(value)
        if self.kind == "by task" and isinstance(value, Mapping):
            faults = ((task, replace(self, kind="number").fault(v)) for task, v in value.items())
            return next((f"of {task} {fault}" for task, fault in faults if fault), None)
        if self.kind == "list":
            return self._fault_of_list(value)
        if self.kind == "switch":
            return None if isinstance(value, bool) else f"must be true or false, got {value!r}"
        return self._fault_of_number(value)

    def _fault_of_number(self, value: Any) -> str | None:
        if self.kind == "count" and not isinstance(value, int):
            return f"must be a whole number, got {value!r}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, got {value!r}"
        if not abs(value) <= sys.float_info.max:  # NaN fails this too
            return f"must be a number, and finite, got {value!r}"
        low = value > self.low if self.open_low else value >= self.low
        high = value < self.high if self.open_high else value <= self.high
        return None if low and high else f"must {self.range()}, got {value:g}"

    def _fault_of_list(self, value: Any) -> str | None:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= self.most:
            return f"must be a list of 1 to {self.most} numbers, got {value!r}"
        faults = (replace(self, kind="number").fault(each) for each in value)
        return next((f"{fault} in the list" for fault in faults if fault), None)

    def _fault_of_text(self, value: Any) -> str | None:
        if self.options and value not in self.options:
            return f"must be {' or '.join(map(repr, self.options))}, got {value!r}"
        return None if isinstance(value, str) else f"must be text, got {value!r}"

    def padded(self, numbers: Iterable[float]) -> list[float]:
        """Return a list of numbers at its full length, NaN in the places that are left over.

        >>> Parameter("bounds", kind="list", most=3).padded([1.0, 2.0])
        [1.0, 2.0, nan]
        """
        given = [float(number) for number in numbers]
        return given + [math.nan] * (self.most - len(given))

    def example(self) -> float:
        """Return a number in the range: the default, where there is one.

        >>> Parameter("a share", low=0.25, high=0.75).example()
        0.5
        """
        if isinstance(self.default, int | float):
            return float(self.default)
        low = self.low if math.isfinite(self.low) else min(0.0, self.high - 1.0)
        high = self.high if math.isfinite(self.high) else low + 1.0
        return 0.5 * (low + high)

    def range(self) -> str:
        """Return the range in words; empty where every number will do.

        >>> Parameter("a rate", low=0.0, open_low=True).range()
        'be above 0'
        """
        if not math.isfinite(self.low):
            return ""
        if math.isfinite(self.high):
            left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
            return f"lie in {left}{self.low:g}, {self.high:g}{right}"
        return f"be {'above' if self.open_low else 'at least'} {self.low:g}"


class Rule:
    """Base class of all rules: a subclass is the one place where a rule is declared.

    Whatever lists, checks, explains, cites, documents or tests rules reads these declarations. A
    rule with a ``kernel`` is one compiled function, which both engines call; an instance is a rule
    with complete values for its parameters.
    """

    kind: ClassVar[Kind[Any]]
    name: ClassVar[str]
    aliases: ClassVar[Mapping[str, str]] = {}  #: other published names, and who uses each
    formula: ClassVar[str]
    source: ClassVar[Source]
    parameters: ClassVar[Mapping[str, Parameter]] = {}
    kernel: ClassVar[Callable[..., Any] | None] = None

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    @classmethod
    def summary(cls) -> str:
        """Return the first paragraph of what it says of itself.

        >>> Rule.summary()
        'Base class of all rules: a subclass is the one place where a rule is declared.'
        """
        return " ".join(str(cls.__doc__).split("\n\n")[0].split())

    @classmethod
    def remarks(cls) -> list[str]:
        """Return what else it declares of itself, in words, for tables: its names, its traits."""
        return [f"{name} in {paper}" for name, paper in cls.aliases.items()]

    @classmethod
    def check(cls) -> None:
        """Raise :class:`~poq_abm.errors.InputError` if the declaration itself cannot be used."""
        if not isinstance(getattr(cls, "source", None), Source):
            raise InputError(
                f"{cls.name} does not say who answers for it, as in "
                "source = Source('assumed', 'ours')"
            )

    @classmethod
    def conflict(cls, values: Mapping[str, Any]) -> str | None:  # noqa: ARG003
        """Return why values that are right one by one do not fit together, or nothing."""
        return None

    @classmethod
    def code(cls) -> tuple[Any, ...]:
        """Return the functions it is made of, for :meth:`digest`."""
        return (cls.kernel,)

    @classmethod
    def digest(cls) -> str:
        """Return a digest of the code it is made of, which determines results like a parameter.

        Taken is the file that declares it, because a rule can call its neighbours; of one declared
        at the prompt, what its functions are compiled to.
        """
        return code_digest(cls, cls.code())


def code_digest(kind: type, functions: Iterable[Any]) -> str:
    """Return a digest of the file that declares a class or, where none does, of its functions.

    >>> len(code_digest(Rule, ()))
    64
    """
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is not None and Path(file).is_file():
        code = Path(file).read_text(encoding="utf-8")
    else:
        code = repr([_code(function) for function in functions])
    return hashlib.sha256(f"{kind.__qualname__}\n{code}".encode()).hexdigest()


def _code(function: Any) -> object:
    """Return what a function does, in words that are the same in every process."""
    code = getattr(getattr(function, "py_func", function), "__code__", function)
    if isinstance(code, CodeType):
        return code.co_code.hex(), code.co_names, [_code(constant) for constant in code.co_consts]
    return sorted(map(repr, code)) if isinstance(code, frozenset) else repr(code)
