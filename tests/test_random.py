"""The keyed streams: the right bits, the same bits everywhere, and bits that look like chance.

The statistical tests have fixed keys, so they always give the same result. Their thresholds are
those of a test that a perfect stream fails with a stated probability; see ``ALARM``.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from poq_abm.limits import MAX_REPLICATIONS, MAX_ROUNDS, MAX_SEED
from poq_abm.random import (
    Purpose,
    below,
    below_in_place,
    fill_below,
    fill_normals,
    fill_uniforms,
    fill_words,
    normal,
    normal_quantile,
    philox4x32,
    uniform,
    word,
)

#: The probability that one statistical test here fails on a perfect stream. There are fewer than
#: 200 of them, so all of them together fail with probability below 2e-5 (Bonferroni).
ALARM = 1e-7

ROUND, PROFILE, BOOTSTRAP = map(int, (Purpose.ROUND, Purpose.PROFILE, Purpose.BOOTSTRAP))

seeds = st.integers(0, MAX_SEED)
replications = st.integers(0, MAX_REPLICATIONS - 1)
purposes = st.integers(0, 255)
rounds = st.one_of(st.integers(0, 1000), st.integers(2**32 - 9, 2**32 + 9)) | st.integers(
    0, MAX_ROUNDS - 1
)
slots = st.integers(0, 40) | st.integers(0, 2**33)
keys = st.tuples(seeds, replications, purposes, rounds, slots)
bounds = st.one_of(
    st.integers(1, 50),
    st.integers(1, 2**32),
    st.sampled_from([2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1, 2**32]),
)
property_test = settings(deadline=None, derandomize=True, max_examples=300)


# --------------------------------------------------------------------------- an independent reading


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Philox 4x32-10 in Python's integers, after the paper."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * c0, 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def word_by_hand(
    seed: int, replication: int, purpose: int, round_: int, slot: int, attempt: int = 0
) -> int:
    high = round_ // 2**32 + 2**16 * purpose + 2**24 * attempt
    counter = (round_ % 2**32, high, slot // 4, replication)
    return philox(counter, (seed % 2**32, seed // 2**32))[slot % 4]


def below_by_hand(key: tuple[int, int, int, int, int], n: int) -> int:
    """Lemire's rule in Python's integers; the words of later attempts replace rejected ones."""
    for attempt in range(256):
        number, rest = divmod(word_by_hand(*key, attempt) * n, 2**32)
        if rest >= 2**32 % n:
            break
    return number


KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    assert philox(counter, key) == words  # the reading in this file, used below
    drawn = philox4x32(*(np.uint64(part) for part in (*counter, *key)))
    assert tuple(int(w) for w in drawn) == words


@property_test
@given(keys)
def test_a_word_is_philox_of_the_counter_the_module_describes(
    key: tuple[int, int, int, int, int],
) -> None:
    assert word(*key) == word_by_hand(*key)


@property_test
@given(keys, bounds)
def test_below_is_lemires_rule_with_a_new_word_for_each_attempt(
    key: tuple[int, int, int, int, int], n: int
) -> None:
    drawn = below(*key, n)
    assert drawn == below_by_hand(key, n)
    assert 0 <= drawn < n


@property_test
@given(keys)
def test_a_double_is_made_of_two_neighbouring_words(key: tuple[int, int, int, int, int]) -> None:
    *where, slot = key
    number = uniform(*where, slot)
    high, low = (word_by_hand(*where, 2 * slot + i) for i in range(2))
    bits = (high * 2**32 + low) // 2**12
    assert number * 2.0**53 == 2 * bits + 1  # a midpoint, exactly
    assert 0.0 < number < 1.0
    assert normal(*where, slot) == normal_quantile(number)


def test_a_uniform_is_a_midpoint_so_that_it_never_is_one() -> None:
    drawn = uniforms(1, 0, PROFILE, 0, 1000)
    assert np.all(drawn * 2.0**52 % 1.0 == 0.5)


# ------------------------------------------------------------------------ the same bits everywhere


@njit
def from_compiled_code(seed: int, replication: int, round_: int, slot: int, n: int) -> Any:
    return (
        word(seed, replication, ROUND, round_, slot),
        below(seed, replication, ROUND, round_, slot, n),
        uniform(seed, replication, PROFILE, round_, slot),
        normal(seed, replication, PROFILE, round_, slot),
    )


@property_test
@given(seeds, replications, rounds, slots, bounds)
def test_compiled_code_sees_the_same_bits(
    seed: int, replication: int, round_: int, slot: int, n: int
) -> None:
    assert from_compiled_code(seed, replication, round_, slot, n) == (
        word(seed, replication, ROUND, round_, slot),
        below(seed, replication, ROUND, round_, slot, n),
        uniform(seed, replication, PROFILE, round_, slot),
        normal(seed, replication, PROFILE, round_, slot),
    )


SHOW_BITS = """
from poq_abm.random import below, normal, uniform, word
for seed, round_ in ((1, 0), (2**63 - 1, 2**32 + 5), (2**40 + 3, 2**48 - 1)):
    for slot in range(6):
        key = (seed, 2**32 - 1, 2, round_, slot)
        print(int(word(*key)), int(below(*key, 3 * 2**30)), float(uniform(*key)).hex(),
              float(normal(*key)).hex())
