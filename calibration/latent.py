"""The latent model behind the reconstructed table: who shares which luck.

Every record x model cell has standard normal latents. The *truth* latent mixes a record effect,
shared by all models (a hard record is hard for every model), with luck of the cell; the *judge*
latent follows the truth's in part and has a record effect of its own. Each evaluator's *noise*
mixes an error common to all evaluators with one of its own, and half of either belongs to the
record. The shares below are assumptions; nothing published speaks to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from poq_abm.random import Purpose, normal

__all__ = ["Latents", "draw_latents", "normalise", "squash"]

Array = NDArray[np.float64]

SEED = 251216317
TRUTH_RECORD_SHARE = 0.5  #: variance of the truth latent that belongs to the record
JUDGE_RECORD_SHARE = 0.3
JUDGE_ON_TRUTH = 0.35  #: correlation of the judge latent with the truth latent, within a model
NOISE_RECORD_SHARE = 0.5
#: Share of an evaluator's noise that all evaluators have in common: STS, MiniLM, DeBERTa.
COMMON_SHARE = (0.6, 0.2, 0.2)

_EVALUATORS = len(COMMON_SHARE)
_KINDS = 3 + _EVALUATORS  # truth, judge, common error, own error of each evaluator


@dataclass(frozen=True)
class Latents:
    """Standard normals: truth, judge (records, models); noise (records, models, evaluators)."""

    truth: Array
    judge: Array
    noise: Array


def draw_latents(records: int, models: int) -> Latents:
    """Return the latents of the reconstruction, a pure function of :data:`SEED` and the two sizes.

    A record's draws are keyed by its number: slots 0 to 5 are its record effects, six more slots
    per model its cells.

    >>> draw_latents(2, 5).noise.shape
    (2, 5, 3)
    """
    draws = _draw(records, _KINDS * (1 + models)).reshape(records, 1 + models, _KINDS)
    record, cell = draws[:, :1], draws[:, 1:]
    truth = _mix(TRUTH_RECORD_SHARE, record[..., 0], cell[..., 0])
    judge = _mix(JUDGE_ON_TRUTH**2, truth, _mix(JUDGE_RECORD_SHARE, record[..., 1], cell[..., 1]))
    common = _mix(NOISE_RECORD_SHARE, record[..., 2:3], cell[..., 2:3])
    own = _mix(NOISE_RECORD_SHARE, record[..., 3:], cell[..., 3:])
    return Latents(truth, judge, _mix(np.array(COMMON_SHARE), common, own))


def squash(latent: Array) -> Array:
    """Return ``10 Phi(latent)``: a normal latent on the scale (0, 10).

    >>> squash(np.array([0.0])).tolist()
    [5.0]
    """
    return 10.0 * np.asarray(ndtr(latent))


def normalise(scores: Array) -> Array:
    """Return each evaluator's scores min-max normalised to [0, 10] over all cells given.

    >>> normalise(np.array([[[2.0]], [[3.0]], [[6.0]]])).ravel().tolist()
    [0.0, 2.5, 10.0]
    """
    low = scores.min(axis=(0, 1))
    return np.asarray(10.0 * (scores - low) / (scores.max(axis=(0, 1)) - low))


def _draw(records: int, slots: int) -> Array:
    purpose = int(Purpose.PROFILE)
    return np.array(
        [
            [normal(SEED, 0, purpose, record, slot) for slot in range(slots)]
            for record in range(records)
        ]
    )


def _mix(share: float | Array, first: Array, second: Array) -> Array:
    """Return the standard normal with ``share`` of its variance from ``first``, else ``second``."""
    return np.asarray(np.sqrt(share) * first + np.sqrt(1.0 - np.asarray(share)) * second)
