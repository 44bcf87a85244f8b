"""The columns of a game: the mechanism, the tables drawn from, and the nodes, as arrays."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ActiveBehaviours",
    "Assignments",
    "Conduct",
    "EvaluatorColumn",
    "GameArrays",
    "InferenceColumn",
    "Nodes",
    "Rules",
    "Tables",
    "on_cache_lines",
]

CACHE_LINE = 64  # bytes


def on_cache_lines(*kinds: tuple[tuple[int, ...], Any]) -> list[NDArray[Any]]:
    """Return zeros, each with a shape and a type, that begin with a cache line.

    What is 64 bytes long lies on one line then, not on two. All are parts of one piece of memory:
    a game of a hundred rounds is played in less time than its scratch space is made piece by piece.

    >>> rows, words = on_cache_lines(((3, 8), np.float64), ((5,), np.uint32))
    >>> rows.ctypes.data % 64, words.ctypes.data % 64, words.shape
    (0, 0, (5,))
    """
    sizes = [math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in kinds]
    rooms = [-(-size // CACHE_LINE) * CACHE_LINE for size in sizes]
    memory = np.zeros(sum(rooms) + CACHE_LINE, np.uint8)
    at = -memory.ctypes.data % CACHE_LINE
    found = []
    for (shape, dtype), size, room in zip(kinds, sizes, rooms, strict=True):
        found.append(memory[at : at + size].view(dtype).reshape(shape))
        at += room
    return found


class Rules(NamedTuple):
    """The mechanism: numbers of rules, what they ask for, and their parameters as declared."""

    drawn_by: int  #: how nodes are drawn, as :class:`poq_abm.rules.schedule.schedules.DrawnBy`
    committee_size: int
    aggregation: int
    aggregation_parameters: NDArray[np.float64]  #: in the order in which the rule declares them
    weighs_by: int  #: what the rule weighs by, as :class:`poq_abm.rules.aggregation.WeighsBy`
    reference: int  #: as :class:`poq_abm.rules.payment.MeasuredFrom`
    inference_payment: int
    inference_parameters: NDArray[np.float64]  #: a row for each task in play, then one for others
    sets_pay: bool  #: whether the schedule, and no reward family, says what an answer is paid
    counts_answers: bool  #: whether inference nodes are paid by batch
    charges_shortfall: bool  #: whether what a reward is short of alpha Q is the charge for cost
    evaluator_payment: int
    evaluator_parameters: NDArray[np.float64]
    pays_closeness: bool  #: whether evaluators are paid alpha times closeness, less cost
    counted: int  #: of a batch, as :class:`poq_abm.rules.payment.Counted`
    alpha_inference: float
    beta_inference: float
    alpha_evaluator: float
    beta_evaluator: float
    pay_ranges: NDArray[np.float64]  #: (2, 2) least and most for an answer, and for a score
    trust_update: int
    trust_parameters: NDArray[np.float64]
    trust_learns: bool  #: whether weights change at all
    trust_on_planted: bool  #: only in rounds on records whose truth the operator knows
    trust_typical: int  #: as :class:`poq_abm.rules.trust.Typical`
    trust_reference: int  #: as :class:`poq_abm.rules.payment.MeasuredFrom`
    trust_start: float
    trust_maximum: float  #: from which on a weight counts as saturated
    trust_interval: int  #: rounds between two entries of the trust log; 0 keeps none


class Tables(NamedTuple):
    """What is drawn from: the profile's rows, and where each task's records lie."""

    scores: NDArray[np.float64]  #: (records, models, evaluators), [0, 10]
    truth: NDArray[np.float64]  #: (records, models), [0, 10]
    task_first: NDArray[np.int64]  #: first record of each task in play
    task_size: NDArray[np.int64]  #: number of its records
    task_limits: NDArray[np.uint64]  #: cumulative task shares on the scale of a word
    agreed: NDArray[np.float64]  #: (records, models) mean of all evaluator models' scores
    gold: NDArray[np.bool_]  #: (records,) planted benchmarks, whose truth the operator knows
    trust_task: NDArray[np.int64]  #: column of the trust table that each task in play uses


class EvaluatorColumn(IntEnum):
    """What an evaluator node's row of :class:`Conduct` holds."""

    ATTACK = 0  #: kind of misreport, as :class:`poq_abm.rules.behaviour.attacks.Attack`
    AMOUNT = 1  #: its size
    PROBABILITY = 2  #: chance that it is on in a round
    WAKE_TRUST = 3  #: trust below which the node plays honestly
    WAKE_JOBS = 4  #: jobs before which the node plays honestly
    TARGET = 5  #: inference group attacked or favoured; -1 for all
    RESET_TRUST = 6  #: trust below which the node takes a new identity
    MALICIOUS = 7  #: 1 where the node deviates at all
    NOISE_SD = 8  #: s.d. of the noise of its own scoring, in points
    BIAS_SD = 9  #: s.d. of its own offset, drawn once a replication, in points
    OWN = 10  #: from here on what its misreport is made of, as in ``Recipe``: weight of its score,
    SEEN = 11  #: of the mean consensus it has seen,
    AGREED = 12  #: of the mean score of all evaluator models,
    SHIFT = 13  #: points added,
    SPREAD = 14  #: s.d. of the points added at random,
    FAVOUR = 15  #: points added for favoured nodes and taken from others
    FAMILY = 16  #: number of the family that its model is of


