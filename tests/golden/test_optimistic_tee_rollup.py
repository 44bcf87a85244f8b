"""What is said of Optimistic TEE-Rollups, restated here, and what the simulation makes of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from poq_abm.analysis.deterrence import queries_to_detect
from poq_abm.analysis.reproduce import otr
from poq_abm.analysis.reproduce.checks import Check, status_counts
from poq_abm.scenario.schema.verification import Verification

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


def test_everything_is_as_documented(checks: list[Check]) -> None:
    wrong = [f"{c.item}, {c.quantity}: {c.observed}" for c in checks if not c.as_documented]
    assert wrong == []
    assert {check.figure for check in checks} == {"claim", "consequence"}


def test_each_status_is_counted_by_itself(checks: list[Check]) -> None:
    """Of 23 claims two are more than an input, a solution for it, a contradiction or a word."""
    claims = [check for check in checks if check.figure == "claim"]
    assert status_counts(claims) == {
        "reproduced": 2,
        "input": 8,
        "solved for": 5,
        "contradicted": 5,
        "not testable": 3,
    }
    assert {c.item for c in claims if c.status == "reproduced"} == {"poq, 8B for 70B"}
    assert {c.item for c in claims if c.status == "solved for"} == {
        "otr", "otr, proof of 30 s", "otr, proof of $7", "otr, $0.06 and a proof of $1",
        "otr, overhead 0.0101",
    }  # fmt: skip


def test_our_own_defaults_stand_beside_the_claims(checks: list[Check]) -> None:
    """They give 1.36 s, 85% and 7 cents, computed by the run that ships."""
    defaults = {
        (check.item, check.quantity): check.default for check in checks if check.figure == "claim"
    }
    study = otr._Study(2, 1)
    shares = [study.by_default(name)["throughput_per_s"] for name in ("otr", "centralised")]
    assert shares[0] / shares[1] == pytest.approx(1.0 / 1.175, rel=1e-6)
    assert defaults["otr, overhead 0.0101", "throughput over centralised"] == pytest.approx(
        1.0 / 1.175, rel=1e-6
    )
    assert defaults["otr", "median to provisional, s"] == pytest.approx(1.36, abs=0.02)
    assert defaults["otr, proof of $7", "USD per query"] == pytest.approx(0.07, abs=0.005)
    assert defaults["zkml, 7 billion", "mean proving and answering, s"] > 1200.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 9))
def test_everything_is_as_documented_under_other_seeds(seed: int) -> None:
    """About 20 sampled figures x 8 seeds at 4.5 standard errors miss with a chance of 0.1%."""
    missed = [check for check in otr.otr_checks(10, seed) if not check.as_documented]
    assert missed == []


@pytest.mark.parametrize(
    ("item", "arithmetic", "status"),
    [
        ("otr, proof of 30 s", "0.99 x 0.5 + 0.01 x 30.5", "solved for"),
        ("otr, proof of 20 min", "0.99 x 0.5 + 0.01 x 1200.5", "contradicted"),
        ("otr, proof of $7", "0.01 x 7", "solved for"),
        ("otr, proof of $45", "0.01 x 45", "contradicted"),
        ("otr, overhead 0.15", "1 / 1.15", "contradicted"),
        ("otr, overhead 0.2", "1 / 1.2", "contradicted"),
    ],
)
def test_what_cannot_hold_at_once_is_shown_with_its_arithmetic(
    checks: list[Check], item: str, arithmetic: str, status: str
) -> None:
    """The simulation gives what the arithmetic gives, and the claim where that is the claim."""
    check = expected(checks, "claim", item)
    assert arithmetic in check.reason
    assert check.status == status
    right = GOLDEN["cannot_hold_at_once"][arithmetic]
    assert check.observed == pytest.approx(right, abs=check.tolerance + 1e-12)


def test_no_tolerance_is_so_wide_that_nothing_could_miss_it(checks: list[Check]) -> None:
    """None is a fifth of what it is about; that of a contradicted figure excludes the claim."""
    for check in checks:
        if check.status == "not testable":
            assert math.isnan(check.tolerance), "nothing is held to a word"
        elif check.status == "contradicted":
            assert abs(check.expected - check.observed) > check.tolerance, check.item
        elif check.expected > 0:
            assert check.tolerance < 0.2 * check.expected, check.item
        else:
            assert check.tolerance < 0.025, check.item


def test_the_threshold_is_found_within_two_percent(checks: list[Check]) -> None:
    check = expected(checks, "consequence", "p = 0.2, G = 0.5, F = 0.1")
    assert check.expected == pytest.approx(0.5 / 0.2 - 0.1)
    assert check.tolerance == pytest.approx(0.02 * check.expected)


def test_so_many_cheats_are_noticed_as_often_as_reckoned(checks: list[Check]) -> None:
    for n, target in GOLDEN["detection"].items():
        check = expected(checks, "consequence", f"{n} cheats, proof rate 0.01")
        assert check.expected == pytest.approx(target, abs=1e-3)
        assert queries_to_detect(target, 0.01) == int(n)


def test_an_altered_claim_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otr, "WEIGHTED_S", 0.9)
    study = otr._Study(10, 1)
    wrong = [check.item for check in otr._latency(study) if not check.as_documented]
    assert wrong == ["otr, proof of 30 s"]
