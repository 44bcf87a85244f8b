"""What a behaviour is: a name, declared traits, declared parameters, and the columns it sets."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar, Literal

__all__ = ["COLUMNS", "Behaviour", "Columns", "Parameter", "Role", "Traits", "code_digest"]

Role = Literal["inference", "evaluator"]

#: values for a node's entries in ``poq_abm.simulation.game.Conduct``, by column
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


#: the columns that a behaviour can set, by role, with what each takes
COLUMNS: dict[Role, dict[str, Parameter]] = {
    "inference": {
        "model": Parameter("the model that really answers", kind="text"),
        "lift": Parameter("points added to every evaluator's score", low=-10.0, high=10.0),
        "fixed": Parameter("the score of a constant answer, whose truth is 0", low=0.0, high=10.0),
        "cost_factor": Parameter("reported over true cost", low=0.0),
    },
    "evaluator": {
        "attack": Parameter(
            "kind of misreport, of poq_abm.rules.behaviour.attacks", low=0.0, high=6.0
        ),
        "amount": Parameter("its size"),
        "probability": Parameter("chance that it is on in a round", low=0.0, high=1.0),
        "wake_trust": Parameter("weight below which the node is honest"),
        "wake_jobs": Parameter("rounds it sits in before it deviates"),
        "target": Parameter("label of the inference group it looks at", kind="text"),
        "reset_trust": Parameter("weight below which it returns as somebody new"),
    },
}


@dataclass(frozen=True)
class Traits:
    """What a behaviour needs and does; declared, listed by ``poq behaviours``, tested."""

    stochastic: bool = False  #: draws of its own
    coordinates: bool = False  #: members act together
    stateful: bool = False  #: depends on what happened before
    private_information: bool = False  #: uses what an ordinary node of its role would not know
    lazy: bool = False  #: while it acts it runs no model, and saves the compute


class Behaviour:
    """Base class of all behaviours; a subclass declares and says what it does to a node's columns.

    The behaviours that ship return columns, of those in :data:`COLUMNS`, which both engines
    understand. One's own evaluator behaviour can override :meth:`report` instead: as a method in
    plain Python, which is played agent by agent, or as a compiled function of four numbers, which
    both engines play.
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
        """Return a digest of the code it is made of, which determines results like a parameter.

        Taken is the file that declares it, because a behaviour can call its neighbours; of one
        declared at the prompt, what its methods are compiled to.
        """
        return code_digest(cls, (cls.columns, cls.report))

    @classmethod
    def is_compiled(cls) -> bool:
        """Return whether the compiled engine can play this behaviour."""
        return cls.report is None or hasattr(cls.report, "py_func")


def code_digest(kind: type, functions: Iterable[Any]) -> str:
    """Return a digest of the file that declares a class or, where none does, of its functions.

    >>> len(code_digest(Behaviour, ()))
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
