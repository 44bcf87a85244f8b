from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import poq_abm
from poq_abm.analysis.pay_and_accuracy import SECTIONS, accuracy_plot, pay_and_accuracy
from poq_abm.analysis.questions import AnalysisRequest, draw, make
from poq_abm.analysis.stored_run import open_results
from poq_abm.errors import InputError
from poq_abm.scenario import load


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
    assert [axes.get_xlabel() for axes in figure.axes] == [
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
