"""The reduced game: whose payoff it is, who the others are, and what is refused."""

import numpy as np
import pytest

from poq_abm import load
from poq_abm.analysis.audit.empirical_game import empirical_game
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.equilibrium.reduced_game import (
    best_deviations,
    reduced_game,
    split_nodes,
)
from poq_abm.errors import InputError

BOOST = {"name": "boost"}
CONSTANT = {"name": "constant"}


@pytest.fixture(scope="module")
def runner():
    return VariantRunner.of(load("cost_aware_poq", ["rounds=150", "replications=4"]))


@pytest.fixture(scope="module")
def game(runner):
    return reduced_game(runner, [BOOST, CONSTANT], group="ce_minilm")


def test_as_many_players_as_nodes_is_the_game_itself(runner, game):
    assert game.strategies == ("honest", "boost", "constant")
    assert (game.others == game.nodes).all()
    assert game.samples.shape == (4, 3, 6)
    known = empirical_game(runner, [{"name": "honest"}, BOOST, CONSTANT], group="ce_minilm")
    alike = [int(np.flatnonzero(row == 2)[0]) for row in game.nodes.T]
    assert game.payoffs[:, alike] == pytest.approx(known.payoffs(), abs=1e-12)


def test_the_payoff_of_a_role_is_the_mean_of_its_groups(runner, game):
    labels = ("sts_stsb", "ce_minilm", "ce_deberta")
    alone = [reduced_game(runner, [BOOST], group=label).samples for label in labels]
    together = reduced_game(runner, [BOOST]).samples
    assert together == pytest.approx(np.mean(alone, axis=0), abs=1e-12)


def test_a_committee_of_one_pays_all_behaviours_alike():
    alone = load("cost_aware_poq", ["mechanism.committee_size=1", "rounds=50", "replications=2"])
    samples = reduced_game(VariantRunner.of(alone), [BOOST]).samples
    assert (samples == samples[:, :1, :1]).all()


def test_resampling_keeps_cells_of_a_replication_together(game):
    again = game.resampled(3)
    assert again.shape == (3, 3, 6)
    assert (again == game.resampled(3)).all()
    assert (again >= game.samples.min(axis=0) - 1e-12).all()
    assert (again <= game.samples.max(axis=0) + 1e-12).all()


@pytest.mark.parametrize(
    ("counts", "nodes", "expected"),
    [([4, 0], 19, [19, 0]), ([2, 1, 1], 19, [9, 5, 5]), ([1, 1], 3, [2, 1]), ([1, 3], 4, [1, 3])],
)
def test_nodes_split_in_proportion(counts, nodes, expected):
    assert split_nodes(counts, nodes) == expected


def test_what_gains_most_among_the_honest_is_chosen(runner):
    names = [spec["name"] for spec in best_deviations(runner)]
    assert len(names) == 2
    assert "honest" not in names
    assert "collude" not in names


@pytest.mark.parametrize(
    ("deviations", "more", "message"),
    [
        ([{"name": "bost"}], {}, "no behaviour 'bost' of evaluator nodes; did you mean 'boost'"),
        ([{"name": "collude"}], {}, "collude needs a ring"),
        ([], {}, "honest and 1 to 5 other strategies, got 0"),
        ([{"name": "honest"}], {}, "got 0"),
        ([BOOST], {"players": 4}, "a game of 2 to 3 players, not 4"),
        ([BOOST], {"group": "ce"}, "no group 'ce' of evaluator nodes"),
    ],
)
def test_mistakes_are_told(runner, deviations, more, message):
    with pytest.raises(InputError, match=message):
        reduced_game(runner, deviations, **more)
