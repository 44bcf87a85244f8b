"""The search for a mechanism as data: what may vary, what is wanted, what must hold, what it costs.

A design file is a scenario with one more section, ``search``. It is read as strictly as a scenario,
and nothing in it is executed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from poq_abm.analysis.audit.deviations import ROLES, deviating, deviations, searchers
from poq_abm.analysis.design.objectives import HONEST, Constraint, Measured, Objective, is_field
from poq_abm.errors import InputError, nearest
from poq_abm.experiment.plan import Plan, source_of, study_of
from poq_abm.experiment.schemas import SCHEMAS
from poq_abm.profile import Profile
from poq_abm.scenario import Scenario, ScenarioError
from poq_abm.scenario.checks.explaining import findings
from poq_abm.scenario.checks.problems import Finding, Origins
from poq_abm.scenario.library import find_scenario, is_path
from poq_abm.scenario.loading import load_beside
from poq_abm.scenario.paths import fault, split, value_at
from poq_abm.scenario.schema.fields import Strict, as_tuple, complaint, named
from poq_abm.scenario.sweep.designs import AxisRange
from poq_abm.simulation.playable import check_playable, profile_of

__all__ = [
    "DesignBudget",
    "DesignProblem",
    "SearchSection",
    "SearchedAudit",
    "Searcher",
    "Variable",
    "load_design",
]

_DIGITS = 4  #: of a number that is searched: a mechanism that can be read

Searcher = Literal["evaluator", "inference", "ring"]  #: who looks for a best response
Settings = dict[str, Any]
Array = NDArray[np.float64]


class Variable(Strict):
    """A field that is searched: a range, or some choices; and what else has to hold for it to act.

    >>> Variable(low=1, high=9).is_whole, Variable(choices=("mean", "median")).ends
    (True, ('mean', 'median'))
    """

    low: float | int | None = Field(default=None, description="the lowest value")
    high: float | int | None = Field(default=None, description="the highest value")
    scale: str = Field(default="linear", description="linear or log")
    choices: Annotated[tuple[Any, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="instead of a range: the values to choose from"
    )
    when: dict[str, Any] = Field(
        default={}, description="other fields with the value, or list of values, they must have"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Variable:
        ranged = self.low is not None or self.high is not None
        if ranged == bool(self.choices):
            raise complaint("needs either low and high, or choices")
        if self.choices and len(self.choices) < 2:
            raise complaint("one choice is none: name two or more")
        if ranged:
            if self.low is None or self.high is None:
                raise complaint("needs both low and high")
            AxisRange.model_validate({"low": self.low, "high": self.high, "scale": self.scale})
        return self

    @property
    def is_whole(self) -> bool:
        """Whether both ends of its range were written as whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """What is tried one at a time: both ends, or all choices."""
        return self.choices or (self.low, self.high)

    @property
    def quarters(self) -> list[tuple[float, float]]:
        """The quarters of its range on its scale: where each begins and ends; none of choices.

        A quarter is without its end, where the next begins, unless it is of whole numbers.

        >>> Variable(low=3, high=15).quarters
        [(3.0, 6.0), (7.0, 9.0), (10.0, 12.0), (13.0, 15.0)]
        >>> Variable(low=1.0, high=1e4, scale="log").quarters
        [(1.0, 10.0), (10.0, 100.0), (100.0, 1000.0), (1000.0, 10000.0)]
        """
        if self.low is None or self.high is None:
            return []
        space = np.geomspace if self.scale == "log" else np.linspace
        if self.is_whole:
            edges = np.unique(np.ceil(space(self.low, self.high + 1, 5))).tolist()
            return [(first, after - 1.0) for first, after in itertools.pairwise(edges)]
        edges = [self.readable(edge) for edge in space(self.low, self.high, 5).tolist()]
        return list(itertools.pairwise(edges))

    def readable(self, value: float) -> float:
        """Return a number of the range with few digits."""
        assert self.low is not None
        assert self.high is not None
        return float(min(max(float(f"{value:.{_DIGITS}g}"), self.low), self.high))

    def acts_in(self, settings: Mapping[str, Any], below: Mapping[str, Any]) -> bool:
        """Return whether what it needs holds, given settings laid over a scenario's data."""
        for path, wanted in self.when.items():
            value = settings[path] if path in settings else value_at(split(path), below)
            if value not in (wanted if isinstance(wanted, list) else [wanted]):
                return False
        return True


