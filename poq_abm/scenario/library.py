"""The scenarios that ship: one file per question worth asking."""

from __future__ import annotations

from pathlib import Path

from poq_abm.errors import nearest
from poq_abm.scenario.checks.problems import Place, Problem, ScenarioError

__all__ = ["find_scenario", "is_path", "scenario_names"]


def _folder() -> Path:
    """Return the folder inside an installed wheel, or the top-level one of a checkout."""
    here = Path(__file__).resolve()
    shipped = here.parent / "library"
    return shipped if shipped.is_dir() else here.parents[2] / "scenarios"


def scenario_names() -> list[str]:
    """Return the names of the scenarios that ship, sorted.

    >>> "cost_aware_poq" in scenario_names()
    True
    """
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def find_scenario(name: str) -> Path:
    """Return the file of a scenario that ships; raise :class:`ScenarioError` if there is none.

    >>> find_scenario("cost_aware_poq").name
    'cost_aware_poq.yaml'
    """
    names = scenario_names()
    if name not in names:
        message = f"no scenario of this name ships; {nearest(name[:80], names)}"
        raise ScenarioError([Problem(Place(name[:80]), "", message)])
    return _folder() / f"{name}.yaml"


def is_path(source: str) -> bool:
    """Return whether a scenario is given by its path rather than by its name in the library.

    >>> is_path("cost_aware_poq"), is_path("mine.yaml"), is_path("study/base")
    (False, True, True)
    """
    return source.endswith((".yaml", ".yml")) or "/" in source or "\\" in source
