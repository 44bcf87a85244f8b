"""The weights that evaluators give inference nodes in an epoch, and what Yuma makes of them.

An evaluator's weights are its mean scores of the nodes that it has scored, over their sum: those of
the epoch, and of a node that it did not score in it, those of the last epoch in which it did. One
who reports what it has seen instead of what it measured (`copycat`) sets the consensus that was
published last. Weights are committed at the end of an epoch and count when they are revealed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.yuma import YumaTerms, normalised, settle_weights, stored
from poq_abm.simulation.arrays import Assignments
from poq_abm.simulation.replication import Trace

__all__ = ["EvaluatorWeights", "mean_scores", "open_weights", "settle_epoch_by_yuma"]

Array = NDArray[np.float64]


class EvaluatorWeights(NamedTuple):
    """What Yuma goes on from in an epoch of M evaluators and F inference nodes; never changed."""

    scores: Array  #: (M, F) mean score when an evaluator last scored a node; 0 before
    committed: tuple[Array, ...]  #: (M, F) each, weights that are not revealed yet, oldest first
    consensus: Array  #: (F,) as published last; 0 before
    bonds: Array  #: (M, F) as stored
    stake: Array  #: (M,) tokens; 0 of who is not there
    present: NDArray[np.bool_]  #: (F,) who is there

    def among(
        self, stake: Array, evaluators: NDArray[np.bool_], inference: NDArray[np.bool_]
    ) -> EvaluatorWeights:
        """Return the weights with the nodes of the epoch that begins; who was not there has none.

        ``evaluators`` (M,) and ``inference`` (F,) say who was there before and still is.
        """
        known = evaluators[:, None] & inference
        return self._replace(
            scores=np.where(known, self.scores, 0.0),
            committed=tuple(np.where(known, sealed, 0.0) for sealed in self.committed),
            consensus=np.where(inference, self.consensus, 0.0),
            bonds=np.where(known, self.bonds, 0.0),
            stake=stake,
        )


def open_weights(evaluators: int, inference: int) -> EvaluatorWeights:
    """Return what Yuma begins with: nobody has scored anybody.

    >>> open_weights(2, 3).bonds.shape
    (2, 3)
    """
    nothing = np.zeros((evaluators, inference))
    return EvaluatorWeights(
        scores=nothing,
        committed=(),
        consensus=np.zeros(inference),
        bonds=nothing,
        stake=np.zeros(evaluators),
        present=np.ones(inference, dtype=np.bool_),
    )


def mean_scores(count: int, assigned: Assignments, trace: Trace, before: Array) -> Array:
    """Return the mean score of each evaluator for each node in ``count`` rounds, shape (M, F).

    Where there is none, what stands in ``before``. Rounds that were dropped do not count.
    """
    evaluators, inference = before.shape
    served = np.flatnonzero(assigned.node[:count] >= 0)
    pairs = assigned.committee[served].astype(np.int64) * inference
    pairs += assigned.node[served, None]
    seats = pairs.ravel()
    number = np.bincount(seats, minlength=before.size)
    total = np.bincount(seats, trace.scores[served].ravel(), before.size)
    means = np.divide(total, number, out=before.ravel().copy(), where=number > 0)
    return means.reshape(evaluators, inference)


def settle_epoch_by_yuma(
    begun: EvaluatorWeights, scores: Array, copies: NDArray[np.bool_], terms: YumaTerms, delay: int
) -> tuple[Array, EvaluatorWeights]:
    """Return the shares of all nodes, inference nodes first, and what the next epoch goes on from.

    Parameters
    ----------
    begun
        What the epoch began with.
    scores
        Mean scores, shape (M, F).
    copies
        Who sets the consensus published last, shape (M,); while there is none, its scores count.
    terms
        The parameters.
    delay
        Epochs until weights are revealed. Until the first are, nobody has a share.
    """
    chosen = scores
    if begun.consensus.any():
        chosen = np.where(copies[:, None], begun.consensus, scores)
    sealed = (*begun.committed, normalised(np.where(begun.present, chosen, 0.0), axis=1))
    evaluators, inference = scores.shape
    if len(sealed) <= delay:
        kept = begun._replace(scores=scores, committed=sealed)
        return np.zeros(inference + evaluators), kept
    revealed = normalised(np.where(begun.present, sealed[0], 0.0), axis=1)
    epoch = settle_weights(revealed, normalised(begun.stake), begun.bonds, terms)
    kept = begun._replace(
        scores=scores,
        committed=sealed[1:],
        consensus=epoch.consensus,
        bonds=stored(epoch.bonds),
    )
    return np.concatenate([epoch.incentive, epoch.dividends]), kept
