"""The studies there are, and which one a scenario asks for."""

from __future__ import annotations

from poq_abm.experiment.economy_study import EconomyStudy
from poq_abm.experiment.query_study import QueryStudy
from poq_abm.experiment.round_study import RoundStudy
from poq_abm.experiment.study import Study
from poq_abm.scenario import Scenario

__all__ = ["study_of"]


def study_of(scenario: Scenario) -> Study:
    """Return the study of one treatment: queries of its verification, epochs, or plain rounds.

    >>> from poq_abm.scenario import load
    >>> study_of(load("cost_aware_poq")).main
    'replications'
    >>> study_of(load("cost_aware_poq", ["verification.protocol=none"])).main
    'queries'
    """
    if scenario.verification is not None:
        return QueryStudy(scenario)
    return RoundStudy(scenario) if scenario.economy is None else EconomyStudy(scenario)