class InferenceColumn(IntEnum):
    """What an inference node's row of :class:`Conduct` holds."""

    LIFT = 0  #: points by which it inflates the scores of a family's evaluators, or of all
    FIXED = 1  #: score of a constant answer; NaN where it answers
    GROUP = 2  #: its inference group
    DEVIATES = 3  #: 1 where it does anything but play honestly
    FAMILY = 4  #: number of that family; -1 for all evaluators
    LIFT_ELSEWHERE = 5  #: points by which it moves the scores of all others
    TRUTH_LIFT = 6  #: points by which it moves the truth of its answers


class Conduct(NamedTuple):
    """What deviates from honest, deterministic play; one row per node."""

    evaluators: NDArray[np.float64]  #: (M, 17) by :class:`EvaluatorColumn`
    inference: NDArray[np.float64]  #: (F, 7) by :class:`InferenceColumn`


class ActiveBehaviours(NamedTuple):
    """What any evaluator at all does; where nobody does a thing, no round need ask for it."""

    deviates: bool  #: misreports
    waits: bool  #: misreports only when trusted, long enough there, or faced with a target
    pauses: bool  #: misreports by chance
    scatters: bool  #: adds noise to what it reports
    strays: bool  #: measures with noise


class Nodes(NamedTuple):
    """The population as columns: F inference nodes, then M evaluator nodes."""

    model: NDArray[np.int64]  #: (F,) which inference model a node runs
    evaluator: NDArray[np.int64]  #: (M,) which evaluator model a node runs
    inference_cost: NDArray[np.float64]  #: (F,) in [0, 1]
    evaluator_cost: NDArray[np.float64]  #: (M,) in [0, 1]
    score_cuts: NDArray[np.float64]  #: (M, C - 1) least scores of the bins reports are counted in
    limits: NDArray[np.uint64]  #: (F,) cumulative schedule weights on the scale of a word
    stake: NDArray[np.float64]  #: (M,) stake, for the rules that weigh by it
    #: constants about which second moments of rewards are taken; they stay as coefficients move
    inference_anchor: NDArray[np.float64]  #: (F,)
    evaluator_anchor: NDArray[np.float64]  #: (M,)


class GameArrays(NamedTuple):
    """A game as compiled functions take it: its mechanism, what is drawn from, who plays, and how.

    Rounds read it and never write to it.
    """

    rules: Rules
    tables: Tables
    nodes: Nodes
    conduct: Conduct


class Assignments(NamedTuple):
    """Rounds whose draws were made elsewhere, by a scheduler that knows queues, stakes and money.

    A round without a node is a query that was dropped: nobody plays it and nobody is paid.
    """

    task: NDArray[np.int32]  #: (rounds,)
    record: NDArray[np.int32]  #: (rounds,)
    node: NDArray[np.int32]  #: (rounds,) inference node; -1 for nobody
    committee: NDArray[np.int32]  #: (rounds, K) evaluator indices in [0, M)
    cost_factor: NDArray[np.float64]  #: (rounds,) cost charged over the node's cost
    #: (rounds,) points for the answer, its cost off; NaN where a reward family says what it is paid
    price: NDArray[np.float64]
