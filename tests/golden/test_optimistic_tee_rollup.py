"""What is said of Optimistic TEE-Rollups, restated here, and what the simulation makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from poq_abm.analysis import otr
from poq_abm.analysis.reproduction import Check
from poq_abm.scenario.verification import Verification
from poq_abm.verification.economics import queries_to_detect

GOLDEN = json.loads((Path(__file__).parent / "optimistic_tee_rollup.json").read_text())


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    return otr.otr_checks(replications=10, seed=1)


def expected(checks: list[Check], kind: str, item: str, quantity: str = "") -> Check:
    (found,) = [
        c for c in checks if c.figure == kind and c.item == item and c.quantity.startswith(quantity)
    ]
    return found


def test_the_figures_that_are_checked_are_those_published() -> None:
    claims, rivals, downgrade = (GOLDEN[key] for key in ("claims", "rivals", "downgrade"))
    assert (
        claims["provisional_s"],
        claims["weighted_average_s"],
    ) == (otr.PROVISIONAL_S, otr.WEIGHTED_S)
    assert (claims["cost_usd"], claims["zk_rate"]) == (otr.COST_USD, otr.PROOF_RATE)
    assert (otr.THROUGHPUT, list(otr.OVERHEADS)) == (claims["throughput"], claims["tee_overhead"])
    assert (rivals["zkml_s"], rivals["zkml_usd"]) == (otr.ZKML_S, otr.ZKML_USD)
    assert (rivals["opml_s"], rivals["opml_usd"]) == (otr.OPML_S, otr.OPML_USD)
    assert (
        downgrade["dishonest_judge"],
        downgrade["honest_judge"],
    ) == (otr.DISHONEST_JUDGE, otr.HONEST_JUDGE)
    assert downgrade["human_drop"] == otr.HUMAN_DROP


def test_the_defaults_are_the_published_figures_where_there_are_any() -> None:
    verification = Verification()
    low, high = GOLDEN["claims"]["tee_overhead"]
    assert verification.otr.proof_rate == GOLDEN["claims"]["zk_rate"]
    assert low < verification.tee.overhead < high
    assert verification.opml.window_s == GOLDEN["rivals"]["opml_s"]
    assert verification.zkml.reference_usd == GOLDEN["rivals"]["zkml_usd"]


def test_everything_agrees(checks: list[Check]) -> None:
    assert [f"{c.item}, {c.quantity}: {c.observed}" for c in checks if not c.passes] == []
    assert {check.figure for check in checks} == {"claim", "not confirmed", "consequence"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 9))
def test_everything_agrees_under_other_seeds(seed: int) -> None:
    """About 20 sampled figures x 8 seeds at 4.5 standard errors miss with a chance of 0.1%."""
    missed = [check for check in otr.otr_checks(10, seed) if not check.passes]
    assert missed == []


@pytest.mark.parametrize(
    ("kind", "item", "arithmetic"),
    [
        ("claim", "otr, proof of 30 s", "0.99 x 0.5 + 0.01 x 30.5"),
        ("not confirmed", "otr, proof of 20 min", "0.99 x 0.5 + 0.01 x 1200.5"),
        ("claim", "otr, proof of $7", "0.01 x 7"),
        ("not confirmed", "otr, proof of $45", "0.01 x 45"),
        ("not confirmed", "otr, overhead 0.15", "1 / 1.15"),
        ("not confirmed", "otr, overhead 0.2", "1 / 1.2"),
    ],
)
def test_what_cannot_hold_at_once_is_shown_with_its_arithmetic(
    checks: list[Check], kind: str, item: str, arithmetic: str
) -> None:
    check = expected(checks, kind, item)
    assert arithmetic in check.reason
    assert check.expected == pytest.approx(GOLDEN["cannot_hold_at_once"][arithmetic])


def test_what_is_not_confirmed_could_not_pass_as_the_claim(checks: list[Check]) -> None:
    """The tolerance of every contradicted figure excludes the claim that it contradicts."""
    claims = {"mean": 0.8, "USD": 0.07, "throughput": 0.99, "advantage": 0.0}
    for check in checks:
        if check.figure == "not confirmed":
            claim = claims[check.quantity.split()[0]]
            assert abs(claim - check.observed) > check.tolerance, check.item


def test_the_threshold_is_found_within_two_percent(checks: list[Check]) -> None:
    check = expected(checks, "consequence", "p = 0.2, G = 0.5, F = 0.1")
    assert check.expected == pytest.approx(0.5 / 0.2 - 0.1)
    assert check.tolerance == pytest.approx(0.02 * check.expected)


def test_so_many_cheats_are_noticed_as_often_as_reckoned(checks: list[Check]) -> None:
    for n, target in GOLDEN["detection"].items():
        check = expected(checks, "consequence", f"{n} cheats, proof rate 0.01")
        assert check.expected == pytest.approx(target, abs=1e-3)
        assert queries_to_detect(target, 0.01) == int(n)


def test_no_tolerance_is_wider_than_what_it_is_about(checks: list[Check]) -> None:
    """A tolerance as large as the figure would pass anything; zero and bare ranges apart."""
    for check in checks:
        if check.expected > 0 and not check.reason.startswith("'"):
            assert check.tolerance < 0.2 * check.expected, check.item


def test_an_altered_claim_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otr, "WEIGHTED_S", 0.9)
    monkeypatch.setattr(otr, "THROUGHPUT", 0.97)
    study = otr._Study(10, 1)
    wrong = [check.item for check in otr._latency(study) if not check.passes]
    assert wrong == ["otr, proof of 30 s"]
