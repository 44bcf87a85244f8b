"""A laboratory for the economics of decentralised LLM inference.

>>> import poq_abm
>>> scenario = poq_abm.load("cost_aware_poq")
>>> scenario.mechanism.committee_size
3
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poq_abm.errors import InputError
    from poq_abm.experiment.results import Results, read_results
    from poq_abm.experiment.running import run
    from poq_abm.profile import Profile, load_profile
    from poq_abm.rules.registry import register
    from poq_abm.scenario import Scenario, load
    from poq_abm.simulation.model import PoQModel

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "PoQModel",
    "Profile",
    "Results",
    "Scenario",
    "load",
    "load_profile",
    "read_results",
    "register",
    "run",
]

_HOME = {
    "InputError": "poq_abm.errors",
    "PoQModel": "poq_abm.simulation.model",
    "Profile": "poq_abm.profile",
    "Results": "poq_abm.experiment.results",
    "Scenario": "poq_abm.scenario",
    "load": "poq_abm.scenario",
    "load_profile": "poq_abm.profile",
    "read_results": "poq_abm.experiment.results",
    "register": "poq_abm.rules.registry",
    "run": "poq_abm.experiment.running",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'poq_abm' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
