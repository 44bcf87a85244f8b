"""What to play: strict scenario files, inheritance, overrides and sweeps.

A scenario is data. Loading one reads YAML without constructing anything, validates every key, and
reports every mistake with its file, its line and the nearest valid key.
"""

from poq_abm.scenario.checks.problems import Place, Problem, ScenarioError
from poq_abm.scenario.checks.sections import ProfileLike, check
from poq_abm.scenario.library import find_scenario, scenario_names
from poq_abm.scenario.loading import load, parse
from poq_abm.scenario.scenario import Scenario, Treatment
from poq_abm.scenario.schema.precision import Precision, Until
from poq_abm.scenario.schema.settings import EvaluatorGroup, InferenceGroup, Mechanism, Population

__all__ = [
    "EvaluatorGroup",
    "InferenceGroup",
    "Mechanism",
    "Place",
    "Population",
    "Precision",
    "Problem",
    "ProfileLike",
    "Scenario",
    "ScenarioError",
    "Treatment",
    "Until",
    "check",
    "find_scenario",
    "load",
    "parse",
    "scenario_names",
]
