"""What a run consists of: treatments, replications, and the blocks that workers play."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poq_abm.errors import nearest
from poq_abm.experiment.blocks import Block, Limits, Span, Weight, cut
from poq_abm.experiment.calibration_error import fewest_records
from poq_abm.experiment.economy_study import EconomyStudy
from poq_abm.experiment.precision import PrecisionTarget
from poq_abm.experiment.query_study import QueryStudy
from poq_abm.experiment.round_study import RoundStudy
from poq_abm.experiment.schemas import RESAMPLED, SCHEMAS, TRACES, range_of
from poq_abm.experiment.study import Study
from poq_abm.experiment.twins import Twins
from poq_abm.profile import Profile, latency_of
from poq_abm.rules.registry import own_rules
from poq_abm.scenario import Scenario, ScenarioError, Treatment, load
from poq_abm.scenario.checks.explaining import further
from poq_abm.scenario.checks.idle import idle_settings
from poq_abm.scenario.checks.problems import Problem
from poq_abm.scenario.sweep.treatments import is_drawn
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.playable import SYNTHETIC, check_playable, profile_of
from poq_abm.simulation.population import Populations

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "RESULTS_VERSION",
    "Plan",
    "as_before",
    "configuration_hash",
    "played_hash",
    "source_of",
    "study_of",
]

#: raised whenever the same configuration would give other numbers, or a column that runs have would
#: mean something else or go; not for a column more, which is missing in older runs
RESULTS_VERSION = 5

#: Rounds of a block: as many as give so many blocks in all, that workers end at about the same time
#: and little is lost with one; but enough to be worth a file, and so few that it is played in a
#: fifth of a second by the compiled engine.
MOST_BLOCKS = 16
LEAST_ROUNDS, MOST_ROUNDS = 25_000, 4_000_000
MOST_ROUNDS_TRACED = 1_000_000  #: a trace is slower, and its files are large
MOST_ROWS = 50_000  #: a few megabytes of every table
#: of one stage, however much there is to play: a file more takes milliseconds to write and to read,
#: and so long a run loses little with a block that takes seconds
MOST_FILES = 500


@dataclass(frozen=True)
class Plan:
    """A checked scenario, its treatments, and the profiles they draw from, by their source."""

    scenario: Scenario
    treatments: tuple[Treatment, ...]
    profiles: dict[str, Profile]
    trace: bool = False
    #: settings that do nothing here, where that comes naturally
    warnings: tuple[Problem, ...] = field(default=(), compare=False, repr=False)
    twins: Twins = field(default_factory=Twins, compare=False, repr=False)
    populations: Populations = field(default_factory=Populations, compare=False, repr=False)

    @classmethod
    def of(cls, scenario: Scenario, *, profile: Profile | None = None, trace: bool = False) -> Self:
        """Return the plan of ``scenario``, or raise with everything that is wrong with it.

        ``profile`` stands in for every profile the scenario names.
        """
        treatments = tuple(scenario.treatments())
        profiles: dict[str, Profile] = {}
        for treatment in treatments:
            key = source_of(treatment.scenario)
            if key not in profiles:
                profiles[key] = profile or profile_of(treatment.scenario)
        if len(profiles) == 1:
            check_playable(scenario, next(iter(profiles.values())))
        else:
            for treatment in treatments:
                check_playable(treatment.scenario, profiles[source_of(treatment.scenario)])
        _check_metric(scenario, treatments)
        _check_studies(scenario, treatments, profiles)
        idle = idle_settings(scenario, treatments)
        if idle.errors:
            raise ScenarioError(idle.errors)
        plan = cls(scenario, treatments, profiles, trace, warnings=tuple(idle.warnings))
        _check_against(plan)
        return plan

    @classmethod
    def load(
        cls, source: str | Path, overrides: Sequence[str] = (), *, trace: bool = False
    ) -> Self:
        """Load a scenario and plan it, reporting what schema and profile refuse in one go."""
        try:
            scenario = load(source, overrides)
        except ScenarioError as error:
            raise ScenarioError([*error.problems, *_hidden_behind(error)]) from None
        return cls.of(scenario, trace=trace)

    @property
    def rounds(self) -> int:
        """Number of rounds of all treatments and replications together, at most."""
        count = self.scenario.most_replications * self._times
        return sum(t.scenario.rounds for t in self.treatments) * count

    @property
    def _times(self) -> int:
        """How often a replication is played: on the profile, and on one that is resampled."""
        return 2 if self.scenario.resample_profile else 1

    @property
    def fewest_records(self) -> int | None:
        """The fewest records of a task in play, where profiles are resampled."""
        if not self.scenario.resample_profile:
            return None
        return min(
            fewest_records(self.profile(number), one.scenario.tasks or ())
            for number, one in enumerate(self.treatments)
        )

    def rounds_of(self, span: Span) -> int:
        """Return the number of rounds of a span."""
        rounds = self.treatments[span.treatment].scenario.rounds
        return rounds * (span.last - span.first) * self._times

    def game(self, treatment: int) -> Game:
        """Build the game of one treatment."""
        scenario = self.treatments[treatment].scenario
        return build_game(scenario, self.profile(treatment), self.populations)

    def estimated(self) -> dict[tuple[str, str], float]:
        """Return the latencies in ms that nobody measured, by (model, hardware)."""
        found: dict[tuple[str, str], float] = {}
        seen: set[tuple[int, str]] = set()  # treatments share the populations no axis touches
        for index, treatment in enumerate(self.treatments):
            people = treatment.scenario.population
            key = (id(people), source_of(treatment.scenario))
            if key not in seen:
                seen.add(key)
                profile = self.profile(index)
                for group in (*people.inference, *people.evaluators):
                    for machine in [name for name, count in group.machines if name and count]:
                        latency = latency_of(profile, group.model, machine)
                        if latency.source == "estimated":
                            found[group.model, machine] = latency.ms
        return found

    def baselines(self) -> dict[int, int | None]:
        """Return the treatments whose precision is judged, and what each is compared with.

        Without ``replications.until.against`` all are, with nothing. With it, a treatment is
        compared with the one that has these settings and agrees in all others.
        """
        precision = self.scenario.precision
        against = None if precision is None else precision.until.against
        if not against:
            return dict.fromkeys(range(len(self.treatments)))
        cells: dict[str, int] = {}
        rest: dict[int, str] = {}
        for number, treatment in enumerate(self.treatments):
            others = {k: v for k, v in treatment.settings.items() if k not in against}
            cell = json.dumps(others, sort_keys=True)
            if all(_same(treatment.settings.get(k), v) for k, v in against.items()):
                cells[cell] = number
            else:
                rest[number] = cell
        return {number: cells[cell] for number, cell in rest.items() if cell in cells}

    @functools.cached_property
    def target(self) -> PrecisionTarget | None:
        """The precision that the scenario asks for, if it asks for any."""
        asked = self.scenario.precision
        if asked is None:
            return None
        until = asked.until
        return PrecisionTarget(
            metric=until.metric,
            half_width=until.half_width,
            relative=until.relative,
            at_least=asked.at_least,
            at_most=asked.at_most,
            confidence=asked.confidence,
            within=range_of(until.metric, self._unit_of(until.metric)),
        )

    def _unit_of(self, metric: str) -> str:
        """Return the unit of a column of the main table."""
        unit: bytes = SCHEMAS[self.main].field(metric).metadata[b"unit"]
        return unit.decode()

    def profile(self, treatment: int) -> Profile:
        """Return the profile that one treatment draws from."""
        return self.profiles[source_of(self.treatments[treatment].scenario)]

    def study(self, treatment: int) -> Study:
        """Return what one treatment plays."""
        return study_of(self.treatments[treatment].scenario)

    @property
    def unit(self) -> str:
        """What is played one after the other: rounds, or queries."""
        return self.study(0).unit

    @property
    def main(self) -> str:
        """Name of the table of one row per treatment x replication."""
        return self.study(0).main

    @property
    def traced(self) -> str:
        """Name of the table that a trace goes to."""
        return self.study(0).traced

    @functools.cached_property
    def tables(self) -> list[str]:
        """Names of the tables this run leaves."""
        left = {name for number in range(len(self.treatments)) for name in self._rows(number)}
        return [name for name in SCHEMAS if name in left or (self.trace and name == self.traced)]

    def rows(self, treatment: int) -> dict[str, int]:
        """Return how many rows one replication of a treatment adds to each table."""
        study = self.study(treatment)
        rows = {study.traced: study.traced_rows or 0, **self._rows(treatment)}
        return {name: rows.get(name, 0) for name in self.tables}

    @property
    def uncounted(self) -> frozenset[str]:
        """Tables whose rows nobody knows beforehand, as traces with random queries."""
        studies = map(self.study, range(len(self.treatments)))
        return frozenset(study.traced for study in studies if study.traced_rows is None)

    def _rows(self, treatment: int) -> dict[str, int]:
        rows = self.study(treatment).rows(self.profile(treatment))
        if not self.scenario.resample_profile:
            return rows
        again = {f"{RESAMPLED}{name}": count for name, count in rows.items()}
        return {**rows, **{name: count for name, count in again.items() if name in SCHEMAS}}

    def blocks(self, spans: Iterable[Span]) -> list[Block]:
        """Cut what is wanted next into what is played and stored at a time."""
        spans = list(spans)
        weights = self._weights(spans)
        return list(cut(spans, weights.__getitem__, self.limits(spans, weights)))

    def limits(self, spans: Sequence[Span], weights: Mapping[int, Weight] | None = None) -> Limits:
        """Return what a block of these spans may hold at most."""
        weights = weights or self._weights(spans)
        rounds = sum(weights[span.treatment].rounds * span.size for span in spans)
        rows = sum(weights[span.treatment].rows * span.size for span in spans)
        most = MOST_ROUNDS_TRACED if self.trace else MOST_ROUNDS
        few = min(most, max(rounds // MOST_BLOCKS, LEAST_ROUNDS))
        return Limits(max(few, rounds // MOST_FILES), max(MOST_ROWS, rows // MOST_FILES))

    def _weights(self, spans: Sequence[Span]) -> dict[int, Weight]:
        return {number: self._weight(number) for number in {span.treatment for span in spans}}

    def _weight(self, treatment: int) -> Weight:
        rows = self.rows(treatment)
        stored = sum(rows.values()) - sum(rows.get(name, 0) for name in TRACES)
        return Weight(self.treatments[treatment].scenario.rounds * self._times, stored)

    def configuration(self) -> dict[str, Any]:
        """Return all that determines the results, as plain data."""
        resolved = self.scenario.resolved()
        return {
            "results_version": RESULTS_VERSION,
            # Where a profile lies does not matter; what it holds does.
            "scenario": {**resolved, "profile": Path(self.scenario.profile).name},
            "profiles": [profile.content_hash for profile in self.profiles.values()],
            "trace": self.trace,
            **({} if (fewest := self.fewest_records) is None else {"fewest_records": fewest}),
            **self._sampled(),
            **self._own_rules(),
        }

    def _sampled(self) -> dict[str, Any]:
        """Return the values that a design drew, which another release of SciPy may draw otherwise.

        Other sweeps say all of it in the scenario.
        """
        if not is_drawn(self.scenario.sweep):
            return {}
        return {"treatments": [treatment.settings for treatment in self.treatments]}

    def _own_rules(self) -> dict[str, Any]:
        """Return the digests of users' own rules: code determines results too."""
        text = json.dumps(self.scenario.resolved())
        known = {
            f"{rule.kind.name} {rule.name}": rule.digest()
            for rule in own_rules()
            if json.dumps(rule.name) in text
        }
        return {"plugins": known} if known else {}

    def hash(self) -> str:
        """Return the SHA-256 digest of :meth:`configuration`, which names the results folder."""
        return configuration_hash(self.configuration())

    def played_hash(self) -> str:
        """Return the same of what every replication plays, however many there are of them.

        Blocks bear it, so that more replications can be added to those of a run.
        """
        return played_hash(self.configuration())


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


