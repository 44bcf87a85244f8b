"""Where designs are looked for: the genetic algorithm NSGA-II, as optuna has it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from poq_abm.analysis.design.problem import DesignProblem, Settings, Variable
from poq_abm.errors import InputError

__all__ = ["Genetic", "Proposer"]


class Proposer(Protocol):
    """Proposes designs, and is told what came of them."""

    def ask(self, count: int) -> list[Settings]:
        """Return so many designs, which may repeat earlier ones."""

    def tell(self, outcomes: Sequence[tuple[Sequence[float], Sequence[float]] | None]) -> None:
        """Take losses and violations of the designs asked for last; none for one that cannot be."""


class Genetic:
    """NSGA-II with constrained domination (Deb et al. 2002); needs the extra ``search``.

    The mechanism of the scenario itself is the first design, so that it is never overlooked. The
    same seed and the same outcomes give the same designs; ``further`` is added to the budget's.

    Raises
    ------
    InputError
        If optuna is missing.
    """

    def __init__(
        self, problem: DesignProblem, first: Sequence[Settings] = (), further: int = 0
    ) -> None:
        try:
            optuna = import_module("optuna")
        except ImportError:
            raise InputError(
                'a search for a mechanism needs an extra: pip install "poq-abm[search]"'
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        budget = problem.search.budget
        seed = (budget.seed + further) % 2**32
        sampler = optuna.samplers.NSGAIISampler(population_size=budget.generation, seed=seed)
        self._failed = optuna.trial.TrialState.FAIL
        ways = ["minimize"] * len(problem.search.objectives)
        self._study = optuna.create_study(directions=ways, sampler=sampler)
        self._problem, self._asked = problem, list[Any]()
        for settings in (problem.published, *first):
            self._study.enqueue_trial(_as_parameters(problem, settings))

    def ask(self, count: int) -> list[Settings]:
        """Return so many designs."""
        self._asked = [self._study.ask() for _ in range(count)]
        return [self._settings(trial) for trial in self._asked]

    def tell(self, outcomes: Sequence[tuple[Sequence[float], Sequence[float]] | None]) -> None:
        """Take what came of the designs asked for last."""
        for trial, outcome in zip(self._asked, outcomes, strict=True):
            if outcome is None:
                self._study.tell(trial, state=self._failed)
                continue
            losses, violations = outcome
            for number, value in enumerate(violations):
                trial.set_constraint(str(number), float(value))
            self._study.tell(trial, [float(value) for value in losses])

    def _settings(self, trial: Any) -> Settings:
        settings: Settings = {}
        for path, variable in self._problem.search.variables.items():
            if variable.acts_in(settings, self._problem.data):
                settings[path] = _suggested(trial, path, variable)
        return settings


def _suggested(trial: Any, path: str, variable: Variable) -> Any:
    if variable.choices:
        return variable.choices[trial.suggest_categorical(path, range(len(variable.choices)))]
    log = variable.scale == "log"
    if variable.is_whole:
        return int(trial.suggest_int(path, variable.low, variable.high, log=log))
    return variable.readable(trial.suggest_float(path, variable.low, variable.high, log=log))


def _as_parameters(problem: DesignProblem, settings: Settings) -> dict[str, Any]:
    """Return settings as the study calls them, without those that lie outside what is searched."""
    found: dict[str, Any] = {}
    for path, value in settings.items():
        variable = problem.search.variables.get(path)
        if variable is None or value is None:
            continue
        if variable.choices:
            if value in variable.choices:
                found[path] = variable.choices.index(value)
        elif variable.low <= value <= variable.high:
            found[path] = value
    return found
