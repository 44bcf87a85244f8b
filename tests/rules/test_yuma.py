"""Yuma by the three epochs that its authors publish, and by what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poq_abm.rules.yuma import (
    BOND_LEVELS,
    YumaTerms,
    bond_rates,
    normalised,
    settle_weights,
    stake_majority,
    stored,
)

Array = np.ndarray

#: opentensor/subtensor, epoch tests of the subtensor pallet, test_bonds: numbers of its debug log
STAKE = np.array([0.1, 0.2, 0.3, 0.4])
WEIGHTS = np.array([16383.0, 32767.0, 49149.0, 65535.0])  # of every validator, in sixteen bits
PUBLISHED = [
    {
        "active": [0, 1, 2, 3],
        "consensus": [0.0999975584, 0.2000012207, 0.2999926754, 0.400008545],
        "incentive": [0.0999975582, 0.2000012207, 0.2999926752, 0.4000085455],
        "validator_trust": [1, 1, 1, 1],
        "ema_bond": [0.0099999998, 0.0199999998, 0.03, 0.04],
        "ema_bond_norm": [0.1, 0.2, 0.3, 0.4],
        "dividends": [0.0333333318, 0.1333333314, 0.3000000005, 0.5333333358],
        "bonds_u16": [655, 1310, 1966, 2621],
    },
    {
        "active": [1, 2, 3],
        "consensus": [0.0999975584, 0.2000012207, 0.2999926754, 0.400008545],
        "ranks": [0.0899978022, 0.1800010982, 0.2699934072, 0.36000769],
        "validator_trust": [0, 1, 1, 1],
        "ema_bond_norm": [0.0473482562, 0.2116682583, 0.3175746764, 0.4234088087],
        "dividends": [0.0151901136, 0.1358134532, 0.3056498466, 0.5433465862],
        "bonds_u16": [589, 2635, 3953, 5271],
    },
    {
        "active": [2, 3],
        "ranks": [0.0699982906, 0.1400008542, 0.2099948723, 0.2800059812],
        "validator_trust": [0, 0, 1, 1],
        "ema_bond_norm": [0.0298535195, 0.1335552211, 0.3585318692, 0.4780593896],
        "dividends": [0.0090883898, 0.08131718, 0.3274465878, 0.5821478418],
        "bonds_u16": [530, 2371, 6366, 8488],
    },
]


def test_the_three_published_epochs_are_matched() -> None:
    bonds = np.zeros((4, 4))
    for published in PUBLISHED:
        weights = np.zeros((4, 4))
        weights[published["active"]] = WEIGHTS / WEIGHTS.sum()
        epoch = settle_weights(weights, STAKE, bonds, YumaTerms())
        bonds = stored(epoch.bonds)
        found = {
            **epoch._asdict(),
            "ema_bond": epoch.bonds[:, 0],
            "ema_bond_norm": normalised(epoch.bonds)[:, 0],
            "bonds_u16": bonds[:, 0] * BOND_LEVELS,
        }
        for name, values in published.items():
            if name != "active":
                np.testing.assert_allclose(found[name], values, rtol=0.0, atol=1e-8, err_msg=name)


@st.composite
def epochs(draw: st.DrawFn) -> tuple[Array, Array, Array, YumaTerms]:
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    unit = st.floats(0.0, 1.0, width=32)
    weights = normalised(draw(hnp.arrays(np.float64, shape, elements=unit)), axis=1)
    stake = normalised(draw(hnp.arrays(np.float64, shape[0], elements=unit)))
    bonds = stored(draw(hnp.arrays(np.float64, shape, elements=unit)))
    liquid = draw(st.sampled_from([{}, {"bond_rate_low": 0.1, "bond_rate_high": 0.4}]))
    terms = YumaTerms(draw(st.sampled_from([0.25, 0.5, 1.0])), bond_penalty=draw(unit), **liquid)
    return weights, stake, bonds, terms


@settings(deadline=None, derandomize=True)
@given(epochs())
def test_shares_are_shares_and_nothing_exceeds_the_consensus(
    played: tuple[Array, Array, Array, YumaTerms],
) -> None:
    weights, stake, bonds, terms = played
    epoch = settle_weights(weights, stake, bonds, terms)
    for share in (epoch.incentive, epoch.dividends):
        assert (share >= 0.0).all()
        assert share.sum() == pytest.approx(1.0) or share.sum() == 0.0
    assert (epoch.ranks <= epoch.consensus * stake.sum() + 1e-12).all()
    assert (epoch.validator_trust <= weights.sum(axis=1) + 1e-12).all()
    assert (epoch.bonds <= 1.0 + 1e-12).all()
    for node, agreed in enumerate(epoch.consensus):
        assert stake[weights[:, node] >= agreed].sum() >= terms.kappa - 1e-6 or agreed == 0.0


def test_a_minority_cannot_lift_a_node_of_its_own() -> None:
    honest, lie = [0.5, 0.5], [0.0, 1.0]
    stake = np.array([0.3, 0.3, 0.4])
    epoch = settle_weights(
        np.array([honest, honest, lie]), stake, np.zeros((3, 2)), YumaTerms(bond_penalty=1.0)
    )
    assert epoch.consensus.tolist() == [0.5, 0.5]
    assert epoch.validator_trust.tolist() == [1.0, 1.0, 0.5]
    # The liar keeps its bonds with the second node only, as large as those of anybody there.
    assert epoch.dividends[2] < stake[2]
    assert (
        settle_weights(
            np.array([honest, honest, lie]), stake, np.zeros((3, 2)), YumaTerms(bond_penalty=0.0)
        ).dividends[2]
        > epoch.dividends[2]
    )


def test_support_that_sums_to_the_majority_but_for_rounding_is_one() -> None:
    stake = np.array([0.1, 0.2, 0.7])
    assert stake_majority(np.array([[0.5], [0.5], [0.1]]), stake, 0.3).tolist() == [0.5]


def test_liquid_rates_reach_their_ends_at_the_quartiles() -> None:
    terms = YumaTerms(bond_rate_low=0.2, bond_rate_high=0.8)
    assert bond_rates(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), terms) == pytest.approx(
        [0.2, 0.2, 0.5, 0.8, 0.8]
    )
    assert bond_rates(np.array([0.0, 3.0, 3.0]), terms).tolist() == [0.5, 0.5, 0.5]
    slow = YumaTerms(bond_rate_low=0.1, bond_rate_high=0.3)
    assert bond_rates(np.array([3.0, 3.0]), slow).tolist() == [0.3, 0.3]
    assert bond_rates(np.zeros(2), terms).tolist() == [0.2, 0.2]
