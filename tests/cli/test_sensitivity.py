"""``poq sensitivity``, as a user calls it."""

from __future__ import annotations

import io

import pandas as pd
import pytest

FIELDS = ("--field", "mechanism.alpha_inference=0:1", "--field", "mechanism.beta_inference=0:1")
FEW = ("--rounds", 50, "--replications", 2, "--samples", 2)
PAY = ("--metric", "inference_reward_mean")


def said(outcome) -> str:
    return " ".join((outcome.out + outcome.err).split())


def test_indices_are_printed_and_noise_is_told(poq) -> None:
    pytest.importorskip("SALib")
    done = poq("sensitivity", "cost_aware_poq", *FIELDS, *FEW, *PAY)
    assert done.code == 0
    assert "mu_star" in done.out
    assert "of the outcome's variance over the design" in said(done)


def test_csv_is_the_table_and_nothing_else(poq) -> None:
    pytest.importorskip("SALib")
    done = poq("sensitivity", "cost_aware_poq", *FIELDS, *FEW, *PAY, "--csv", "--method", "sobol",
               "--field", "mechanism.aggregation=mean,median")  # fmt: skip
    table = pd.read_csv(io.StringIO(done.out))
    assert table["index"].unique().tolist() == ["S1", "ST"]
    assert len(table) == 6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (("mechanism.tau",), "write PATH=LOW:HIGH or PATH=A,B"),
        (("mechanism.tau=a:b",), "is no range of numbers"),
    ],
)
def test_a_users_mistake_is_a_message(poq, fields, message: str) -> None:
    options = [part for name in fields for part in ("--field", name)]
    done = poq("sensitivity", "cost_aware_poq", *options, *PAY)
    assert done.code == 2
    assert message in said(done)
