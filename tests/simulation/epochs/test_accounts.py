from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.simulation.epochs.accounts import Accounts, Fund, Holding, ImbalanceError

ACCOUNTS = [*Fund, *Holding]


def test_nodes_and_funds_by_hand() -> None:
    accounts = Accounts(3)
    accounts.move(Fund.USERS, Fund.POOL, 6.0)
    accounts.move(Fund.POOL, Holding.WALLET, np.array([1.0, 2.0, 3.0]))
    accounts.move(Holding.WALLET, Holding.BOND, np.array([0.0, 2.0, 0.0]))
    assert accounts.nodes[Holding.WALLET].tolist() == [1.0, 0.0, 3.0]
    assert accounts.nodes[Holding.BOND].tolist() == [0.0, 2.0, 0.0]
    assert accounts.funds[[Fund.USERS, Fund.POOL]].tolist() == [-6.0, 0.0]
    assert accounts.moved == 14.0


def test_what_was_made_from_nothing_is_noticed() -> None:
    accounts = Accounts(2)
    accounts.move(Fund.MINT, Holding.WALLET, np.array([1e6, 1e6]))
    accounts.check(0)
    accounts.nodes[Holding.WALLET, 0] += 0.01
    with pytest.raises(ImbalanceError, match="after epoch 7"):
        accounts.check(7)


def test_a_number_that_is_none_is_noticed() -> None:
    accounts = Accounts(1)
    accounts.move(Fund.MINT, Holding.WALLET, np.array([np.nan]))
    with pytest.raises(ImbalanceError):
        accounts.check(0)


@settings(deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(ACCOUNTS),
            st.sampled_from(ACCOUNTS),
            st.lists(st.floats(0.0, 1e9), min_size=4, max_size=4),
        ),
        max_size=40,
    )
)
def test_any_transfers_balance(transfers: list[tuple[Fund, Fund, list[float]]]) -> None:
    accounts = Accounts(4)
    for source, target, amounts in transfers:
        accounts.move(source, target, np.array(amounts))
    accounts.check(0)
