"""``poq contract``, as a user calls it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from poq_abm.experiment.running import run
from poq_abm.profile.profile import ProfileDescription, write_profile
from poq_abm.profile.validity import COST_COLUMNS
from poq_abm.scenario import load

FEW = ("--resamples", 20)
TARGET = ("small_llms", "--target", "gemma3_q4")


def said(outcome) -> str:
    return " ".join((outcome.out + outcome.err).split())


def test_it_says_what_the_cheapest_contract_costs(poq, tmp_path: Path) -> None:
    done = poq("contract", *TARGET, *FEW, "--out", tmp_path / "found")
    assert done.code == 0
    assert "The cheapest contract that makes gemma3_q4 the best to run pays 0.3463" in said(done)
    assert "alpha Q - beta C does it from alpha = 19.98, for 10.9." in said(done)
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [
        "contract.csv", "contract.png", "contract.svg"
    ]  # fmt: skip
    assert max(map(len, done.out.splitlines())) <= 180


def test_csv_is_the_table_and_nothing_else(poq) -> None:
    done = poq("contract", *TARGET, *FEW, "--csv")
    table = pd.read_csv(io.StringIO(done.out))
    assert table["contract"].tolist() == [
        *["as known", "as known", "cost-robust", "cost-robust"], *["monotone", "monotone", "linear"]
    ]  # fmt: skip


def test_the_scenario_it_writes_pays_the_target_best(poq, tmp_path: Path) -> None:
    """Indifference is the optimum: the target's mean is the best but for the luck of the rounds."""
    file = tmp_path / "mine.yaml"
    shown = poq("contract", *TARGET, *FEW)
    done = poq("contract", *TARGET, *FEW, "--write", file)
    assert done.code == 0
    section = shown.out[shown.out.index("mechanism:") :]
    assert section in file.read_text()
    assert "mechanism:" not in done.out
    assert poq("validate", file).code == 0
    found = run(load(file).replace({"rounds": 20_000, "replications": 2})).nodes
    paid = found[found["role"] == "inference"].groupby("model", observed=True)["reward_mean"].mean()
    assert paid["gemma3_q4"] == pytest.approx(paid.max(), abs=0.03)
    assert paid["gemma3_q4"] == pytest.approx(0.346 - 0.3 * 0.258, abs=0.03)
    assert paid.drop("gemma3_q4").min() < paid["gemma3_q4"] - 0.05
    assert "exists" in poq("contract", *TARGET, *FEW, "--write", file).err
    lost = ("published", "--target", "qwen2_1_5b", "--bins", 2, "--evaluator", "sts_stsb")
    refused = poq("contract", *lost, *FEW, "--write", tmp_path / "none.yaml")
    assert refused.code == 0
    assert "nothing is written" in said(refused)
    assert not (tmp_path / "none.yaml").exists()


def test_no_contract_is_a_finding(poq) -> None:
    asked = ("--bins", 2, "--evaluator", "sts_stsb")
    done = poq("contract", "published", "--target", "qwen2_1_5b", *FEW, *asked)
    assert done.code == 0
    assert "No contract on these scores makes qwen2_1_5b the best to run: the mix" in said(done)
    assert "mechanism:" not in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cost", "prize"), "--cost prize: did you mean 'price'?"),
        (("--edges", "equel"), "--edges equel: did you mean 'equal'?"),
        (("--cost", "price"), "has no prices"),
        (("--cost", "price", "--beta", 1), "--beta does nothing with --cost price"),
        (("--evaluator", "wordllama", "--aggregation", "mean"), "--aggregation does nothing"),
        (("--bins", 40), "2 to 12 bins"),
        (("--hardware", "abacus"), "on 'abacus'"),
    ],
)
def test_a_users_mistake_is_a_message(poq, options, message: str) -> None:
    done = poq("contract", *TARGET, *options)
    assert done.code == 2
    assert message in said(done)
    assert poq("contract", "small_llms", "--target", "gemma").code == 2


def test_costs_in_dollars(poq, tmp_path: Path) -> None:
    """Pay is in dollars, nothing is charged, and pay that does not cover the price is told."""
    chance = np.random.default_rng(3)
    rows = [(f"r{i}", "qa", name) for i in range(40) for name in ("small", "large")]
    scores = pd.DataFrame(rows, columns=["record", "task", "model"])
    good = (scores["model"] == "large") & (chance.uniform(size=80) < 0.9)
    scores = scores.assign(truth=5.0, judge=np.nan, strict=np.where(good, 9.0, 1.0))
    costs = pd.DataFrame(
        {
            "role": ["inference", "inference", "evaluator"],
            "node": ["small", "large", "strict"],
            "hardware": "server",
            "latency_ms": [10.0, 20.0, 1.0],
            **dict.fromkeys(COST_COLUMNS[4:], np.nan),
            "usd_per_answer": [0.5, 0.625, np.nan],
        }
    )
    named = [["qa"], ["small", "large"], ["strict"]]
    about = ProfileDescription("priced", *named, {}, ["server"], {"summary": "made up"})
    folder = write_profile(tmp_path / "priced", about, scores, costs)
    done = poq("contract", folder, "--target", "large", "--cost", "price", *FEW, "--edges", "equal")
    assert done.code == 0
    assert "costs in USD an answer" in said(done)
    # 0.125 / share of good answers, paid for a good one: 0.125 in all, and a price of 0.625.
    assert "pays 0.125 [0.125, 0.125] USD an answer" in said(done)
    assert "That is 0.5 USD less than large costs" in said(done)
    assert "beta_inference: 0.0" in done.out
