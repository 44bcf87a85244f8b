"""Splitting a node over identities: what pays by hand, and what does not."""

import pytest

from poq_abm import load
from poq_abm.analysis.audit.identities import identity_gains, identity_sentences
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.errors import InputError
from poq_abm.scenario.checks.problems import Origins
from poq_abm.scenario.scenario import build

pytestmark = pytest.mark.usefixtures("shipped_rules")


def alike(inference, committee_size, schedule="uniform"):
    """Return two evaluators that measure the truth, always 5."""
    data = {
        "profile": "synthetic",
        "synthetic": {"evaluators": 1, "truth_sd": 0.0, "noise_sd": 0.0, "records": 50},
        "population": {
            "inference": inference,
            "evaluators": [{"model": "evaluator_1", "count": 2}],
        },
        "schedule": schedule,
        "rounds": 2000,
        "replications": 4,
        "mechanism": {"committee_size": committee_size},
    }
    return build(data, Origins({}))


def test_two_of_three_seats_pay_more_than_one_of_two():
    """One of K = 1 drawn from M = 2, then 3: a token a seat, 1/2 of the rounds, then 2/3."""
    scenario = alike([{"model": "model_1"}], 1)
    gains = identity_gains(VariantRunner.of(scenario), [2, 4], roles=["evaluator"])
    assert gains["identities"].tolist() == [2, 4]
    assert gains["one"].to_numpy() == pytest.approx(0.5, abs=0.03)
    assert gains["several"].to_numpy() == pytest.approx([2 / 3, 4 / 5], abs=0.03)
    (said,) = identity_sentences(gains)
    assert said.startswith("Coming as several pays evaluator nodes of 1 of 1 groups: as 4, ")


def test_by_weight_answers_come_to_a_node_as_often_however_many_it_is():
    """Its schedule weight is split: half of all answers, by one node or by three."""
    two = [{"model": "model_1"}, {"model": "model_1", "name": "other"}]
    scenario = alike(two, 2, "weighted")
    gains = identity_gains(VariantRunner.of(scenario), [3], roles=["inference"])
    assert gains["group"].tolist() == ["model_1", "other"]
    assert (gains["gain"] == 0.0).all()  # to the last answer: the same draws fall on them
    assert identity_sentences(gains) == ["No inference node is shown to gain by coming as several."]


def test_what_cannot_be_split_is_refused():
    with pytest.raises(InputError, match="2 identities or more"):
        identity_gains(VariantRunner.of(load("cost_aware_poq")), [1])
    attacked = load("cost_aware_poq", ["malicious={share: 0.5, behaviour: boost}"])
    with pytest.raises(InputError, match="would change who attacks"):
        identity_gains(VariantRunner.of(attacked), [2])
