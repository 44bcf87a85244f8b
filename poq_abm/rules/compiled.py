"""Rules as the engines call them: compiled, and chosen by the number of the one in play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import (
    compiled,
    compiled_anew,
    compiled_loop,
    compiled_or_python,
    compiled_tree,
)
from poq_abm.rules.aggregation import AGGREGATION, Aggregation, mean, sorting
from poq_abm.rules.committee import Committee
from poq_abm.rules.kernels import KernelRule
from poq_abm.rules.payment import (
    EVALUATOR_PAYMENT,
    INFERENCE_PAYMENT,
    EvaluatorPayment,
    InferencePayment,
    MeasuredFrom,
    formulas,
)
from poq_abm.rules.registry import shipped
from poq_abm.rules.rule import Kind, Rule
from poq_abm.rules.trust import TRUST_UPDATE, TrustUpdate, Typical, update

__all__ = [
    "Kernels",
    "RulesInPlay",
    "aggregate",
    "closeness",
    "deviation",
    "evaluator_reward",
    "find_references",
    "inference_reward",
    "means_of_columns",
    "median_of",
    "no_report",
    "number_of",
    "own_kernel",
    "pay_evaluator",
    "pay_inference",
    "typical_deviation",
    "update_weight",
]

Array = NDArray[np.float64]
Number = Callable[..., float]


@compiled
def no_report(_measured: float, _amount: float, _chance: float, _z: float) -> float:
    """Return no number: the report where no behaviour in play has one of its own."""
    return np.nan


class Kernels(NamedTuple):
    """The kernels of a game in which a rule of somebody's own plays, shipped rules' among them.

    Games of shipped rules have none: the engines find those by number, in code that is kept on disk
    from one process to the next. Each takes the rule's values as an array, then what its kind says.
    """

    #: an evaluator's own report: of what it measured, its amount, a uniform and a normal draw
    report: Number = no_report
    aggregation: Number = no_report
    inference_payment: Number = no_report
    evaluator_payment: Number = no_report
    trust_update: Number = no_report


class RulesInPlay(NamedTuple):
    """The rules of a mechanism whose kernels a round calls."""

    aggregation: type[Aggregation]
    inference_payment: type[InferencePayment]
    evaluator_payment: type[EvaluatorPayment]
    trust_update: type[TrustUpdate]

    @property
    def all_ship(self) -> bool:
        """Whether none of them is somebody's own."""
        return all(number_of(rule) >= 0 for rule in self)

    def kernels(self, report: Any = None) -> Kernels | None:
        """Return their kernels with an evaluator's own report, if anything is one's own."""
        if report is None and self.all_ship:
            return None
        return Kernels(report or no_report, *(own_kernel(rule) for rule in self))


def number_of(rule: type[Rule]) -> int:
    """Return the number by which compiled code calls a shipped rule; -1 for one's own.

    >>> number_of(shipped(AGGREGATION)["mean"])
    0
    """
    ships = shipped(rule.kind)
    return list(ships).index(rule.name) if ships.get(rule.name) is rule else -1


def _choice(
    kind: Kind[Any], name: str, *, apart: bool = False, absorbed: bool = False
) -> Callable[..., float]:
    """Return a compiled function called ``name``, which calls the rule of a kind that is in play.

    Its arguments are the number of a shipped rule, the values of its parameters as an array, the
    :class:`Kernels` of a game with rules of one's own (or None), then what the kind hands its
    kernels. It is written from the declarations, a line for each rule; a number that is no rule
    gives NaN. With ``apart``, all rules but the first are compiled as a unit of their own, so that
    the first stays quick; with ``absorbed``, agents call all of it as plain Python. Numba keeps it
    on disk like any function of this file.
    """
    handed = ", ".join(kind.arguments)
    rules = list(shipped(kind).values())
    names = {
        f"kernel_{number}": compiled_tree(rule.kernel, absorbed=absorbed)
        for number, rule in enumerate(rules)
    }
    lines = [
        f"    if rule == {number}:\n        return {_call(rule, f'kernel_{number}')}"
        for number, rule in enumerate(rules)
    ]
    if apart:
        text = "\n".join([f"def {name}_apart(rule, parameters, {handed}):", *lines[1:]])
        names["apart"] = _written(f"{text}\n    return nan", f"{name}_apart", compiled_loop, names)
        lines[1:] = [f"    return apart(rule, parameters, {handed})"]
    text = "\n".join(
        [
            f"def {name}(rule, parameters, own, {handed}):",
            f"    if own is not None:\n        return own.{kind.field}(parameters, {handed})",
            *lines,
            "    return nan",
        ]
    )
    return _written(text, name, compiled_or_python if absorbed else compiled, names)


def own_kernel(rule: type[KernelRule]) -> Callable[..., float]:
    """Return a compiled function for :class:`Kernels`, which calls the kernel of a rule."""
    if rule not in _kernels:
        _kernels[rule] = _own_kernel(rule)
    return _kernels[rule]


