"""The C loop plays the same game as the compiled engine, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.c_loop import VARIANTS, CLoop, compile_loop, find_compiler
from benchmarks.contestants import same_sums
from benchmarks.networks import NETWORKS, Network, scenario_of
from poq_abm.random import Purpose, fill_words
from poq_abm.rules.schedule.drawing import Slot, words_per_round
from poq_abm.simulation.ledger import BLOCK_ROUNDS
from poq_abm.simulation.model import PoQModel

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return compile_loop(tmp_path_factory.mktemp("loop"))


@needs_compiler
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("network", [*NETWORKS, Network(1, 1, 1), Network(7, 40, 13)], ids=str)
def test_sums_are_the_same_bits(library, network, variant):
    assert same_sums(network, library, variant)


@needs_compiler
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_seed_replication_and_tasks(library, variant):
    scenario = scenario_of(Network(100, 50, 5)).replace(
        {"seed": 2**40 + 3, "tasks": {"qa": 0.25, "summarization": 0.75}}
    )
    model = PoQModel(scenario, replication=4)
    model.run(9_999)
    loop = CLoop(library, model.game, model.key, replication=4, variant=variant)
    loop.run(300)
    loop.run(9_999)
    assert np.array_equal(loop.nodes, model.ledger.nodes())
    assert np.array_equal(loop.network, model.ledger.network())


def rejections(network, rounds):
    """Return how many words of the committee slots are rejected."""
    words = np.empty((words_per_round(network.committee), rounds), np.uint32)
    fill_words(words, scenario_of(network).seed, 0, Purpose.ROUND, 0)
    drawn = words[Slot.COMMITTEE :][: network.committee].astype(np.uint64)
    bounds = np.uint64(network.evaluators) - np.arange(network.committee, dtype=np.uint64)[:, None]
    return int((drawn * bounds % 2**32 < 2**32 % bounds).sum())


@needs_compiler
@pytest.mark.parametrize("variant", VARIANTS)
def test_rejected_words_are_drawn_again_alike(library, variant):
    network = Network(10_000, 10_000, 64)
    assert rejections(network, BLOCK_ROUNDS - 1) > 0
    assert same_sums(network, library, variant, rounds=BLOCK_ROUNDS - 1)


@needs_compiler
def test_a_huge_committee_is_refused(library):
    model = PoQModel(scenario_of(Network(5, 100, 65)))
    with pytest.raises(ValueError, match="up to 64"):
        CLoop(library, model.game, model.key)


def test_without_a_compiler_there_is_no_library(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert compile_loop(tmp_path) is None
