"""Every number that follows by hand from the robust mechanism, restated here and held to."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from poq_abm.analysis.reproduce import robust
from poq_abm.analysis.reproduce.checks import Check
from poq_abm.experiment.round_tables import majority_probability
from poq_abm.rules.behaviour.base import BEHAVIOURS
from poq_abm.rules.registry import shipped
from poq_abm.rules.trust.multiplicative import Multiplicative
from poq_abm.scenario import load
from poq_abm.scenario.schema.settings import Mechanism, Trust

GOLDEN = json.loads((Path(__file__).parent / "robust_poq.json").read_text())


def numbered(table: dict[str, float]) -> dict[float, float]:
    return {float(key): value for key, value in table.items()}


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    return robust.robust_checks()


def test_the_tables_that_are_checked_are_those_computed_by_hand() -> None:
    assert set(robust.BOOST_BIAS) == set(GOLDEN["boost_bias"])
    for rule, table in robust.BOOST_BIAS.items():
        assert table == numbered(GOLDEN["boost_bias"][rule])
    assert numbered(GOLDEN["closeness"]["inclusive"]) == robust.INCLUSIVE
    assert numbered(GOLDEN["closeness"]["leave_one_out"]) == robust.LEAVE_ONE_OUT
    assert list(robust.MAJORITY_SIZES) == [int(size) for size in GOLDEN["malicious_majority"]]
    assert GOLDEN["saturated_within"] == robust.SATURATED_AFTER


def test_every_number_is_checked(checks: list[Check]) -> None:
    found = {(check.item, check.quantity): check.expected for check in checks}
    wanted = {
        (f"{rule}, share {share}", "bias under boost"): value
        for rule, table in GOLDEN["boost_bias"].items()
        for share, value in table.items()
    } | {
        (f"{reference}, K = {size}", "mean closeness"): value
        for reference, table in GOLDEN["closeness"].items()
        for size, value in table.items()
    }
    assert {key: found[key] for key in wanted} == wanted
    for size, value in GOLDEN["malicious_majority"].items():
        expected = found[f"20 evaluators, 6 malicious, K = {size}", "malicious majority"]
        assert round(expected, 3) == value
    assert found["Eq. 21, b = 8", "final weight of malicious"] == GOLDEN["punished_weight"]


def test_every_number_agrees(checks: list[Check]) -> None:
    assert [check for check in checks if not check.as_documented] == []


def test_what_is_contradicted_says_so(checks: list[Check]) -> None:
    assert [check.item for check in checks if check.status == "contradicted"] == [
        "median, noise, share 0.3"
    ]
    assert [check.item for check in checks if check.status == "input"] == ["task_inversion"]


def test_tolerances_tell_the_rules_apart(checks: list[Check]) -> None:
    """A rule held to its neighbour's bias would miss, where the two differ at all."""
    biases = {check.item: check for check in checks if check.quantity == "bias under boost"}
    for share, value in GOLDEN["boost_bias"]["median"].items():
        trimmed = biases[f"trimmed_mean, share {share}"]
        mean = biases[f"mean, share {share}"]
        assert abs(mean.observed - value) > mean.tolerance
        if share != "0.1":
            assert abs(trimmed.observed - value) > trimmed.tolerance


def test_a_lone_evaluator_agrees_with_itself(checks: list[Check]) -> None:
    alone = next(check for check in checks if check.item == "inclusive, K = 1")
    assert alone.observed == 1.0


def test_saturation_takes_about_as_long_as_computed(checks: list[Check]) -> None:
    check = next(check for check in checks if check.item.startswith("Eq. 21, b = 3"))
    assert check.observed == pytest.approx(GOLDEN["saturated_within"], abs=3)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_booster_gains_weight_below_the_computed_shift(share: float) -> None:
    """Its deviation under the mean is (1 - r) b / 10, below one half while b < 5 / (1 - r)."""
    limit = 5.0 / (1.0 - share)
    for shift, gains in ((0.99 * limit, True), (1.01 * limit, False)):
        weight = Multiplicative.kernel(1.0, (1.0 - share) * shift / 10.0, 0.0, 0.1, 0.1, 5.0)
        assert (weight > 1.0) is gains


def test_a_malicious_majority_has_the_computed_chance() -> None:
    for size, value in GOLDEN["malicious_majority"].items():
        assert round(majority_probability(20, 6, int(size)), 3) == value


def test_our_defaults_are_those_in_use() -> None:
    trust = Trust()
    assert {name: getattr(trust, name) for name in GOLDEN["trust"]} == GOLDEN["trust"]
    assert Mechanism().tau == GOLDEN["tau"]
    known = shipped(BEHAVIOURS["evaluator"])
    for name, parameters in GOLDEN["attacks"].items():
        defaults = {key: known[name].parameters[key].default for key in parameters}
        assert defaults == parameters


def test_the_adversary_sweep_has_our_default_axes() -> None:
    scenario, wanted = load("adversary_sweep"), GOLDEN["sweep"]
    assert scenario.sweep["malicious.share"] == wanted["share"]
    assert scenario.sweep["mechanism.committee_size"] == wanted["committee_size"]
    assert (scenario.rounds, scenario.replications) == (wanted["rounds"], wanted["replications"])
    assert set(scenario.sweep["malicious.behaviour"]) == set(GOLDEN["attacks"])
    assert all(math.isfinite(value) for value in GOLDEN["trust"].values())