"""


def test_interpreted_code_makes_the_same_bits() -> None:
    """Without compilation the streams run as plain Python and NumPy, and nothing changes."""
    shown = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", SHOW_BITS],
            env={**os.environ, "NUMBA_DISABLE_JIT": switch},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for switch in ("0", "1")
    ]
    assert shown[0] == shown[1]
    assert shown[0].count("\n") == 18


@property_test
@given(seeds, replications, purposes, rounds, st.integers(1, 6), st.integers(1, 40))
def test_fill_words_gives_the_words(
    seed: int, replication: int, purpose: int, first: int, blocks: int, count: int
) -> None:
    first = min(first, MAX_ROUNDS - count)
    words = np.empty((4 * blocks, count), np.uint32)
    fill_words(words, seed, replication, purpose, first)
    for slot, t in product((0, 1, 4 * blocks - 2, 4 * blocks - 1), (0, count // 2, count - 1)):
        assert words[slot, t] == word(seed, replication, purpose, first + t, slot)


@property_test
@given(seeds, replications, purposes, rounds, st.integers(1, 6), st.integers(1, 40))
def test_filled_doubles_are_those_drawn_one_by_one(
    seed: int, replication: int, purpose: int, first: int, slots: int, count: int
) -> None:
    """To the last bit, for the middle of the normal distribution and for its tails."""
    first = min(first, MAX_ROUNDS - count)
    words = np.empty((-(-slots // 2) * 4, count), np.uint32)
    uniforms, normals = np.empty((slots, count)), np.empty((slots, count))
    fill_words(words, seed, replication, purpose, first)
    fill_uniforms(uniforms, words)
    fill_normals(normals, uniforms, np.empty(count, np.uint32))
    for slot, t in product(range(slots), range(count)):
        key = (seed, replication, purpose, first + t, slot)
        assert uniforms[slot, t] == uniform(*key)
        assert normals[slot, t] == normal(*key)


@property_test
@given(seeds, replications, purposes, rounds, st.integers(0, 11), st.data(), st.integers(1, 40))
def test_below_in_place_is_below(
    seed: int,
    replication: int,
    purpose: int,
    first: int,
    slot: int,
    data: st.DataObject,
    count: int,
) -> None:
    """Small bounds take the quick path; bounds near 2**32 reject up to every second word."""
    first = min(first, MAX_ROUNDS - count)
    limits = data.draw(
        st.lists(bounds.filter(lambda n: n < 2**32), min_size=count, max_size=count)
        | st.just([3 * 2**30] * count)
        | st.just([10] * count)
    )
    words = np.empty((12, count), np.uint32)
    fill_words(words, seed, replication, purpose, first)
    untouched = words.copy()
    below_in_place(
        words[slot], np.array(limits, np.uint32), seed, replication, purpose, first, slot
    )
    key = (seed, replication, purpose)
    assert words[slot].tolist() == [below(*key, first + t, slot, n) for t, n in enumerate(limits)]
    words[slot] = untouched[slot]
    assert np.array_equal(words, untouched)


@property_test
@given(seeds, replications, purposes, rounds, bounds, st.integers(0, 40))
def test_fill_below_is_below_in_every_slot(
    seed: int, replication: int, purpose: int, round_: int, n: int, count: int
) -> None:
    filled = np.full(count, -1, np.int64)
    fill_below(filled, n, seed, replication, purpose, round_)
    key = (seed, replication, purpose, round_)
    assert filled.tolist() == [below(*key, slot, n) for slot in range(count)]


def test_a_rejected_word_moves_no_other_slot_and_no_other_round() -> None:
    """A quarter of the draws below 3 * 2**30 is rejected; each then takes its own next attempt."""
    n, count = 3 * 2**30, 400
    words = fill(1, 0, ROUND, 0, count)[1]
    rejected = [int(w) * n % 2**32 < 2**32 % n for w in words]
    assert 60 < sum(rejected) < 140  # so that both cases are looked at
    for t in range(count):
        drawn = below(1, 0, ROUND, t, 1, n)
        assert drawn == below_by_hand((1, 0, ROUND, t, 1), n)
        assert (drawn == int(words[t]) * n // 2**32) or rejected[t]


def test_the_largest_bound_returns_the_word_and_the_smallest_zero() -> None:
    for slot in range(8):
        assert below(1, 2, ROUND, 3, slot, 2**32) == word(1, 2, ROUND, 3, slot)
        assert below(1, 2, ROUND, 3, slot, 1) == 0


@pytest.mark.parametrize("draw", [word, uniform, normal])
def test_draws_do_not_depend_on_the_order_in_which_they_are_made(
    draw: Callable[..., float],
) -> None:
    where = list(product((1, 2), (0, 3), (ROUND, PROFILE), (0, 7, 2**33), range(9)))
    forwards = {key: draw(*key) for key in where}
    backwards = {key: draw(*key) for key in reversed(where)}
    assert forwards == backwards
    assert len(set(forwards.values())) == len(where)


# ------------------------------------------------------------------- different keys never meet


EDGE_ROUNDS = (0, 1, 2, 2**16, 2**24, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**33, 2**47, 2**48 - 1)
EDGE_PURPOSES = (0, 1, 2, 3, 4, 127, 128, 255)
EDGE_REPLICATIONS = (0, 1, 2, 2**16, 2**31, 2**32 - 1)
EDGE_BLOCKS = (0, 1, 2, 2**16, 2**31)


def test_different_keys_have_different_counters() -> None:
    """For one seed Philox is a bijection of its counter: equal blocks would mean equal counters."""
    where = list(product(EDGE_REPLICATIONS, EDGE_PURPOSES, EDGE_ROUNDS, EDGE_BLOCKS))
    blocks = {
        tuple(word(5, replication, purpose, round_, 4 * block + lane) for lane in range(4))
        for replication, purpose, round_, block in where
    }
    assert len(blocks) == len(where)


def test_later_attempts_have_counters_of_their_own() -> None:
    """Attempts sit above the purpose: none may read the words of another purpose or round."""
    n = 2**31 + 1  # rejects nearly every second word
    bits = {
        (a, p, r): word_by_hand(1, 0, p, r, 0, a) for a in (0, 1) for p in (1, 2) for r in (0, 1)
    }
    assert len(set(bits.values())) == len(bits)
    retried = [t for t in range(100) if int(word(1, 0, ROUND, t, 0)) * n % 2**32 < 2**32 % n]
    assert len(retried) > 20
    for t in retried:
        second = word_by_hand(1, 0, ROUND, t, 0, attempt=1)
        if second * n % 2**32 >= 2**32 % n:
            assert below(1, 0, ROUND, t, 0, n) == second * n // 2**32


@property_test
@given(keys, keys)
def test_the_whole_seed_is_used(
    one: tuple[int, int, int, int, int], other: tuple[int, int, int, int, int]
) -> None:
    """Four words agree by chance once in 2**128; equal blocks mean equal keys."""
    first = [word(*one[:4], 4 * (one[4] // 4) + lane) for lane in range(4)]
    second = [word(other[0], *one[1:4], 4 * (one[4] // 4) + lane) for lane in range(4)]
    assert (first == second) == (one[0] == other[0])


# ------------------------------------------------------------------------------------ statistics


def fill(
    seed: int, replication: int, purpose: int, first: int, count: int, blocks: int = 1
) -> NDArray[np.uint32]:
    words = np.empty((4 * blocks, count), np.uint32)
    fill_words(words, seed, replication, purpose, first)
    return words


def uniforms(seed: int, replication: int, purpose: int, slot: int, count: int) -> Any:
    return np.array([uniform(seed, replication, purpose, t, slot) for t in range(count)])


def two_sided(statistic: float, degrees: int) -> float:
    """The p-value of a chi-square statistic; a fit too good to be chance counts as bad."""
    return 2.0 * min(stats.chi2.sf(statistic, degrees), stats.chi2.cdf(statistic, degrees))


def bytes_look_even(words: NDArray[np.uint32]) -> bool:
    counts = np.bincount(words.astype("<u4").view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return two_sided(float(((counts - expected) ** 2 / expected).sum()), 255) > ALARM


def look_unrelated(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> bool:
    """Whether neither their sizes are correlated nor their bits agree more or less than half."""
    n = one.size
    limit = -ndtri(ALARM / 4)  # two two-sided tests
    # Of n independent pairs the correlation has s.d. 1 / sqrt(n - 1), near enough normal at this n.
    correlation = np.corrcoef(one.astype(np.float64), other.astype(np.float64))[0, 1]
    differing = int(np.bitwise_count(one ^ other).sum())
    bits = (differing - 16 * n) / math.sqrt(8 * n)
    return bool(abs(correlation) * math.sqrt(n - 1) < limit and abs(bits) < limit)


COUNT = 2**17


def neighbours() -> Iterator[tuple[str, NDArray[np.uint32], NDArray[np.uint32]]]:
    here = fill(1, 0, ROUND, 0, COUNT, blocks=2)
    for lag in (1, 2, 4, 256):
        yield f"rounds, {lag} apart", here[0, :-lag], here[0, lag:]
    for lag in (1, 2, 3, 4):
        yield f"slots, {lag} apart", here[0], here[lag]
    for name, key in {
        "replication 1": (1, 1, ROUND, 0),
        "replication 2**31": (1, 2**31, ROUND, 0),
        "another purpose": (1, 0, PROFILE, 0),
        "round + 2**32": (1, 0, ROUND, 2**32),
        "round + 2**47": (1, 0, ROUND, 2**47),
        "seed 0": (0, 0, ROUND, 0),
        "seed 2": (2, 0, ROUND, 0),
        "seed + 2**32": (2**32 + 1, 0, ROUND, 0),
        "seed + 2**62": (2**62 + 1, 0, ROUND, 0),
    }.items():
        yield name, here[0], fill(*key, COUNT)[0]


@pytest.mark.parametrize("lane", range(4))
@pytest.mark.parametrize(("seed", "replication"), [(0, 0), (1, 0), (1, 7), (2**63 - 1, 2**32 - 1)])
def test_every_byte_is_equally_likely(seed: int, replication: int, lane: int) -> None:
    assert bytes_look_even(fill(seed, replication, ROUND, 0, COUNT)[lane])


def test_neighbouring_keys_give_unrelated_words() -> None:
    related = [name for name, one, other in neighbours() if not look_unrelated(one, other)]
    assert related == []


def test_replications_of_one_round_look_like_chance() -> None:
    across = np.array([word(1, r, ROUND, 0, 0) for r in range(2**15)], np.uint32)
    assert bytes_look_even(across)
    assert look_unrelated(across[:-1], across[1:])


@pytest.mark.parametrize("n", [2, 3, 7, 10, 100, 1000])
def test_every_number_below_n_is_equally_likely(n: int) -> None:
    words = fill(3, 1, ROUND, 0, COUNT)[2]
    below_in_place(words, np.full(COUNT, n, np.uint32), 3, 1, ROUND, 0, 2)
    counts = np.bincount(words, minlength=n)
    assert counts.size == n
    assert two_sided(float(((counts - COUNT / n) ** 2 / (COUNT / n)).sum()), n - 1) > ALARM


def test_rejection_leaves_no_bias() -> None:
    """Without it numbers divisible by 3 would come twice as often below 3 * 2**30."""
    words = fill(3, 1, ROUND, 0, COUNT)[2]
    below_in_place(words, np.full(COUNT, 3 * 2**30, np.uint32), 3, 1, ROUND, 0, 2)
    counts = np.bincount(words % 3, minlength=3)
    assert two_sided(float(((counts - COUNT / 3) ** 2 / (COUNT / 3)).sum()), 2) > ALARM


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_uniforms_and_normals_have_their_distributions(slot: int) -> None:
    drawn = uniforms(1, 0, PROFILE, slot, 50_000)
    assert stats.kstest(drawn, "uniform").pvalue > ALARM
    normals = np.array([normal(1, 1, PROFILE, t, slot) for t in range(50_000)])
    assert stats.kstest(normals, "norm").pvalue > ALARM
    # Mean and variance see what Kolmogorov and Smirnov overlook in the tails.
    n = normals.size
    assert abs(normals.mean()) * math.sqrt(n) < -ndtri(ALARM / 2)
    assert two_sided(float((normals**2).sum()), n) > ALARM


def test_neighbouring_uniforms_are_uncorrelated() -> None:
    limit = -ndtri(ALARM / 2) / math.sqrt(50_000)
    one, other = uniforms(1, 0, PROFILE, 0, 50_000), uniforms(1, 0, PROFILE, 1, 50_000)
    assert abs(np.corrcoef(one, other)[0, 1]) < limit
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < limit


def test_these_checks_notice_a_counter_and_a_weak_mix() -> None:
    """What a bad stream would do to the checks above."""
    counter = np.arange(COUNT, dtype=np.uint32)
    scrambled = counter * np.uint32(0x9E3779B9)  # Weyl's sequence: even, but far from chance
    assert not bytes_look_even(counter)
    assert not bytes_look_even(scrambled)
    assert not look_unrelated(counter[:-1], counter[1:])
    assert not look_unrelated(scrambled[:-1], scrambled[1:])
    good = fill(1, 0, ROUND, 0, COUNT)[0]
    assert not look_unrelated(good, good ^ np.uint32(2**16))  # the key moves one bit only
    assert not look_unrelated(good, good)
    assert stats.kstest(counter[:50_000] / 2**17, "uniform").pvalue < ALARM


# ------------------------------------------------------------------------------ normal quantiles

open_interval = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


def far_tails() -> NDArray[np.float64]:
    return np.concatenate([10.0 ** -np.linspace(0.5, 307.0, 4000), [5e-324, 2.0**-54, 2.0**-53]])


def test_the_normal_quantile_agrees_with_scipy() -> None:
    p = np.concatenate(
        [far_tails(), np.linspace(1e-6, 1.0 - 1e-6, 20_001), 1.0 - 2.0 ** -np.arange(2, 53)]
    )
    mine, theirs = np.array([normal_quantile(x) for x in p]), ndtri(p)
    # Both claim about 16 digits, relatively: ten units in the last place of room for the two of
    # them. Near one half the result is p - 0.5 times a constant, so there it is relative too.
    np.testing.assert_allclose(mine, theirs, rtol=10 * 2.0**-52, atol=0.0)


@property_test
@given(st.floats(1e-290, 1.0, exclude_max=True))  # below, SciPy's distribution loses digits
def test_the_normal_quantile_inverts_the_normal_distribution(p: float) -> None:
    z = normal_quantile(p)
    # An error of 4 units in the last place of z moves the probability by the density times that;
    # SciPy's distribution has about as large an error of its own.
    slack = 2 * (4 * 2.0**-52) * (abs(z) * stats.norm.pdf(z) + p)
    assert abs(stats.norm.cdf(z) - p) <= slack


@property_test
@given(st.integers(1, 2**52))
def test_the_normal_quantile_is_antisymmetric(steps: int) -> None:
    """For multiples of 2**-53 the complement is exact, and so is the antisymmetry."""
    p = steps * 2.0**-53
    assert normal_quantile(1.0 - p) == -normal_quantile(p)


@property_test
@given(open_interval, open_interval)
def test_the_normal_quantile_is_monotone_up_to_rounding(one: float, other: float) -> None:
    """Neighbouring doubles may swap in the last place, as with any rounded rational function."""
    low, high = sorted((one, other))
    smaller, larger = normal_quantile(low), normal_quantile(high)
    assert smaller <= larger + 4 * 2.0**-52 * abs(larger)


@pytest.mark.parametrize("seam", [0.5 - 0.425, 0.5 + 0.425, math.exp(-25.0), 1.0 - math.exp(-25.0)])
def test_the_normal_quantile_has_no_step_at_its_seams(seam: float) -> None:
    """Where one rational function hands over to the next, at |p - 0.5| = 0.425 and r = 5."""
    around = seam * (1.0 + np.arange(-200, 201) * 1e-13)
    around = around[(around > 0.0) & (around < 1.0)]
    quantiles = np.array([normal_quantile(p) for p in around])
    assert np.all(np.diff(quantiles) >= 0.0)