def as_before(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a scenario without keys that are younger than runs and say nothing.

    So that what was played before is found again by its digest.
    """
    plain = dict(scenario)
    with suppress(KeyError, TypeError, AttributeError):  # of what was not written by us
        groups = [
            {k: v for k, v in group.items() if (k, v) != ("usd_per_answer", None)}
            for group in plain["population"]["inference"]
        ]
        plain["population"] = {**plain["population"], "inference": groups}
    return plain


def configuration_hash(configuration: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest of a configuration; of one that was stored and read, the same."""
    plain = json.loads(json.dumps(configuration))  # keys are words there, and sorted as words
    with suppress(KeyError, TypeError):  # of what was not written by us
        plain["scenario"] = as_before(plain["scenario"])
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def played_hash(configuration: Mapping[str, Any]) -> str:
    """Return the digest of a configuration without its number of replications."""
    scenario = {k: v for k, v in configuration["scenario"].items() if k != "replications"}
    return configuration_hash({**configuration, "scenario": scenario})


def _check_metric(scenario: Scenario, treatments: Sequence[Treatment]) -> None:
    """Refuse a precision target of what no column of ``replications`` measures in a treatment."""
    if scenario.precision is None:
        return
    metric = scenario.precision.until.metric
    table = SCHEMAS[study_of(treatments[0].scenario).main]
    metrics = [field.name for field in table if str(field.type) == "double"]
    if metric not in metrics:
        path = ("replications", "until", "metric")
        said = f"no measure {metric!r}; {nearest(metric, metrics)}"
        raise ScenarioError([scenario.origins.problem((path, said))])
    for treatment in treatments:
        if (why := study_of(treatment.scenario).why_missing(metric)) is not None:
            path = ("replications", "until", "metric")
            raise ScenarioError([scenario.origins.problem((path, f"{metric} {why}"))])


def _check_against(plan: Plan) -> None:
    """Refuse a baseline that is no treatment, or that leaves a treatment without one."""
    scenario = plan.scenario
    if scenario.precision is None or not scenario.precision.until.against:
        return
    against = scenario.precision.until.against
    axes = list(dict.fromkeys(axis for t in plan.treatments for axis in t.settings))
    for axis, value in against.items():
        if axis not in axes:
            raise _refused_baseline(
                scenario, axis, f"is no axis of the sweep; {nearest(axis, axes)}"
            )
        values = [treatment.settings.get(axis) for treatment in plan.treatments]
        if not any(_same(known, value) for known in values):
            said = nearest(str(value), [str(known) for known in values])
            raise _refused_baseline(scenario, axis, f"takes no value {value!r}; {said}")
    judged = plan.baselines()
    baselines = set(judged.values())
    alone = [t.id for n, t in enumerate(plan.treatments) if n not in judged and n not in baselines]
    if alone:
        said = f"leaves {alone[0]} without a baseline: no treatment agrees with it in all else"
        raise _refused_baseline(scenario, next(iter(against)), said)


def _refused_baseline(scenario: Scenario, axis: str, said: str) -> ScenarioError:
    path = ("replications", "until", "against", axis)
    return ScenarioError([scenario.origins.problem((path, f"{axis!r} {said}"))])


def _same(one: Any, other: Any) -> bool:
    """Return whether two settings agree; a behaviour may be given by its name."""
    named = [value["name"] if isinstance(value, Mapping) and set(value) == {"name"} else value
             for value in (one, other)]  # fmt: skip
    return bool(named[0] == named[1])


def _check_studies(
    scenario: Scenario, treatments: Sequence[Treatment], profiles: Mapping[str, Profile]
) -> None:
    """Refuse what studies cannot play, and treatments that share no table."""
    studies = [study_of(treatment.scenario) for treatment in treatments]
    verifying = sum(study.main == "queries" for study in studies)
    if 0 < verifying < len(studies):
        said = f"{verifying} of {len(studies)} treatments have a section `verification`"
        path = ("sweep",)
        raise ScenarioError([scenario.origins.problem((path, f"{said}; give it to all or none"))])
    problems: dict[Problem, None] = {}
    for study in studies:
        found = study.findings(profiles[source_of(study.scenario)])
        problems.update(dict.fromkeys(map(study.scenario.origins.problem, found)))
    if problems:
        raise ScenarioError(problems)


def source_of(scenario: Scenario) -> str:
    """Return what tells the profiles of treatments apart."""
    if scenario.profile != SYNTHETIC:
        return scenario.profile
    return json.dumps(scenario.synthetic, sort_keys=True)


def _hidden_behind(error: ScenarioError) -> list[Problem]:
    """Return what the profile refuses in a scenario whose schema is already refused."""
    if error.salvaged is None:
        return []
    try:
        Plan.of(error.salvaged)
    except ScenarioError as more:
        return further(more.problems, error.problems)
    return []
