"""What a behaviour is: a name, declared traits, declared parameters, and the columns it sets."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

__all__ = ["Behaviour", "Columns", "Parameter", "Role", "Traits"]

Role = Literal["inference", "evaluator"]

#: values for a node's entries in ``poq_abm.network.game.Conduct``, by column
Columns = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a behaviour: its kind, default, range and meaning.

    ``kind`` is ``number``, ``text`` (a name in the scenario) or ``behaviour`` (another behaviour).
    A parameter without a default must be given.
    """

    meaning: str
    default: Any = None
    kind: Literal["number", "text", "behaviour"] = "number"
    low: float = -math.inf
    high: float = math.inf
    required: bool = False

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with ``value``, or nothing.

        >>> Parameter("a chance", 0.5, low=0.0, high=1.0).fault(1.5)
        'must lie in [0, 1], got 1.5'
        """
        if self.kind == "behaviour":
            return None
        if self.kind == "text":
            return None if isinstance(value, str) else f"must be text, got {value!r}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, got {value!r}"
        if not abs(value) <= sys.float_info.max:  # NaN fails this too
            return f"must be a number, and finite, got {value!r}"
        if not self.low <= value <= self.high:
            both = f"lie in [{self.low:g}, {self.high:g}]"
            bounds = both if math.isfinite(self.high) else f"be at least {self.low:g}"
            return f"must {bounds}, got {value:g}"
        return None


@dataclass(frozen=True)
class Traits:
    """What a behaviour needs and does; declared, listed by ``poq behaviours``, tested."""

    stochastic: bool = False  #: draws of its own
    coordinates: bool = False  #: members act together
    stateful: bool = False  #: depends on what happened before
    private_information: bool = False  #: uses what an ordinary node of its role would not know


class Behaviour:
    """Base class of all behaviours; a subclass declares and says what it does to a node's columns.

    The behaviours that ship return columns which the compiled attacks understand. One's own
    evaluator behaviour overrides :meth:`report` instead: as a method in plain Python, which is
    played agent by agent, or as a compiled function of four numbers, which both engines play.
    """

    name: ClassVar[str]
    role: ClassVar[Role]
    formula: ClassVar[str]
    source: ClassVar[str]
    traits: ClassVar[Traits] = Traits()
    parameters: ClassVar[Mapping[str, Parameter]] = {}

    #: plain Python: ``report(self, measured, node, answer) -> score``; compiled (a static method):
    #: ``report(measured, amount, uniform, normal) -> score``, with ``amount`` from :meth:`columns`
    report: ClassVar[Callable[..., float] | None] = None

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    @classmethod
    def columns(cls, values: Mapping[str, Any]) -> Columns:
        """Return what the behaviour sets in the node's columns, for complete parameter values."""
        if cls.report is None:
            raise NotImplementedError(f"{cls.__name__} defines neither columns nor report")
        return {}

    @classmethod
    def digest(cls) -> str:
        """Return a digest of the code that reports, which determines results like a parameter."""
        function = getattr(cls.report, "py_func", cls.report)
        code = getattr(function, "__code__", None)
        parts = () if code is None else (code.co_code, code.co_consts, code.co_names)
        return hashlib.sha256(repr((cls.__qualname__, parts)).encode()).hexdigest()

    @classmethod
    def is_compiled(cls) -> bool:
        """Return whether the compiled engine can play this behaviour."""
        return cls.report is None or hasattr(cls.report, "py_func")
