from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poq_abm.simulation.epochs.double_entry import Books, Fund, Holding, ImbalanceError

ACCOUNTS = [*Fund, *Holding]


def test_nodes_and_funds_by_hand() -> None:
    books = Books(3)
    books.move(Fund.USERS, Fund.POOL, 6.0)
    books.move(Fund.POOL, Holding.WALLET, np.array([1.0, 2.0, 3.0]))
    books.move(Holding.WALLET, Holding.BOND, np.array([0.0, 2.0, 0.0]))
    assert books.nodes[Holding.WALLET].tolist() == [1.0, 0.0, 3.0]
    assert books.nodes[Holding.BOND].tolist() == [0.0, 2.0, 0.0]
    assert books.funds[[Fund.USERS, Fund.POOL]].tolist() == [-6.0, 0.0]
    assert books.moved == 14.0


def test_what_was_made_from_nothing_is_noticed() -> None:
    books = Books(2)
    books.move(Fund.MINT, Holding.WALLET, np.array([1e6, 1e6]))
    books.check(0)
    books.nodes[Holding.WALLET, 0] += 0.01
    with pytest.raises(ImbalanceError, match="after epoch 7"):
        books.check(7)


def test_a_number_that_is_none_is_noticed() -> None:
    books = Books(1)
    books.move(Fund.MINT, Holding.WALLET, np.array([np.nan]))
    with pytest.raises(ImbalanceError):
        books.check(0)


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
    books = Books(4)
    for source, target, amounts in transfers:
        books.move(source, target, np.array(amounts))
    books.check(0)
