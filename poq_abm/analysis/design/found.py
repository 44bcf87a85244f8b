"""What a search for a mechanism found, stage by stage."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from poq_abm.analysis.design.problem import DesignProblem, Settings, load_design
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import mean_interval
from poq_abm.experiment.files import naming_the_folder, write_text
from poq_abm.scenario import Scenario
from poq_abm.scenario.yaml_text import to_yaml

__all__ = [
    "AuditOf",
    "Audited",
    "BestDeviation",
    "Certified",
    "DesignOutcome",
    "FoundCases",
    "FoundDesigns",
    "Looked",
    "Member",
    "design_file",
    "read_found",
    "write_found",
]

_SEARCHED = "searched.yaml"  #: beside what was found: what was searched


def _array(data: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.array(data["values"], dtype=np.float64).reshape(data["shape"])


def _array_data(array: NDArray[np.float64]) -> dict[str, Any]:
    return {"shape": list(array.shape), "values": array.ravel().tolist()}


Array = Annotated[NDArray[np.float64], PlainValidator(_array), PlainSerializer(_array_data)]
Table = Annotated[
    pd.DataFrame, PlainValidator(pd.DataFrame), PlainSerializer(lambda one: one.to_dict("list"))
]


@dataclass(frozen=True)
class DesignOutcome:
    """What came of a design: losses and excesses, by replication."""

    losses: Array  #: (replications, objectives)
    excesses: Array  #: (replications, constraints)

    @property
    def violations(self) -> Array:
        """By how much each constraint is violated by the mean; at most 0 where it holds."""
        found: Array = self.excesses.mean(axis=0)
        return found

    @property
    def feasible(self) -> bool:
        """Whether every constraint holds for the mean."""
        return bool((self.violations <= 0.0).all())

    def shown_feasible(self, level: float) -> bool:
        """Whether every constraint holds at the upper end of its interval."""
        ends = [mean_interval(one, level)[3] for one in self.excesses.T]
        return all(not end > 0.0 for end in ends)

    def joined(self, later: DesignOutcome) -> DesignOutcome:
        """Return these replications followed by later ones."""
        return DesignOutcome(
            np.concatenate([self.losses, later.losses]),
            np.concatenate([self.excesses, later.excesses]),
        )


@dataclass
class Member:
    """A design of the front, on fresh keys."""

    settings: Settings
    outcome: DesignOutcome
    state: str = "undecided"  #: ``in``, ``out``, or ``infeasible`` on fresh keys
    probability: float = float("nan")  #: of being dominated by no other member
    dominated_by: tuple[int, ...] = ()  #: numbers of the members shown to be better
    beats_published: bool = False  #: whether it is shown to dominate the scenario's own design


@dataclass(frozen=True)
class BestDeviation:
    """The best that was found for some to do under a design, and what they gain by it.

    In tokens per job, or of profit per epoch, of a member; all intervals of an audit hold together.
    """

    by: str  #: one ``evaluator``, one ``inference`` node, or a ``ring`` of several nodes
    deviation: str  #: who does what
    gain: float
    low: float
    high: float
    upper: float  #: the most that any deviation by such, declared or searched for, may gain
    tried: int  #: deviations that were looked at


@dataclass(frozen=True)
class Audited:
    """What the best deviations from a design gain, by who deviates."""

    best: tuple[BestDeviation, ...]
    per: str = "job"  #: or ``epoch``

    @property
    def unit(self) -> str:
        """What gains are counted by: of several nodes, for each of them."""
        return "job" if self.per == "job" else "epoch of a member"

    @property
    def upper(self) -> float:
        """The most that any deviation may gain; infinite where none could be told."""
        return max((one.upper for one in self.best), default=math.inf)

    @property
    def worst(self) -> BestDeviation:
        """The best deviation of those who may gain most."""
        return max(self.best, key=lambda one: one.upper)


AuditOf = Callable[[Scenario], Audited]


@dataclass(frozen=True)
class Looked:
    """The first stage of a search: what came of designs that can be, and how far it had come.

    Means on the keys of the search. Designs stand in the order in which they were tried.
    """

    settings: list[Settings]  #: of the feasible designs
    losses: Array  #: (feasible designs, objectives)
    trace: list[tuple[int, int]]  #: by generation: designs tried, feasible ones known
    infeasible: list[Settings]  #: of the designs that break a constraint
    violations: Array  #: (infeasible designs, constraints); at most 0 where one holds


@dataclass(frozen=True)
class FoundCases:
    """Cases under which a design was played, and where it broke a constraint."""

    cases: Table  #: a column for each uncertain field, a row for each case
    excesses: Array  #: (cases, constraints), of the mean; at most 0 where it holds
    replications: int  #: of each case
    impossible: int = 0  #: cases that cannot be, or lack a figure

    @property
    def fails(self) -> NDArray[np.bool_]:
        """Which cases break a constraint."""
        return np.asarray((self.excesses > 0.0).any(axis=1))


@dataclass(frozen=True)
class Certified:
    """The chosen design and the scenario's own one, on keys that nothing before has seen."""

    settings: Settings
    outcome: DesignOutcome
    published: DesignOutcome | None  #: none where it cannot be, or is the one that was chosen
    #: what deviators gain under either, as ``chosen`` and ``published``; empty where nobody asked
    audits: dict[str, Audited] = field(default_factory=dict)
    tried: int = 0  #: designs, before it was chosen
    probability: float = float("nan")  #: of being dominated by no other member of the front
    cases: FoundCases | None = None  #: where the chosen design stops being feasible


