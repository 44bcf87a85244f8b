"""Payment of inference nodes by ranking: answers to one record compared pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from poq_abm.rules.payment.formulas import inference_reward
from poq_abm.rules.payment.payment import InferencePayment, Merits
from poq_abm.rules.rule import Parameter, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

__all__ = ["BradleyTerry", "chances_against_average", "strengths", "wins_of"]

_TIED: Final = 1e-9  # points: means that differ by less do so by rounding
_SWEEPS: Final = 500  # of the fit, which ends before where a sweep moves no strength any more,
_STILL: Final = 1e-14  # by a larger share than this
_HALVINGS: Final = 64


class BradleyTerry(InferencePayment):
    """Alpha for the chance to win against the average node, less beta for cost; by batch.

    Two nodes that answered the same record in a batch are compared by the mean consensus on their
    answers to it: the higher wins, a tie is half a win for both. A record counts once for a pair,
    however often they answered it. Strengths p are fitted to all wins, P(i beats j) = p_i / (p_i +
    p_j), with a few ties against the average node, which keep the strength of who never lost
    finite. Against that node, of strength p_0, the mean chance over nodes is 1/2.
    """

    name = "bradley_terry"
    formula = (
        "alpha p / (p + p_0) - beta C, with p_i = (W_i + v / 2) / (sum over j of n_ij / (p_i + "
        "p_j) + v / (p_i + p_0)), W_i wins and n_ij comparisons"
    )
    source = Source(
        "published", "Bradley and Terry 1952; fit by Newman 2023; to pay by it is assumed"
    )
    by_batch = True
    parameters: ClassVar = {
        "minimum_shared": Parameter(
            "comparisons that a node's strength must rest on, in a batch", 20, kind="count", low=1
        ),
        "neutral_pay": Parameter(
            "share of alpha that a node with fewer comparisons is paid", 0.5, low=0.0, high=1.0
        ),
        "prior_ties": Parameter(
            "ties against the average node that every node is given",
            1.0,
            low=0.0,
            open_low=True,
            high=1000.0,
            symbol="v",
        ),
    }

    @staticmethod
    def kernel(
        consensus: float,
        cost: float,
        alpha: float,
        beta: float,
        minimum_shared: float,
        neutral_pay: float,
        prior_ties: float,
    ) -> float:
        """Return the charge of a round."""
        return inference_reward(0.0, beta, 0.0, cost)

    @classmethod
    def merits(cls, answers: Array, values: Mapping[str, float]) -> Merits:
        """Return every node's chance against the average one.

        Who has too few comparisons is paid the neutral amount, counts as thin where it answered at
        all, and is left out of the ranking of the others.
        """
        import numpy as np  # noqa: PLC0415  (what a scenario declares is read without arrays)

        wins = wins_of(answers)
        compared = (wins + wins.T).sum(axis=1)
        enough = compared >= max(1.0, values["minimum_shared"])
        merit = np.full(len(wins), float(values["neutral_pay"]))
        if enough.any():
            ranked = strengths(wins[np.ix_(enough, enough)], values["prior_ties"])
            merit[enough] = chances_against_average(ranked)
        answered = (answers[:, :, 0] > 0.0).any(axis=0)
        return Merits(merit, int((answered & ~enough).sum()))


def wins_of(answers: Array) -> Array:
    """Return how often each node (row) beat each other one, ties as half a win for both.

    ``answers`` has the shape (records, F, 2): how many answers of a node a record had, and the sum
    of their consensus.

    >>> import numpy as np
    >>> wins_of(np.array([[[1.0, 8.0], [2.0, 8.0], [0.0, 0.0]], [[1.0, 5.0], [1.0, 5.0], [1, 9]]]))
    array([[0. , 1.5, 0. ],
           [0.5, 0. , 0. ],
           [1. , 1. , 0. ]])
    """
    import numpy as np  # noqa: PLC0415

    wins = np.zeros((answers.shape[1], answers.shape[1]))
    counts, sums = answers[:, :, 0], answers[:, :, 1]
    for record in np.flatnonzero((counts > 0.0).sum(axis=1) > 1):
        met = np.flatnonzero(counts[record] > 0.0)
        means = sums[record, met] / counts[record, met]
        apart = means[:, np.newaxis] - means
        won = 0.5 * ((apart > _TIED) + (apart >= -_TIED).astype(float))
        np.fill_diagonal(won, 0.0)
        wins[np.ix_(met, met)] += won
    return wins


def strengths(wins: Array, ties: float = 0.0) -> Array:
    """Return the strengths of Bradley and Terry's model, by Newman's iteration.

    p_i := (sum over j of w_ij p_j / (p_i + p_j) + v / (2 (p_i + 1))) / (sum over j of w_ji / (p_i +
    p_j) + v / (2 (p_i + 1))), node after node and over again, from p = 1 on; v are the ``ties``
    against a node of strength 1, without which everybody must have won and lost. It has the fixed
    point of minorisation and maximisation (Hunter 2004) and gets there many times sooner. Newman,
    JMLR 24 (2023) 238. Two nodes are as strong as they win:

    >>> import numpy as np
    >>> found = strengths(np.array([[0.0, 3.0], [1.0, 0.0]]))
    >>> float(found[0] / found[1])
    3.0
    """
    import numpy as np  # noqa: PLC0415

    strength = np.ones(len(wins))
    lost = np.ascontiguousarray(wins.T)
    for _ in range(_SWEEPS):
        moved = 0.0
        for node in range(strength.size):
            old = float(strength[node])
            each = 1.0 / (old + strength)
            tied = 0.5 * ties / (old + 1.0)
            for_it = float((wins[node] * strength * each).sum()) + tied
            new = for_it / (float((lost[node] * each).sum()) + tied)
            moved = max(moved, abs(new - old) / new)
            strength[node] = new
        if ties > 0.0:  # where the fit ends the mean chance against the node of strength 1 is 1/2
            chance = float((strength / (strength + 1.0)).mean())
            strength *= (1.0 - chance) / chance
        if moved <= _STILL:
            break
    return strength


def chances_against_average(strength: Array) -> Array:
    """Return each node's chance to win against the one against which they have 1/2 in the mean.

    Their scale does not matter; all must be above 0.

    >>> import numpy as np
    >>> chances_against_average(np.array([3.0, 1.0, 27.0, 9.0])).round(3)
    array([0.366, 0.161, 0.839, 0.634])
    """
    low, high = float(strength.min()), float(strength.max())
    for _ in range(_HALVINGS):
        average = low * (high / low) ** 0.5
        if (strength / (strength + average)).mean() > 0.5:
            low = average
        else:
            high = average
    chances: Array = strength / (strength + low * (high / low) ** 0.5)
    return chances
