from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.dose_response import SECTIONS, dose_plot, dose_response
from poq_abm.analysis.questions import AnalysisRequest, draw, make
from poq_abm.analysis.stored_run import open_results
from poq_abm.errors import InputError
from poq_abm.scenario import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = ["rounds=500", "replications=3", "sweep.mechanism.aggregation=[mean, median]"]
    return poq_abm.run(load("goodhart", small)).save(tmp_path_factory.mktemp("runs") / "run")


def test_pay_rises_and_truth_falls_under_the_majority_s_rule_alone(folder: Path) -> None:
    """Three evaluators of five are fooled, or one is; truth peaks at the closed-form dose of 1."""
    table = make("dose", AnalysisRequest(str(folder))).set_index(["conditions", "dose"])
    assert len(table) == 2 * 2 * 6
    last = table.xs(3.0, level="dose")
    assert (last.truth_high < 0.0).all()
    assert last.pay_low["median, embedding"] > last.pay_high["mean, embedding"] > 0.0
    assert last.pay_high["median, word_overlap"] < 0.0
    for _, part in table.reset_index().groupby("conditions"):
        assert part.loc[part.truth.idxmax(), "dose"] == 1.0
        assert np.all(part.truth_low <= part.truth_rise)


def test_doses_are_paired_with_the_least_one_under_the_same_conditions() -> None:
    """A rise is a difference within a replication; honest nodes and evaluators have no part."""
    part = pd.DataFrame(
        {
            "treatment": ["a", "a", "b", "b", "b", "b"],
            "replication": [0, 1, 0, 1, 1, 1],
            "role": ["inference"] * 5 + ["evaluator"],
            "behaviour": ["hack"] * 4 + ["honest", "boost"],
            "jobs": [5, 5, 5, 5, 5, 5],
            "reward_mean": [0.1, 0.5, 0.2, 0.6, 9.0, 9.0],
            "consensus_mean": 5.0,
            "truth_mean": [4.0, 2.0, 3.0, 1.0, 9.0, 9.0],
        }
    )
    table = dose_response([part], {"b": ("x", 2.0), "a": ("x", 1.0)}).set_index("dose")
    assert table.pay_rise.to_dict() == pytest.approx({2.0: 0.1, 1.0: 0.0})
    assert table.truth_rise[2.0] == table.truth_low[2.0] == table.truth_high[2.0] == -1.0


def test_figure_and_section_say_it(folder: Path) -> None:
    figure = draw("dose", AnalysisRequest(str(folder)))
    assert figure.axes[0].get_ylabel() == "rise of pay (tokens per job)"
    assert "peak of truth by the law, pressure 1" in figure._supxlabel.get_text()
    (section,) = SECTIONS[0](open_results(str(folder)))
    assert "under 2 of 4 conditions it rises while truth falls" in section.notes[0]


def test_a_run_without_doses_is_refused(tmp_path: Path) -> None:
    poq_abm.run(load("cost_aware_poq", ["rounds=50", "replications=2"])).save(tmp_path / "run")
    with pytest.raises(InputError, match="needs one axis that is a number of the behaviour"):
        make("dose", AnalysisRequest(str(tmp_path / "run")))
    with pytest.raises(InputError, match="no column"):
        dose_plot(dose_response([], {}))