class SearchedAudit(Strict):
    """The audit of the chosen design and of the scenario's own: what deviations from them gain.

    Those that are declared, and what a search for a best response finds. With a bound the chosen
    design must pass: none may gain more.
    """

    at_most: float | None = Field(
        default=None,
        gt=0.0,
        description="tokens per job (in an economy, of profit per epoch and member), of the "
        "simultaneous upper ends; default: refuse nobody",
    )
    by: Annotated[tuple[Searcher, ...], BeforeValidator(as_tuple)] = Field(
        default=get_args(Searcher), description="who searches for a best response; [] for nobody"
    )
    share: float = Field(default=0.3, gt=0.0, le=1.0, description="of a coalition")
    replications: int = Field(default=20, ge=2, description="matched pairs")
    behaviours: Annotated[tuple[Any, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="behaviours to try; default: all that are declared"
    )


class DesignBudget(Strict):
    """How much is played, in each of the three stages."""

    designs: int = Field(default=2000, ge=1, le=1_000_000, description="that are tried")
    generation: int = Field(default=50, ge=2, le=10_000, description="designs of a generation")
    replications: int = Field(default=10, ge=1, description="of a design, while searching")
    confirm: int = Field(
        default=40, ge=0, description="more of them, for a design that no other would dominate"
    )
    front: int = Field(default=30, ge=1, le=500, description="members that are played again")
    fresh: int = Field(default=20, ge=2, description="fresh replications of a member, at first")
    looks: int = Field(default=4, ge=1, le=12, description="times that they are doubled, plus one")
    certified: int = Field(default=60, ge=2, description="replications of the certificate")
    confidence: float = Field(default=0.95, gt=0.0, lt=1.0, description="of each stage")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of where designs lie")
    searches: int = Field(default=1, ge=1, le=100, description="from seeds that follow, in all")
    cases: int = Field(default=200, ge=40, le=100_000, description="drawn from what is uncertain")

    @property
    def searched(self) -> int:
        """Replications that the search may have seen: those after it are fresh."""
        return self.replications + self.confirm

    @model_validator(mode="after")
    def _enough(self) -> DesignBudget:
        if self.designs < 2 * self.generation:
            raise complaint(
                f"a budget of {self.designs} designs is too small: a search needs two generations "
                f"of {self.generation} at least"
            )
        return self


class SearchSection(Strict):
    """The section ``search`` of a design file."""

    variables: dict[str, Variable] = Field(min_length=1, description="by the field's path")
    populations: dict[str, dict[str, Any]] = Field(
        default={}, description="by name: what is laid over the scenario, as a behaviour's share"
    )
    objectives: Annotated[tuple[Objective, ...], BeforeValidator(as_tuple)] = Field(min_length=1)
    constraints: Annotated[tuple[Constraint, ...], BeforeValidator(as_tuple)] = ()
    audit: SearchedAudit | None = None
    uncertainties: dict[str, Variable] = Field(
        default={},
        description="by the field's path: in which cases the choice stops being feasible",
    )
    budget: DesignBudget = DesignBudget()


@dataclass(frozen=True)
class DesignProblem:
    """A scenario and what is searched around it."""

    scenario: Scenario
    search: SearchSection
    certificate: Any = None  #: what a certificate says was found, as it stands in the file
    #: the scenario by population and seed, whose sections designs share
    _populated: dict[tuple[str, int], Scenario] = field(
        default_factory=dict, compare=False, repr=False
    )
    _profiles: dict[str, Profile] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The scenario as plain data, which settings are laid over."""
        return self.scenario.resolved()

    @cached_property
    def published(self) -> Settings:
        """What the scenario itself has for the variables that act in it."""
        found: Settings = {}
        for path, variable in self.search.variables.items():
            if variable.acts_in({}, self.data):
                found[path] = value_at(split(path), self.data)
        return found

    @property
    def figures(self) -> tuple[Measured, ...]:
        """All that is looked at."""
        return (*self.search.objectives, *self.search.constraints)

    @cached_property
    def populations(self) -> tuple[str, ...]:
        """Names of the populations that any figure needs, in the order of their mention."""
        return tuple(dict.fromkeys(name for figure in self.figures for name in figure.under))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The columns, and fields of the scenario, that any figure needs."""
        return tuple(dict.fromkeys(name for figure in self.figures for name in figure.weights))

    def scenarios(
        self, settings: Settings, seed: int = 0, case: Settings | None = None
    ) -> list[Scenario]:
        """Return a design under every population; ``seed`` is added to the scenario's.

        A ``case`` is laid over those that have its fields: a malicious share over none that is
        honest. Raises :class:`ScenarioError` for a design, or a case, that cannot be.
        """
        for name in self.populations:
            if (name, seed) not in self._populated:
                keys = {"seed": self.scenario.seed + seed} if seed else {}
                said = {**keys, **self.search.populations.get(name, {})}
                self._populated[name, seed] = self.scenario.replace(said)
        found = [self._populated[name, seed].replace(settings) for name in self.populations]
        found = [_laid_over(one, case) for one in found] if case else found
        for one in found:
            source = source_of(one)
            if source not in self._profiles:
                self._profiles[source] = profile_of(one)
            check_playable(one, self._profiles[source])
        return found

    def losses(self, played: Mapping[str, Mapping[str, Array]]) -> Array:
        """Return (replications, objectives), all to be minimised."""
        return np.stack([one.losses(played) for one in self.search.objectives], axis=1)

    def excesses(self, played: Mapping[str, Mapping[str, Array]]) -> Array:
        """Return (replications, constraints), by how much each is violated."""
        count = len(next(iter(next(iter(played.values())).values())))
        found = [one.excess(played) for one in self.search.constraints]
        return np.stack(found, axis=1) if found else np.empty((count, 0))


def _laid_over(scenario: Scenario, case: Settings) -> Scenario:
    data = scenario.resolved()
    acting = {
        name: value for name, value in case.items() if value_at(split(name), data) is not None
    }
    return scenario.replace(acting) if acting else scenario


def load_design(
    source: str | Path, overrides: tuple[str, ...] = (), **budget: int | None
) -> DesignProblem:
    """Return what a design file, or a certificate, says; ``overrides`` are of its scenario.

    ``budget`` stands in place of what the file's says, where it is given: ``designs=200``. A name
    without a path is a design that ships.

    Raises
    ------
    ScenarioError
        Naming every problem with its file and line.
    """
    path = Path(source) if isinstance(source, Path) or is_path(source) else _shipped(source)
    scenario, said, origins = load_beside(path, ("search", "certificate"), overrides)
    if "search" not in said:
        wrong: Finding = (("search",), "is missing: a design file says what is searched")
        raise ScenarioError([origins.problem(wrong)])
    try:
        section = SearchSection.model_validate(said["search"])
        if given := {name: value for name, value in budget.items() if value is not None}:
            DesignBudget.model_validate({**section.budget.model_dump(), **given})
            changed = section.budget.model_copy(update=given)
            section = section.model_copy(update={"budget": changed})
    except ValidationError as error:
        raise ScenarioError(map(origins.problem, findings(error, ("search",)))) from None
    problem = DesignProblem(scenario, section, said.get("certificate"))
    _check(problem, origins)
    return problem


def _shipped(name: str) -> Path:
    folder = find_scenario("cost_aware_poq").parent / "designs"
    path = folder / f"{name}.yaml"
    if path.is_file():
        return path
    return find_scenario(name)


def _check(problem: DesignProblem, origins: Origins) -> None:
    """Raise for what a section that is well-formed asks of a scenario that cannot have it."""
    found = [*_wrong_paths(problem), *_wrong_figures(problem)]
    if problem.scenario.treatments()[1:]:
        found.append((("sweep",), "a design file has no sweep: its variables say what varies"))
    found += [*_wrong_audit(problem), *_wrong_uncertainties(problem)]
    if problem.scenario.precision is not None:
        found.append((("replications",), "must be a number here: search.budget says how many"))
    if found:
        raise ScenarioError(map(origins.problem, found))
    for name, settings in problem.search.populations.items():
        try:
            Plan.of(problem.scenario.replace(settings))
        except ScenarioError as error:
            said = error.problems[0]
            where = ("search", "populations", name)
            message = ": ".join(part for part in (said.path, said.message) if part)
            raise ScenarioError([origins.problem((where, message))]) from error


def _wrong_paths(problem: DesignProblem) -> Iterator[Finding]:
    variables = problem.search.variables
    for name, variable in variables.items():
        where = ("search", "variables", name)
        if (said := fault(split(name), problem.data)) is not None:
            yield where, said
        for other in variable.when:
            if other not in variables and (said := fault(split(other), problem.data)):
                yield (*where, "when", other), said
            elif other in variables and list(variables).index(other) >= list(variables).index(name):
                yield (*where, "when", other), "has to stand above what depends on it"
    for name in problem.populations:
        known = [HONEST, *problem.search.populations]
        if name not in known:
            yield ("search",), f"no population {name!r}; {nearest(name, known)}"
    for name, settings in problem.search.populations.items():
        for path in settings:
            if path in variables:
                yield ("search", "populations", name, path), "is a variable as well"


def _wrong_uncertainties(problem: DesignProblem) -> Iterator[Finding]:
    """Yield what no population has, what is searched as well, and values that cannot be."""
    part, uncertain = ("search", "uncertainties"), problem.search.uncertainties
    if uncertain and not problem.search.constraints:
        yield part, "say where a constraint is broken, and there are none: name one"
    data = [one.resolved() for one in problem.scenarios({})] if uncertain else []
    for name, variable in uncertain.items():
        where = (*part, name)
        if name in problem.search.variables:
            yield where, "is a variable as well"
        elif variable.when:
            yield (*where, "when"), "is of variables: a case has all fields of its population"
        elif said := next(filter(None, (fault(split(name), one) for one in data)), None):
            yield where, said
        elif all(value_at(split(name), one) is None for one in data):
            yield where, "no population that the objectives or constraints name has this field"
        else:
            for value in variable.ends:
                try:
                    for scenario in problem.scenarios({}, case={name: value}):
                        Plan.of(scenario)
                except InputError as error:
                    yield where, f"{value}: {error}"


def _wrong_audit(problem: DesignProblem) -> Iterator[Finding]:
    asked = problem.search.audit
    if asked is None:
        return
    if study_of(problem.scenario).main == "queries":
        yield ("search", "audit"), "takes rounds, and this scenario has a verification"
        return
    for number, by in enumerate(asked.by):
        if "by" in asked.model_fields_set and not searchers(problem.scenario, by, asked.share):
            said = f"{by}: a share of {asked.share:g} leaves nobody to look for a best response"
            yield ("search", "audit", "by", number), said
    for number, spec in enumerate(asked.behaviours):
        if (why := _cannot_deviate(problem.scenario, named(spec), asked.share)) is not None:
            yield ("search", "audit", "behaviours", number), why


def _cannot_deviate(scenario: Scenario, spec: Any, share: float) -> str | None:
    """Return why nobody can deviate as a behaviour says, if that is so."""
    if not isinstance(spec, Mapping):
        return f"{spec!r} is no behaviour: name one, or {{name: ..., parameters}}"
    try:
        tried, _ = deviations(scenario, share=share, chosen=[spec])
        for role in ROLES:
            for one in [one for one in tried if one.role == role][:1]:
                Plan.of(deviating(scenario, one))
    except ScenarioError as error:
        return error.problems[0].message
    except InputError as error:
        return str(error)
    return None if tried else "there is nobody who could do it"


def _wrong_figures(problem: DesignProblem) -> Iterator[Finding]:
    study = study_of(problem.scenario)
    known = [field.name for field in SCHEMAS[study.main] if str(field.type) == "double"]
    parts: dict[str, tuple[Measured, ...]] = {
        "objectives": problem.search.objectives,
        "constraints": problem.search.constraints,
    }
    for part, figures in parts.items():
        for number, figure in enumerate(figures):
            where = ("search", part, number)
            if not figure.weights:
                yield where, "adds nothing up: name a column of replications, or weights"
            for name in figure.weights:
                if (said := _wrong_figure(problem, name, known)) is not None:
                    yield where, said
    if all(map(is_field, problem.metrics)):
        yield ("search", "objectives"), "no figure is a column of replications: nothing is played"
    for number, constraint in enumerate(problem.search.constraints):
        bound = constraint.at_most if constraint.at_most is not None else constraint.at_least
        if bound is not None and not math.isfinite(bound):
            yield ("search", "constraints", number), "must be a finite number"


def _wrong_figure(problem: DesignProblem, name: str, known: list[str]) -> str | None:
    """Return why a name is no column and no field with a number."""
    if not is_field(name):
        return None if name in known else f"no metric {name!r}; {nearest(name, known)}"
    if (said := fault(split(name), problem.data)) is not None:
        return said
    searched = problem.search.variables.get(name)
    values = [value_at(split(name), problem.data), *(searched.choices if searched else ())]
    for value in values:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return f"{name} is {value!r}, no number to add up"
    return None
