"""Who answers next, and who sits in a committee: what a scenario can name."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from poq_abm.errors import InputError
from poq_abm.rules.rule import COST_AWARE, Kind, Rule, Source

__all__ = ["SCHEDULE", "SEATING", "DrawnBy", "Schedule", "Seating"]

_HERE = "poq_abm.rules.schedule.schedules"
SCHEDULE: Kind[Schedule] = Kind("schedule", "schedule", _HERE)
SEATING: Kind[Schedule] = Kind("seating", "economy.stake.sampling", _HERE)
_OURS = Source("assumed", "ours")


class DrawnBy(IntEnum):
    """How the inference node of a round is drawn."""

    UNIFORM = 0  #: every node equally likely
    ROUND_ROBIN = 1  #: node ``round mod F``
    WEIGHTED = 2  #: in proportion to the nodes' weights


class Schedule(Rule):
    """Base class of schedules: which inference node gets the next job.

    The engines draw in one of three ways; an economy may then look at queues and prices.
    """

    kind = SCHEDULE

    drawn_by: ClassVar[DrawnBy] = DrawnBy.UNIFORM
    in_economies: ClassVar[bool] = False  #: it looks at queues, prices, stakes or reputation
    sets_pay: ClassVar[bool] = False  #: it says what an answer is paid, in place of a reward

    @classmethod
    def remarks(cls) -> list[str]:
        """Return whether it needs an economy, and whether it says what is paid."""
        return [
            *(["in economies"] if cls.in_economies else []),
            *(["sets the pay"] if cls.sets_pay else []),
        ]

    @classmethod
    def check(cls) -> None:
        """Raise :class:`~poq_abm.errors.InputError`: the engines draw for all nodes at once."""
        raise InputError(f"{cls.name}: a {cls.kind.name} of one's own cannot be played")


class Uniform(Schedule):
    """Every node equally likely."""

    name = "uniform"
    formula = "1 / F"
    source = Source("published", f"{COST_AWARE}, Algorithm 1")


class RoundRobin(Schedule):
    """The nodes in turn."""

    name = "round_robin"
    formula = "node t mod F in round t"
    source = _OURS
    drawn_by = DrawnBy.ROUND_ROBIN


class Weighted(Schedule):
    """In proportion to the weights of the groups."""

    name = "weighted"
    formula = "weight_i / sum_j weight_j"
    source = _OURS
    drawn_by = DrawnBy.WEIGHTED


class Cheapest(Schedule):
    """Of the nodes that are free now, the one that reports the lowest cost; else the first free."""

    name = "cheapest"
    formula = "argmin C_i over free nodes"
    source = _OURS
    in_economies = True


class TrustSoftmax(Schedule):
    """In proportion to an exponential of reputation, the moving mean of a node's quality."""

    name = "trust_softmax"
    formula = "exp(reputation_i / temperature) / sum_j exp(reputation_j / temperature)"
    source = _OURS
    drawn_by = DrawnBy.WEIGHTED
    in_economies = True


class StakeWeighted(Schedule):
    """In proportion to bonds."""

    name = "stake_weighted"
    formula = "bond_i / sum_j bond_j"
    source = _OURS
    drawn_by = DrawnBy.WEIGHTED
    in_economies = True


class PowerOfTwo(Schedule):
    """Of two nodes drawn at random, the one free earlier."""

    name = "power_of_two"
    formula = "argmin free time over two draws"
    source = _OURS
    in_economies = True


class SecondScore(Schedule):
    """The node of the best score, v q less the cost that it reports, paid by the second score.

    Value v is alpha, q the mean quality of the answers of the node's model to the task in the
    profile, and c is beta C as reported. What a job truly costs its node, beta C, comes off the
    pay. Queues are not looked at: what a node says today changes nothing of what it wins tomorrow.
    """

    name = "second_score"
    formula = "argmax_i (v q_i - c_i), paid v q_w - max_{j != w} (v q_j - c_j)"
    source = Source("published", "arXiv 2603.17302; q from the profile is ours")
    in_economies = True
    sets_pay = True


class Seating(Schedule):
    """Base class of seatings: the chance of a seat in a committee, without replacement."""

    kind = SEATING


class UniformSeats(Seating):
    """Every evaluator equally likely."""

    name = "uniform"
    formula = "every set of K equally likely"
    source = Source("published", f"{COST_AWARE}, Algorithm 1, step 4")


class StakeSeats(Seating):
    """Seat by seat in proportion to the bonds of those without a seat."""

    name = "stake"
    formula = "bond_m / sum of the bonds not seated"
    source = Source("assumed", "ours; successive sampling after Yates and Grundy 1953")
    drawn_by = DrawnBy.WEIGHTED


class TrustSeats(Seating):
    """Seat by seat in proportion to the trust of those without a seat."""

    name = "trust"
    formula = "w_m / sum of the weights not seated"
    source = Source("assumed", "ours; successive sampling after Yates and Grundy 1953")
    drawn_by = DrawnBy.WEIGHTED
