"""What a run consists of: treatments, replications, and the chunks that workers play."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poq_abm.errors import InputError, nearest
from poq_abm.experiment.distributions import REWARD_QUANTILES
from poq_abm.experiment.economies import ECONOMY_MEASURES
from poq_abm.experiment.spans import Chunk, Limits, Span, Weight, cut
from poq_abm.experiment.tables import REPLICATIONS, SCHEMAS
from poq_abm.experiment.twins import Twins
from poq_abm.profile import Profile, latency_of
from poq_abm.rules.registry import own_rules
from poq_abm.scenario import Scenario, ScenarioError, Treatment, load
from poq_abm.scenario.checks.idle import idle_settings
from poq_abm.scenario.checks.problems import Problem
from poq_abm.scenario.checks.salvage import further
from poq_abm.scenario.schema.economy import Economy
from poq_abm.scenario.sweep.treatments import is_drawn
from poq_abm.simulation.epochs.economy_playable import adaptation_findings
from poq_abm.simulation.epochs.payment import points_are_tokens
from poq_abm.simulation.game import Game, build_game
from poq_abm.simulation.playable import SYNTHETIC, check_playable, profile_of
from poq_abm.simulation.queries.market import market_findings, open_market
from poq_abm.simulation.queries.query_tables import QUERIES

if TYPE_CHECKING:
    from typing import Self

__all__ = ["RESULTS_VERSION", "Plan", "configuration_hash"]

#: raised whenever the same configuration would give other numbers or other columns
RESULTS_VERSION = 4

#: a chunk takes a worker about a fifth of a second, ten times as long with the agents
MOST_ROUNDS = {"compiled": 4_000_000, "agents": 100_000}
MOST_ROWS = 50_000  #: a few megabytes of every table
CHUNKS_PER_WORKER = 8  #: so that workers end at about the same time


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

    @classmethod
    def of(cls, scenario: Scenario, *, profile: Profile | None = None, trace: bool = False) -> Self:
        """Return the plan of ``scenario``, or raise with everything that is wrong with it.

        ``profile`` stands in for every profile the scenario names.
        """
        treatments = tuple(scenario.treatments())
        profiles: dict[str, Profile] = {}
        for treatment in treatments:
            key = _source(treatment.scenario)
            if key not in profiles:
                profiles[key] = profile or profile_of(treatment.scenario)
        if len(profiles) == 1:
            check_playable(scenario, next(iter(profiles.values())))
        else:
            for treatment in treatments:
                check_playable(treatment.scenario, profiles[_source(treatment.scenario)])
        _check_metric(scenario, treatments)
        _check_economies(treatments, profiles, trace=trace)
        _check_verifications(scenario, treatments, profiles)
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
    def logs_trust(self) -> bool:
        """Whether any treatment keeps a log of trust."""
        return any(t.scenario.mechanism.trust.interval > 0 for t in self.treatments)

    @property
    def has_economies(self) -> bool:
        """Whether any treatment is played as an economy."""
        return any(t.scenario.economy is not None for t in self.treatments)

    @property
    def rounds(self) -> int:
        """Number of rounds of all treatments and replications together, at most."""
        return sum(t.scenario.rounds for t in self.treatments) * self.scenario.most_replications

    def rounds_of(self, span: Span) -> int:
        """Return the number of rounds of a span."""
        return self.treatments[span.treatment].scenario.rounds * (span.last - span.first)

    def game(self, treatment: int) -> Game:
        """Build the game of one treatment."""
        return build_game(self.treatments[treatment].scenario, self.profile(treatment))

    def estimated(self) -> dict[tuple[str, str], float]:
        """Return the latencies in ms that nobody measured, by (model, hardware)."""
        found: dict[tuple[str, str], float] = {}
        seen: set[tuple[int, str]] = set()  # treatments share the populations no axis touches
        for index, treatment in enumerate(self.treatments):
            people = treatment.scenario.population
            key = (id(people), _source(treatment.scenario))
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

    def unit_of(self, metric: str) -> str:
        """Return the unit of a column of the main table."""
        unit: bytes = SCHEMAS[self.main].field(metric).metadata[b"unit"]
        return unit.decode()

    def profile(self, treatment: int) -> Profile:
        """Return the profile that one treatment draws from."""
        return self.profiles[_source(self.treatments[treatment].scenario)]

    @property
    def verifies(self) -> bool:
        """Whether queries of verification protocols are played instead of rounds."""
        return self.treatments[0].scenario.verification is not None

    @property
    def main(self) -> str:
        """Name of the table of one row per treatment x replication."""
        return "queries" if self.verifies else "replications"

    @property
    def traced(self) -> str:
        """Name of the table that a trace goes to."""
        return "query_trace" if self.verifies else "rounds"

    @property
    def tables(self) -> list[str]:
        """Names of the tables this run leaves."""
        verifies = self.verifies
        kept = {
            "nodes": not verifies,
            "replications": not verifies,
            "queries": verifies,
            "rounds": self.trace and not verifies,
            "query_trace": self.trace and verifies,
            "trust": self.logs_trust and not verifies,
            "epochs": self.has_economies,
            "accounts": self.has_economies,
        }
        return [name for name in SCHEMAS if kept.get(name, True)]

    def rows(self, treatment: int) -> dict[str, int]:
        """Return how many rows one replication of a treatment adds to each table."""
        scenario = self.treatments[treatment].scenario
        people, trust = scenario.population, scenario.mechanism.trust
        economy = scenario.economy
        entries = scenario.rounds // trust.interval if trust.interval else 0
        columns = len(scenario.tasks or self.profile(treatment).tasks) if trust.per_task else 1
        rows = {
            "nodes": people.inference_nodes + people.evaluator_nodes,
            "replications": 1,
            "epochs": economy.epochs * (people.group_count + 1) if economy else 0,
            "accounts": people.inference_nodes + people.evaluator_nodes if economy else 0,
            "trust": entries * people.evaluator_nodes * columns,
            "queries": 1,
            "rounds": scenario.rounds,
            "query_trace": scenario.rounds,
        }
        return {name: rows[name] for name in self.tables}

    def chunks(
        self, spans: Iterable[Span], *, engine: str = "compiled", workers: int = 1
    ) -> list[Chunk]:
        """Cut spans into what workers play at a time; with a trace, one replication each."""
        spans = list(spans)
        rounds = sum(self.rounds_of(span) for span in spans)
        most = MOST_ROUNDS[engine]
        share = rounds // (CHUNKS_PER_WORKER * workers) if workers > 1 else most
        limits = Limits(min(most, max(share, most // 20)), MOST_ROWS, 1 if self.trace else None)
        return list(cut(spans, self._weight, limits))

    def _weight(self, treatment: int) -> Weight:
        rows = self.rows(treatment)
        stored = sum(rows.values()) - rows.get(self.traced, 0)
        return Weight(self.treatments[treatment].scenario.rounds, stored)

    def configuration(self) -> dict[str, Any]:
        """Return all that determines the results, as plain data."""
        resolved = self.scenario.resolved()
        return {
            "results_version": RESULTS_VERSION,
            # Where a profile lies does not matter; what it holds does.
            "scenario": {**resolved, "profile": Path(self.scenario.profile).name},
            "profiles": [profile.content_hash for profile in self.profiles.values()],
            "trace": self.trace,
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


def configuration_hash(configuration: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest of a configuration; of one that was stored and read, the same."""
    plain = json.loads(json.dumps(configuration))  # keys are words there, and sorted as words
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check_metric(scenario: Scenario, treatments: Sequence[Treatment]) -> None:
    """Refuse a precision target of what no column of ``replications`` measures in a treatment."""
    if scenario.precision is None:
        return
    metric = scenario.precision.until.metric
    table = REPLICATIONS if scenario.verification is None else QUERIES
    metrics = [field.name for field in table if str(field.type) == "double"]
    if metric not in metrics:
        path = ("replications", "until", "metric")
        said = f"no measure {metric!r}; {nearest(metric, metrics)}"
        raise ScenarioError([scenario.origins.problem((path, said))])
    for treatment in treatments:
        if (why := _why_missing(metric, treatment.scenario.economy)) is not None:
            path = ("replications", "until", "metric")
            raise ScenarioError([scenario.origins.problem((path, f"{metric} {why}"))])


