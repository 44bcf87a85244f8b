from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import poq_abm
from poq_abm.analysis.pay_and_accuracy import (
    SECTIONS,
    accuracy_plot,
    pay_and_accuracy,
    pay_on_profile,
)
from poq_abm.analysis.questions import AnalysisRequest, draw, make
from poq_abm.analysis.stored_run import open_results
from poq_abm.errors import InputError
from poq_abm.profile import load_profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.rules.payment import EVALUATOR_PAYMENT
from poq_abm.rules.payment.formulas import closeness
from poq_abm.rules.registry import shipped
from poq_abm.scenario import load
from poq_abm.testing.payment import merits_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("runs") / "run"
    small = ["rounds=4000", "replications=3"]
    return poq_abm.run(load("pay_for_information", small)).save(where)


def test_the_lazy_node_earns_most_for_closeness_and_nothing_for_information(folder: Path) -> None:
    table = make("accuracy", AnalysisRequest(str(folder)))
    by_rule = table.set_index(table.treatment.str.split("=").str[-1])
    assert by_rule.deviating_pay["closeness"] > by_rule.honest_pay["closeness"]
    quiet = by_rule.drop(["closeness", "output_agreement"])
    np.testing.assert_allclose(quiet.deviating_pay, 0.0, atol=1e-9)
    assert by_rule.correlation["gold"] > 0.9
    assert by_rule.correlation["mutual_information"] < -0.5  # peers share what is not the truth
    assert (table.low <= table.correlation).all()
    assert (table.evaluators == 4).all()


def test_figure_and_section_say_it(folder: Path) -> None:
    figure = draw("accuracy", AnalysisRequest(str(folder)))
    assert [" ".join(axes.get_xlabel().split()) for axes in figure.axes] == [
        "correlation of pay with accuracy (-1 to 1)",
        "pay (tokens per job)",
    ]
    (section,) = SECTIONS[0](open_results(str(folder)))
    assert "most under gold" in section.notes[0]


def test_a_run_of_one_payment_is_refused(tmp_path: Path) -> None:
    poq_abm.run(load("cost_aware_poq", ["rounds=50", "replications=2"])).save(tmp_path / "run")
    with pytest.raises(InputError, match="needs several payments of evaluators"):
        make("accuracy", AnalysisRequest(str(tmp_path / "run")))
    with pytest.raises(InputError, match="no rows"):
        accuracy_plot(pay_and_accuracy([], {}))


@pytest.mark.parametrize("name", ["published", "small_llms"])
def test_of_a_profile_pay_is_what_the_rules_say_of_all_its_scores(name: str) -> None:
    """Halves of the batch do not matter to these rules; the lazy node is nobody's peer."""
    profile = load_profile(name)
    table = pay_on_profile(profile, resamples=2).set_index("treatment")
    reports = profile.scores.reshape(-1, len(profile.evaluators))
    for rule in (
        "mutual_information",
        "output_agreement",
        "truth_serum",
        "peer_correlation",
        "gold",
    ):
        expected = merits_of(shipped(EVALUATOR_PAYMENT)[rule], reports, profile.truth.ravel())
        assert table.honest_pay[rule] == pytest.approx(expected.merit.mean(), rel=1e-9)
    lazy = np.full(len(reports), reports.mean())
    near = [closeness(*pair) for pair in zip(lazy, reports.mean(axis=1), strict=True)]
    assert table.deviating_pay["closeness"] == pytest.approx(np.mean(near), rel=1e-9)
    quiet = table.drop(["closeness", "output_agreement"])
    np.testing.assert_allclose(quiet.deviating_pay, 0.0, atol=1e-12)


def test_of_a_profile_intervals_are_over_records() -> None:
    table = make("accuracy", AnalysisRequest("small_llms")).set_index("treatment")
    assert len(table) == 8
    for name in ("", "honest_pay_", "deviating_pay_"):
        middle = table[name.removesuffix("_") or "correlation"]
        assert (table[f"{name}low"] <= middle + 1e-9).all()
        assert (middle <= table[f"{name}high"] + 1e-9).all()
    assert (
        table.low["gold"] > table.high["closeness"]
    )  # pay for the truth follows it, agreement less
    figure = draw("accuracy", AnalysisRequest("small_llms"))
    assert "records resampled" in figure._supxlabel.get_text()
    assert figure.axes[1].get_xlabel() == "pay (share of alpha)"
    with pytest.raises(InputError, match="small_llms is a profile: it has no treatments"):
        make("accuracy", AnalysisRequest("small_llms", treatment="base"))


def test_an_evaluator_that_always_says_the_same_is_paid_for_agreement_alone() -> None:
    profile = synthetic_profile(SyntheticSettings(records=60, models=2, evaluators=4, seed=3))
    scores = profile.scores.copy()
    scores[:, :, 3] = 5.0
    table = pay_on_profile(replace(profile, scores=scores), resamples=20).set_index("treatment")
    # A few bins of 120 answers tell `dmi` little of anybody.
    assert (table.correlation.drop("dmi") > 0.9).all()
    alone = replace(profile, scores=scores[:, :, :1], evaluators=profile.evaluators[:1])
    with pytest.raises(InputError, match=r"2 to 30 are needed, and profile .* has 1"):
        pay_on_profile(alone)