_kernels: dict[type[KernelRule], Callable[..., float]] = {}


def _own_kernel(rule: type[KernelRule]) -> Callable[..., float]:
    handed = ", ".join(rule.kind.arguments)
    text = f"def play(parameters, {handed}):\n    return {_call(rule, 'kernel')}"
    scope = {"kernel": compiled_tree(rule.kernel)}
    return _written(text, "play", compiled_anew, scope)


def _call(rule: type[KernelRule], kernel: str) -> str:
    """Return the call of a kernel, which takes as many values from the array as it declares."""
    places = [
        f"{place.start}:{place.stop}" if isinstance(place, slice) else place
        for place in rule.places()
    ]
    values = [f"parameters[{place}]" for place in places]
    return f"{kernel}({', '.join([*rule.kind.arguments, *values])})"


def _written(
    text: str, name: str, compile_: Callable[[Any], Any], names: Mapping[str, Any]
) -> Callable[..., float]:
    """Return the function that a text defines, compiled."""
    scope: dict[str, Any] = {"__name__": __name__, "nan": np.nan, **names}
    exec(compile(text, __file__, "exec"), scope)  # noqa: S102  (of declarations alone)
    function: Callable[..., float] = compile_(scope[name])
    return function


#: the consensus of a committee, by ``mechanism.aggregation``
aggregate = _choice(AGGREGATION, "aggregate", apart=True)
#: what an answer is paid, in points, by ``mechanism.reward.family``
pay_inference = _choice(INFERENCE_PAYMENT, "pay_inference", absorbed=True)
#: what a score is paid, in points, by ``mechanism.evaluator_reward``
pay_evaluator = _choice(EVALUATOR_PAYMENT, "pay_evaluator", absorbed=True)
#: an evaluator's weight after a round, by ``mechanism.trust.update``
update_weight = _choice(TRUST_UPDATE, "update_weight")

closeness: Number = compiled_tree(formulas.closeness)
deviation: Number = compiled_tree(update.deviation)
evaluator_reward: Number = compiled_tree(formulas.evaluator_reward)
inference_reward: Number = compiled_tree(formulas.inference_reward)
means_of_columns: Callable[..., None] = compiled_tree(mean.means_of_columns)
median_of: Number = compiled_tree(sorting.median_of)


@compiled_loop
def _others_agree(
    rule: int, parameters: Array, own: Kernels | None, committee: Committee, found: Array
) -> None:
    """Put what the others of each member agree on into ``found``; they stay in their order."""
    members, scores, weights, near, deviations, ordered, carried, others, theirs = committee
    last = scores.size - 1
    for k in range(last):
        others[k] = scores[k + 1]
        theirs[k] = weights[k + 1]
    smaller = Committee(
        members, others[:last], theirs[:last], near, deviations, ordered, carried, others, theirs
    )
    for seat in range(last + 1):
        found[seat] = aggregate(rule, parameters, own, smaller)
        if seat < last:  # in place of the member that the next is, this one
            others[seat] = scores[seat]
            theirs[seat] = weights[seat]


@compiled_or_python
def find_references(
    measured_from: int,
    rule: int,
    parameters: Array,
    own: Kernels | None,
    committee: Committee,
    consensus: float,
    found: Array,
) -> None:
    """Put the score that each member of a committee is compared with, in [0, 10], into ``found``.

    By :class:`~poq_abm.rules.payment.reference.MeasuredFrom`, the truth apart: the consensus, that
    of the other K - 1 members, by the same rule, its parameters and, where it is somebody's own,
    its kernel, or the median of the scores. A committee of one has no others and falls back to the
    consensus.

    >>> from poq_abm.rules.committee import open_committee
    >>> committee, found = open_committee([2.0, 4.0, 9.0]), np.empty(3)
    >>> find_references(MeasuredFrom.OTHERS, 0, np.empty(0), None, committee, 5.0, found)
    >>> found.tolist()
    [6.5, 5.5, 3.0]
    """
    if measured_from == MeasuredFrom.OTHERS and committee.scores.size > 1:
        _others_agree(rule, parameters, own, committee, found)
        return
    same = consensus
    if measured_from == MeasuredFrom.MEDIAN:
        same = median_of(committee.scores, committee.scores.size, committee.ordered)
    for k in range(committee.scores.size):
        found[k] = same


@compiled
def typical_deviation(typical: int, total: float, deviations: Array, ordered: Array) -> float:
    """Return what an update compares a deviation with: the committee's median or mean, or nothing.

    ``total`` is the sum of the deviations; ``ordered`` is scratch.

    >>> typical_deviation(Typical.MEDIAN, 0.9, np.array([0.1, 0.6, 0.2]), np.empty(3))
    0.2
    """
    if typical == Typical.MEDIAN:
        return median_of(deviations, deviations.size, ordered)
    return total / deviations.size if typical == Typical.MEAN else 0.0