def _why_missing(metric: str, economy: Economy | None) -> str | None:
    """Return why a measure is missing in every replication of a treatment, if it is."""
    if economy is None:
        of_economies = (name for name, _, _ in ECONOMY_MEASURES)
        return "is measured in economies only" if metric in of_economies else None
    if metric == "reward_gap":
        return "is missing in an economy, which has no honest twin"
    if metric in REWARD_QUANTILES and not points_are_tokens(economy):
        return "is missing where a point is not paid as a token: a pool shares, or audits take back"
    return None


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


def _check_economies(
    treatments: Sequence[Treatment], profiles: dict[str, Profile], *, trace: bool
) -> None:
    """Refuse what economies cannot play."""
    problems: dict[Problem, None] = {}
    for treatment in treatments:
        if treatment.scenario.economy is None:
            continue
        if trace:
            raise InputError("a trace of an economy is not kept; epochs.parquet has its epochs")
        profile = profiles[_source(treatment.scenario)]
        found = adaptation_findings(treatment.scenario, profile)
        problems.update(dict.fromkeys(map(treatment.scenario.origins.problem, found)))
    if problems:
        raise ScenarioError(problems)


def _check_verifications(
    scenario: Scenario, treatments: Sequence[Treatment], profiles: Mapping[str, Profile]
) -> None:
    """Refuse what verification protocols cannot play: rounds besides queries, or no market."""
    verifying = [treatment.scenario.verification is not None for treatment in treatments]
    if any(verifying) and not all(verifying):
        said = f"{sum(verifying)} of {len(verifying)} treatments have a section `verification`"
        path = ("sweep",)
        raise ScenarioError([scenario.origins.problem((path, f"{said}; give it to all or none"))])
    problems: dict[Problem, None] = {}
    for treatment in treatments if any(verifying) else ():
        played, profile = treatment.scenario, profiles[_source(treatment.scenario)]
        found = [played.origins.problem(finding) for finding in market_findings(played, profile)]
        problems.update(dict.fromkeys(found))
        if not found:
            open_market(played, profile)
    if problems:
        raise ScenarioError(problems)


def _source(scenario: Scenario) -> str:
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