@dataclass
class FoundDesigns:
    """What a search found, stage by stage."""

    problem: Annotated[DesignProblem, PlainValidator(lambda problem: problem)]
    tried: int = 0  #: designs
    distinct: int = 0  #: of them
    impossible: int = 0  #: of the distinct ones
    why_impossible: str = ""  #: of the first
    first_losses: Array | None = None  #: mean losses of the front, on the keys of the search
    looks: list[Looked] = field(default_factory=list)  #: of the search, and of those repeated
    least_violated: tuple[Settings, Array] | None = None  #: where no design is feasible
    members: list[Member] = field(default_factory=list)
    published: DesignOutcome | None = None  #: the scenario's own design, on the keys of the front
    fresh: int = 0  #: replications of the front
    tornado: list[tuple[str, Any, Array]] = field(default_factory=list)  #: differences of losses
    failed_audits: list[tuple[int, Audited]] = field(default_factory=list)  #: by member
    chosen_member: int | None = None
    certified: Certified | None = None
    constant: list[str] = field(default_factory=list)  #: objectives that never vary
    begun_with: list[Settings] = field(default_factory=list)  #: besides the scenario's own design

    @property
    def chosen(self) -> Member | None:
        """The member that was certified."""
        return None if self.chosen_member is None else self.members[self.chosen_member]

    @property
    def cases(self) -> FoundCases | None:
        """Where the chosen design stops being feasible, if cases were drawn."""
        return None if self.certified is None else self.certified.cases


def design_file(problem: DesignProblem) -> str:
    """Return a design file that says all of a problem, whatever it extends."""
    search = problem.search.model_dump(mode="json", exclude_unset=True)
    data = {**problem.scenario.resolved(), "search": search}
    return to_yaml(data, problem.scenario.question)


def write_found(found: FoundDesigns, path: Path) -> None:
    """Write what was found, and beside it what was searched, for :func:`read_found`."""
    data = TypeAdapter(FoundDesigns).dump_python(found, exclude={"problem"})
    with naming_the_folder(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path.with_name(_SEARCHED), design_file(found.problem))
        write_text(path, json.dumps(data) + "\n")


def read_found(path: Path) -> FoundDesigns:
    """Return what a search found and left in a file.

    Raises
    ------
    InputError
        If it cannot be read, or what was searched cannot.
    """
    problem = load_design(path.with_name(_SEARCHED))
    try:
        data = json.loads(path.read_bytes())
        return TypeAdapter(FoundDesigns).validate_python({**data, "problem": problem})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not what this version writes: run poq design again") from error
