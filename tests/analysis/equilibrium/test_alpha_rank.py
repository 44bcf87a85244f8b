"""Alpha-rank against the numbers of OpenSpiel."""

import numpy as np
import pytest

from poq_abm.analysis.equilibrium.alpha_rank import alpha_rank, pairwise_gains

ONE = np.array([[0.0, -0.5, 1.0], [0.5, 0.0, -0.1], [-1.0, 0.1, 0.0]])
CYCLE = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])


@pytest.mark.parametrize(
    ("population", "alpha", "expected"),
    [
        (50, 1.0, (0.19163945, 0.66826088, 0.14009967)),
        (20, 0.5, (0.18904623, 0.69330714, 0.11764663)),
    ],
)
def test_of_one_population(population, alpha, expected):
    ranks = alpha_rank(pairwise_gains(ONE, population), alpha)
    assert ranks == pytest.approx(expected, abs=5e-9)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1000.0])
def test_of_a_cycle_all_are_alike(alpha):
    assert alpha_rank(pairwise_gains(CYCLE, 50), alpha) == pytest.approx([1 / 3] * 3)


def test_gains_that_depend_on_how_many_there_are():
    """Two strategies: the ratio of the shares is that of the chances, exp(alpha sum of gains)."""
    gains = np.zeros((2, 2, 9))
    gains[0, 1] = np.linspace(-0.3, 0.5, 9)
    gains[1, 0] = -gains[0, 1, ::-1]
    ranks = alpha_rank(gains, 2.0)
    assert ranks[0] / ranks[1] == pytest.approx(np.exp(2.0 * gains[0, 1].sum()))
    assert alpha_rank(np.zeros((1, 1, 9)), 1.0).tolist() == [1.0]


@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_openspiel_and_egttools_say_the_same():
    """Of random games; EGTTools counts who is met among the others, so that gains depend on it.

    Selection is weak, since EGTTools keeps chances of fixation above 1e-7 or so.
    """
    random, m = np.random.default_rng(3), 30
    for _ in range(3):
        payoffs = 0.2 * random.normal(size=(4, 4))
        _of_openspiel(payoffs, m)
        _of_egttools(payoffs, m)


def _of_openspiel(payoffs, m):
    alpharank = pytest.importorskip("open_spiel.python.egt.alpharank")
    theirs = alpharank.compute([payoffs], m=m, alpha=0.5)[2]
    ours = alpha_rank(pairwise_gains(payoffs, m), 0.5)
    assert ours == pytest.approx(theirs, abs=1e-8)


def _of_egttools(payoffs, m):
    analytical = pytest.importorskip("egttools.analytical")
    from egttools.games import Matrix2PlayerGameHolder
    from egttools.utils import calculate_stationary_distribution

    game = Matrix2PlayerGameHolder(4, payoffs)  # which the next keeps no hold of
    moves = analytical.PairwiseComparison(m, game)
    chain, _ = moves.calculate_transition_and_fixation_matrix_sml(0.5)
    j = np.arange(1, m)
    own = payoffs.diagonal()[:, None, None]
    row, column = payoffs[:, :, None], payoffs.T[:, :, None]
    mutants = (j - 1) * own + (m - j) * row
    residents = j * column + (m - j - 1) * own.transpose(1, 0, 2)
    ours = alpha_rank((mutants - residents) / (m - 1), 0.5)
    assert ours == pytest.approx(calculate_stationary_distribution(chain.T), abs=1e-8)
