"""The ranges that the counter of the keyed streams imposes on a scenario."""

from __future__ import annotations

__all__ = ["MAX_REPLICATIONS", "MAX_ROUNDS", "MAX_SEED"]

MAX_SEED = 2**63 - 1  #: the seed is the 64-bit key, kept inside a signed integer
MAX_REPLICATIONS = 2**32  #: one 32-bit word of the counter
MAX_ROUNDS = 2**48  #: one and a half words of the counter
