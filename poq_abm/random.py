"""Keyed random numbers: the only place where randomness is made.

A draw is a pure function of ``(seed, replication, purpose, round, slot)``. There is no generator
state: any draw of any round can be made by itself, in any order, on any machine, with the same
bits. Two treatments that share a seed therefore see the same luck, and a difference between them is
the effect of the treatment alone.

The function is Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1,
2, 3", SC 2011): the seed is the 64-bit key; replication, purpose, round and block number fill the
128-bit counter, so two different keys never collide. One block holds four 32-bit words, and slot
``s`` is word ``s % 4`` of block ``s // 4``::

    counter[0]  round, low 32 bits
    counter[1]  round, high 16 bits | purpose (8 bits) | attempt (8 bits)
    counter[2]  block
    counter[3]  replication

A purpose is read either in words (:func:`below`) or in doubles (:func:`uniform`, :func:`normal`;
double ``s`` is made of words ``2s`` and ``2s + 1``), never both, so that draws of one purpose do
not overlap.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from poq_abm.compilation import compiled, compiled_loop

__all__ = [
    "WORDS_PER_BLOCK",
    "Purpose",
    "below",
    "below_in_place",
    "double",
    "fill_below",
    "fill_normals",
    "fill_uniforms",
    "fill_words",
    "normal",
    "normal_quantile",
    "philox4x32",
    "uniform",
    "word",
]

WORDS_PER_BLOCK = 4
MAX_ATTEMPT = 255  # eight bits of the counter; for n < 2**24 all but impossible to reach


class Purpose(IntEnum):
    """What a draw is for; draws of different purposes are independent."""

    ROUND = 1  #: words: task, record, inference node, committee
    PROFILE = 2  #: doubles: building the profile that ships
    BOOTSTRAP = 3  #: words: resampling records for an interval
    GATE = 4  #: doubles: whether a member that deviates now and then does so, by seat
    ATTACK = 5  #: doubles: the noise a deviating member adds, by seat
    NOISE = 6  #: doubles: the noise of a member's own scoring, by seat
    NODE_BIAS = 7  #: doubles, once a replication: an evaluator node's own offset, by node
    MALICIOUS = 8  #: words, once: which evaluators are malicious
    GOLD = 9  #: doubles, once: which records are planted benchmarks
    FIGURE = 10  #: doubles: honest scores of the committees that illustrate a rule
    CORPUS = 11  #: doubles: the place of a record in a sample, by a digest of its id
    JUDGE = 12  #: doubles: which outputs a judge sees, and how long to wait before asking again
    SMOOTHING = 13  #: doubles: the records of a smoothed profile
    ARRIVAL = 14  #: doubles: the time from one query to the next
    SERVICE = 15  #: doubles: how long an inference node takes for a query
    ROUTE = 16  #: words: the second node that a query looks at
    SEAT = 17  #: doubles: members of a committee drawn by weight, by seat
    OUTAGE = 18  #: doubles, once an epoch: whether and when a node is down, by node
    AUDIT = 19  #: doubles, once an epoch: whether a node is audited, by node
    ADAPTATION = 20  #: doubles, once an epoch and rule: what a node decides, by node
    BURST = 21  #: doubles, once a replication: the first state, then how long each lasts
    QUERY = 30  #: doubles: arrival, service and checks of a query to be verified
    PARTNER = 31  #: words: the other nodes that answer or recompute a query
    PARTNER_CHANCE = 32  #: doubles: what those nodes do, by place
    STANDING = 33  #: doubles, once a replication: which nodes cheat, and their vendors
    VULNERABILITY = 34  #: doubles: how long a vendor's enclaves stay intact or broken
    SECRET = 35  #: words: keys, nonces and secrets of nodes that attest
    RESAMPLED_RECORD = 36  #: words: the records of a resampled profile, by task and place
    RESAMPLED_COST = 37  #: doubles: the mean latencies of a resampled profile, by row of the costs


_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_16 = np.uint64(16)
_24 = np.uint64(24)
_12 = np.uint64(12)
_ONE = np.uint64(1)

_CENTRAL = 0.425  # how far from one half the first of the quantile's three formulas holds

Block = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


@compiled
def philox4x32(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> Block:
    """Return the four 32-bit words of Philox 4x32-10 for one counter and key.

    Arguments and results are unsigned 64-bit integers that hold 32-bit values: the compiler then
    sees plain widening multiplications and runs eight counters at once.

    >>> [f"{word:08x}" for word in philox4x32(0, 0, 0, 0, 0, 0)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k0, k1 = np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        product_0 = _MULTIPLIER_0 * c0
        product_1 = _MULTIPLIER_1 * c2
        c0 = (product_1 >> _32) ^ c1 ^ k0
        c1 = product_1 & _LOW
        c2 = (product_0 >> _32) ^ c3 ^ k1
        c3 = product_0 & _LOW
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@compiled
def _block(
    seed: int, replication: int, purpose: int, round_: int, block: int, attempt: int
) -> Block:
    seed_ = np.uint64(seed)
    round_bits = np.uint64(round_)
    high = (round_bits >> _32) | (np.uint64(purpose) << _16) | (np.uint64(attempt) << _24)
    return philox4x32(
        round_bits & _LOW,
        high,
        np.uint64(block),
        np.uint64(replication),
        seed_ & _LOW,
        seed_ >> _32,
    )


@compiled_loop
def fill_words(
    words: NDArray[np.uint32], seed: int, replication: int, purpose: int, first_round: int
) -> None:
    """Fill ``words[slot, t]`` with the word of that slot for round ``first_round + t``.

    ``words`` has shape (4 x blocks, rounds); neighbouring rounds lie side by side so that the
    compiler makes several at once.

    >>> import numpy as np
    >>> words = np.empty((4, 2), np.uint32)
    >>> fill_words(words, 1, 0, Purpose.ROUND, 7)
    >>> int(words[2, 1]) == word(1, 0, Purpose.ROUND, 8, 2)
    True
    """
    rounds = words.shape[1]
    for block in range(words.shape[0] // WORDS_PER_BLOCK):
        row = WORDS_PER_BLOCK * block
        for t in range(rounds):
            w0, w1, w2, w3 = _block(seed, replication, purpose, first_round + t, block, 0)
            words[row, t] = w0
            words[row + 1, t] = w1
            words[row + 2, t] = w2
            words[row + 3, t] = w3


@compiled
def _word(
    seed: int, replication: int, purpose: int, round_: int, slot: int, attempt: int
) -> np.uint64:
    w0, w1, w2, w3 = _block(seed, replication, purpose, round_, slot // 4, attempt)
    lane = slot % 4
    if lane == 0:
        return w0
    if lane == 1:
        return w1
    if lane == 2:
        return w2
    return w3


@compiled
def word(seed: int, replication: int, purpose: int, round_: int, slot: int) -> int:
    """Return the 32-bit word at ``slot``.

    >>> word(1, 0, Purpose.ROUND, 0, 0) == word(1, 0, Purpose.ROUND, 0, 0)
    True
    """
    return int(_word(seed, replication, purpose, round_, slot, 0))


@compiled
def below(seed: int, replication: int, purpose: int, round_: int, slot: int, n: int) -> int:
    """Return an integer in [0, n), each equally likely; ``n`` lies in [1, 2**32].

    Lemire's multiply-and-shift with rejection (ACM Transactions on Modeling and Computer Simulation
    29, 2019). A rejected word, with probability below n / 2**32, is replaced by the same slot's
    word at the next attempt, so that no other slot moves.

    >>> below(1, 0, Purpose.ROUND, 0, 0, 1)
    0
    """
    bound = np.uint64(n)
    threshold = ((_ONE << _32) - bound) % bound
    attempt = 0
    product = np.uint64(_word(seed, replication, purpose, round_, slot, attempt)) * bound
    while (product & _LOW) < threshold and attempt < MAX_ATTEMPT:
        attempt += 1
        product = np.uint64(_word(seed, replication, purpose, round_, slot, attempt)) * bound
    return int(np.int64(product >> _32))


@compiled
def fill_below(
    integers: NDArray[np.int64], n: int, seed: int, replication: int, purpose: int, round_: int
) -> None:
    """Fill ``integers[slot]`` with what :func:`below` returns for each slot of one round.

    >>> import numpy as np
    >>> integers = np.empty(5, np.int64)
    >>> fill_below(integers, 10, 1, 0, Purpose.BOOTSTRAP, 0)
    >>> bool(integers[3] == below(1, 0, Purpose.BOOTSTRAP, 0, 3, 10))
    True
    """
    for slot in range(integers.size):
        integers[slot] = below(seed, replication, purpose, round_, slot, n)


@compiled_loop
def below_in_place(
    words: NDArray[np.uint32],
    bounds: NDArray[np.uint32],
    seed: int,
    replication: int,
    purpose: int,
    first_round: int,
    slot: int,
) -> None:
    """Turn one slot's words for consecutive rounds into what :func:`below` returns for them.

    ``words[t]`` must be the word of round ``first_round + t`` and becomes an integer in
    [0, ``bounds[t]``). One multiplication per word, eight at a time, as if none were rejected;
    where one might be, which is almost never, the whole stretch is drawn again one by one.

    >>> import numpy as np
    >>> words = np.empty((4, 3), np.uint32)
    >>> fill_words(words, 1, 0, Purpose.ROUND, 7)
    >>> below_in_place(words[2], np.full(3, 10, np.uint32), 1, 0, Purpose.ROUND, 7, 2)
    >>> words[2].tolist() == [below(1, 0, Purpose.ROUND, 7 + t, 2, 10) for t in range(3)]
    True
    """
    doubtful = 0
    for t in range(words.size):
        bound = np.uint64(bounds[t])
        product = np.uint64(words[t]) * bound
        doubtful += int((product & _LOW) < bound)
        words[t] = product >> _32
    if doubtful:
        _draw_again(words, bounds, seed, replication, purpose, first_round, slot)


@compiled_loop
def _draw_again(
    words: NDArray[np.uint32],
    bounds: NDArray[np.uint32],
    seed: int,
    replication: int,
    purpose: int,
    first_round: int,
    slot: int,
) -> None:
    for t in range(words.size):
        words[t] = below(seed, replication, purpose, first_round + t, slot, bounds[t])


@compiled
def double(high: np.uint64 | int, low: np.uint64 | int) -> float:
    """Return the double in (0, 1) that two 32-bit words make: one of 2**52 midpoints.

    52 bits and the half of the midpoint fit a double exactly, so that neither end is ever reached.

    >>> double(2**31, 0) == 0.5 + 2.0**-53
    True
    """
    bits = ((np.uint64(high) << _32) | np.uint64(low)) >> _12
    return (np.float64(np.int64(bits)) + 0.5) * 2.0**-52


@compiled
def uniform(seed: int, replication: int, purpose: int, round_: int, slot: int) -> float:
    """Return a double in the open interval (0, 1): one of 2**52 equally spaced midpoints.

    >>> 0.0 < uniform(1, 0, Purpose.PROFILE, 0, 0) < 1.0
    True
    """
    w0, w1, w2, w3 = _block(seed, replication, purpose, round_, slot // 2, 0)
    return double(w0, w1) if slot % 2 == 0 else double(w2, w3)


@compiled
def normal(seed: int, replication: int, purpose: int, round_: int, slot: int) -> float:
    """Return a standard normal: the normal quantile of :func:`uniform` at the same key.

    >>> from scipy.special import ndtr
    >>> z = normal(1, 0, Purpose.PROFILE, 0, 0)
    >>> bool(abs(ndtr(z) - uniform(1, 0, Purpose.PROFILE, 0, 0)) < 1e-15)
    True
    """
    return normal_quantile(uniform(seed, replication, purpose, round_, slot))


@compiled
def fill_uniforms(uniforms: NDArray[np.float64], words: NDArray[np.uint32]) -> None:
    """Fill ``uniforms[slot, t]`` with what :func:`uniform` returns for that slot and round.

    ``words`` is what :func:`fill_words` made of the same purpose and rounds.

    >>> import numpy as np
    >>> words, uniforms = np.empty((4, 2), np.uint32), np.empty((2, 2))
    >>> fill_words(words, 1, 0, Purpose.GATE, 7)
    >>> fill_uniforms(uniforms, words)
    >>> bool(uniforms[1, 1] == uniform(1, 0, Purpose.GATE, 8, 1))
    True
    """
    for slot in range(uniforms.shape[0]):
        for t in range(uniforms.shape[1]):
            uniforms[slot, t] = double(words[2 * slot, t], words[2 * slot + 1, t])


@compiled
def fill_normals(
    normals: NDArray[np.float64], uniforms: NDArray[np.float64], places: NDArray[np.uint32]
) -> None:
    """Fill ``normals`` with the normal quantiles of ``uniforms``, both of shape (slots, rounds).

    First as if all lay in the middle of the distribution, by arithmetic alone and so several at a
    time; then the 15 % that do not, one by one. They are listed first, in ``places`` (scratch of
    one entry per round), because a processor that guesses them wrong waits for each.

    >>> import numpy as np
    >>> uniforms, normals = np.array([[0.01, 0.5]]), np.empty((1, 2))
    >>> fill_normals(normals, uniforms, np.empty(2, np.uint32))
    >>> bool(normals[0, 0] == normal_quantile(0.01)), float(normals[0, 1])
    (True, 0.0)
    """
    for slot in range(normals.shape[0]):
        for t in range(normals.shape[1]):
            normals[slot, t] = _central_quantile(uniforms[slot, t] - 0.5)
        outside = 0
        for t in range(normals.shape[1]):
            places[outside] = t
            outside += int(abs(uniforms[slot, t] - 0.5) > _CENTRAL)
        for i in range(outside):
            normals[slot, places[i]] = normal_quantile(uniforms[slot, places[i]])


@compiled
def _central_quantile(q: float) -> float:
    return q * _ratio_centre(0.180625 - q * q)


@compiled
def _ratio_centre(r: float) -> float:
    top = 2.5090809287301226727e3
    top = top * r + 3.3430575583588128105e4
    top = top * r + 6.7265770927008700853e4
    top = top * r + 4.5921953931549871457e4
    top = top * r + 1.3731693765509461125e4
    top = top * r + 1.9715909503065514427e3
    top = top * r + 1.3314166789178437745e2
    top = top * r + 3.3871328727963666080e0
    bottom = 5.2264952788528545610e3
    bottom = bottom * r + 2.8729085735721942674e4
    bottom = bottom * r + 3.9307895800092710610e4
    bottom = bottom * r + 2.1213794301586595867e4
    bottom = bottom * r + 5.3941960214247511077e3
    bottom = bottom * r + 6.8718700749205790830e2
    bottom = bottom * r + 4.2313330701600911252e1
    return top / (bottom * r + 1.0)


@compiled
def _ratio_middle(r: float) -> float:
    top = 7.74545014278341407640e-4
    top = top * r + 2.27238449892691845833e-2
    top = top * r + 2.41780725177450611770e-1
    top = top * r + 1.27045825245236838258e0
    top = top * r + 3.64784832476320460504e0
    top = top * r + 5.76949722146069140550e0
    top = top * r + 4.63033784615654529590e0
    top = top * r + 1.42343711074968357734e0
    bottom = 1.05075007164441684324e-9
    bottom = bottom * r + 5.47593808499534494600e-4
    bottom = bottom * r + 1.51986665636164571966e-2
    bottom = bottom * r + 1.48103976427480074590e-1
    bottom = bottom * r + 6.89767334985100004550e-1
    bottom = bottom * r + 1.67638483018380384940e0
    bottom = bottom * r + 2.05319162663775882187e0
    return top / (bottom * r + 1.0)


@compiled
def _ratio_far(r: float) -> float:
    top = 2.01033439929228813265e-7
    top = top * r + 2.71155556874348757815e-5
    top = top * r + 1.24266094738807843860e-3
    top = top * r + 2.65321895265761230930e-2
    top = top * r + 2.96560571828504891230e-1
    top = top * r + 1.78482653991729133580e0
    top = top * r + 5.46378491116411436990e0
    top = top * r + 6.65790464350110377720e0
    bottom = 2.04426310338993978564e-15
    bottom = bottom * r + 1.42151175831644588870e-7
    bottom = bottom * r + 1.84631831751005468180e-5
    bottom = bottom * r + 7.86869131145613259100e-4
    bottom = bottom * r + 1.48753612908506148525e-2
    bottom = bottom * r + 1.36929880922735805310e-1
    bottom = bottom * r + 5.99832206555887937690e-1
    return top / (bottom * r + 1.0)


@compiled
def normal_quantile(p: float) -> float:
    """Return the standard normal quantile of ``p`` in (0, 1), to about 16 digits.

    Algorithm AS 241, PPND16 (Wichura, Applied Statistics 37, 1988). The inverse keeps
    the order of uniforms, up to rounding, and it needs no trigonometry, whose last bit differs
    between platforms.

    >>> normal_quantile(0.5)
    0.0
    """
    q = p - 0.5
    if abs(q) <= _CENTRAL:
        return _central_quantile(q)
    tail = min(p, 1.0 - p)
    r = math.sqrt(-math.log(tail))
    size = _ratio_middle(r - 1.6) if r <= 5.0 else _ratio_far(r - 5.0)
    return math.copysign(size, q)
