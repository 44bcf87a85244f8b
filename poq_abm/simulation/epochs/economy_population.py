"""Who is in the network and what each node runs, does and pays, as columns that can change.

Node ids run over inference nodes first, then evaluators, as everywhere. Nodes that are not there
keep their row: an entrant takes up a free one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poq_abm.profile.latencies import latency_of
from poq_abm.rules.behaviour.base import Role, is_lazy
from poq_abm.rules.payment.formulas import min_max_cost
from poq_abm.simulation.arrays import Conduct, EvaluatorColumn, InferenceColumn, Nodes
from poq_abm.simulation.epochs.prices import Prices, ResourceUse
from poq_abm.simulation.population import (
    cost_factor_of,
    cost_of_effort,
    effort_of,
    evaluator_row,
    inference_row,
    model_run_by,
)

if TYPE_CHECKING:
    from poq_abm.profile import Profile
    from poq_abm.scenario import Scenario
    from poq_abm.simulation.epochs.performance import Performance
    from poq_abm.simulation.game import Game
    from poq_abm.simulation.population import Spec

__all__ = ["EconomyPopulation"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_UNDERCUT = 0.01  #: of the range of costs, below the cheapest honest report
#: a node's own, whatever it does
_NODE_TRAITS = (EvaluatorColumn.NOISE_SD, EvaluatorColumn.BIAS_SD, EvaluatorColumn.FAMILY)


class EconomyPopulation:
    """The mutable columns of a population; N nodes, of which the first F are inference nodes.

    Attributes
    ----------
    active
        Which nodes are there, shape (N,).
    behaviour, machine, model
        What each does, runs on and is paid for, as indices into ``behaviours``, ``machines`` and
        the profile's models; evaluators keep their model. Shape (N,), but ``model`` (F,).
    operator
        Who owns each identity: the id of the operator's first node, shape (N,).
    conduct, nodes, service_s
        What the compiled rounds read, brought up to date by :meth:`refresh`.
    """

    def __init__(self, scenario: Scenario, game: Game, profile: Profile) -> None:
        population = game.population
        self.initial = population
        self.size, self.inference = population.size, population.inference_count
        options = scenario.economy.options if scenario.economy else None
        # Groups that do alike share a behaviour: it is no likelier choice for being common.
        self.behaviours: list[tuple[Role, Spec]] = []
        for pair in population.behaviours:
            if pair not in self.behaviours:
                self.behaviours.append(pair)
        place = [self.behaviours.index(pair) for pair in population.behaviours]
        for role, specs in (
            ("inference", options.inference if options else ()),
            ("evaluator", options.evaluator if options else ()),
        ):
            known = [spec for its_role, spec in self.behaviours if its_role == role]
            self.behaviours += [(role, spec) for spec in specs if spec not in known]  # type: ignore[misc]
        hardware = [group.hardware for group in population.groups]
        self.machines = list(dict.fromkeys([*hardware, *(options.hardware if options else ())]))
        self.models = profile.models
        #: models that nodes may try, besides those they see others run
        self.model_options: Index = np.array(
            [profile.models.index(name) for name in (options.models if options else ())], np.int64
        )
        self._measure(profile, scenario)
        self.prices = Prices(scenario, game, self.machines)
        least = [population.least_price(model) for model in self.models]
        self._least_price: Array = np.array(least, dtype=np.float64)
        self._read_behaviours(game)
        self._sealed = scenario.economy is None or scenario.economy.audits.commit_reveal
        machine_of_group = np.array([self.machines.index(name) for name in hardware])
        self.behaviour: Index = np.array(place)[population.behaviour]
        self.machine: Index = machine_of_group[population.group]
        named = [profile.models.index(g.model) if g.role == "inference" else -1
                 for g in population.groups]  # fmt: skip
        self.model: Index = np.array(named)[population.group[: self.inference]]
        self.evaluator: Index = game.nodes.evaluator
        self.operator: Index = np.arange(self.size)
        self.active = self._first_active()
        self.conduct = Conduct(game.conduct.evaluators.copy(), game.conduct.inference.copy())
        self.nodes: Nodes = game.nodes
        self.labels = list(dict.fromkeys(g.entry for g in population.groups))
        self.true_cost: Array = population.cost.copy()
        self.usd_per_job: Array = np.zeros(self.size)
        self.latency_ms: Array = np.zeros(self.size)
        self._charged: Array = np.zeros(self.size)
        self.service_s: Array = np.zeros(self.size)
        self.changed = False  #: whether anybody decided anything since the last refresh
        self.refresh()

    def _measure(self, profile: Profile, scenario: Scenario) -> None:
        """Tabulate latencies in ms by model and machine, which are estimates, what is charged."""
        tables = {
            "inference": _latencies(profile, profile.models, self.machines),
            "evaluator": _latencies(profile, profile.evaluators, self.machines),
        }
        self._latency_ms = {role: ms for role, (ms, _) in tables.items()}
        self._is_estimated = {role: estimated for role, (_, estimated) in tables.items()}
        self._charged_for = dict(self._latency_ms)
        self._by_price = scenario.mechanism.cost_basis("inference") == "price"
        for role, names in (("inference", profile.models), ("evaluator", profile.evaluators)):
            if scenario.mechanism.cost_basis(role) == "price":
                self._charged_for[role] = _prices(profile, names, self.machines)

    @property
    def estimated(self) -> NDArray[np.bool_]:
        """Whose latency nobody measured, shape (N,)."""
        first = self.inference
        inference = self._is_estimated["inference"][self.model, self.machine[:first]]
        evaluators = self._is_estimated["evaluator"][self.evaluator, self.machine[first:]]
        return np.concatenate([inference, evaluators])

    def _read_behaviours(self, game: Game) -> None:
        """Tabulate what each behaviour does to the columns of a node."""
        entries = [group.entry for group in game.population.groups if group.role == "inference"]
        labels = list(dict.fromkeys(entries))
        count = len(self.behaviours)
        self._evaluator_rows = np.zeros((count, len(EvaluatorColumn)))
        self._inference_rows = np.zeros((count, len(InferenceColumn)))
        self._cost_factor, self._effort = np.ones(count), np.ones(count)
        self._really_run = np.full(count, -1)
        #: whether nodes run no model in the rounds in which they do as each behaviour has it
        self.lazy = np.array([is_lazy(role, spec) for role, spec in self.behaviours])
        for index, (role, spec) in enumerate(self.behaviours):
            if role == "evaluator":
                self._evaluator_rows[index] = evaluator_row(spec, labels)
            else:
                self._inference_rows[index] = inference_row(spec, game.population.families)
                self._cost_factor[index] = cost_factor_of(spec)
                self._effort[index] = effort_of(spec)
                really = model_run_by(spec)
                self._really_run[index] = -1 if really is None else self.models.index(really)

    def _first_active(self) -> NDArray[np.bool_]:
        """Return who is there at first: of each entry the first ``active`` nodes."""
        groups, active = self.initial.groups, np.ones(self.size, dtype=np.bool_)
        left = {(g.role, g.entry): g.active for g in groups if g.active is not None}
        first = 0
        for group in groups:
            key = (group.role, group.entry)
            if key in left:
                kept = min(group.count, left[key])
                active[first + kept : first + group.count] = False
                left[key] -= kept
            first += group.count
        return active

    def refresh_if_changed(self) -> None:
        """Refresh the columns where somebody decided anything."""
        if self.changed:
            self.changed = False
            self.refresh()

    def refresh(self) -> None:
        """Bring the columns of the compiled rounds up to date with who does what on what."""
        first = self.inference
        inference, evaluators = self.behaviour[:first], self.behaviour[first:]
        its_group = self.conduct.inference[:, InferenceColumn.GROUP].copy()
        self.conduct.inference[:] = self._inference_rows[inference]
        self.conduct.inference[:, InferenceColumn.GROUP] = its_group
        own = self.conduct.evaluators[:, _NODE_TRAITS].copy()
        self.conduct.evaluators[:] = self._evaluator_rows[evaluators]
        self.conduct.evaluators[:, _NODE_TRAITS] = own
        self.latency_ms[:first] = self._latency_ms["inference"][self.model, self.machine[:first]]
        self.latency_ms[first:] = self._latency_ms["evaluator"][
            self.evaluator, self.machine[first:]
        ]
        self._charged[:first] = self._charged_for["inference"][self.model, self.machine[:first]]
        if self._by_price:
            bought = self.prices.bought[:first]
            self._charged[:first] = np.where(np.isnan(bought), self._charged[:first], bought)
        self._charged[first:] = self._charged_for["evaluator"][self.evaluator, self.machine[first:]]
        self.service_s = self.latency_ms / 1000.0
        self.usd_per_job = self.prices.per_job(self.machine, self.service_s)
        # Rewards charge for the model that is named; what is really run takes the time.
        self.service_s[:first] = self._seconds(np.arange(first), inference, self.machine[:first])
        self._normalise()
        really = self._really_run[inference]
        self.nodes = self.nodes._replace(
            model=np.where(really >= 0, really, self.model),
            inference_cost=self._reported(inference),
            evaluator_cost=self.true_cost[first:].copy(),
        )

    def _reported(self, behaviour: Index) -> Array:
        """Return the costs that inference nodes report for what each does, both of shape (F,).

        Where reports are not sealed, who misreports sees the honest ones and goes just below the
        cheapest, if that is lower than its own factor would have it.
        """
        first = self.inference
        basis = self.cost_basis[:first]
        effort = self._effort[behaviour]
        costs = self.true_cost[:first]
        if (effort != 1.0).any():
            costs = costs + cost_of_effort(effort, basis, basis[self.active[:first]])
        factors = self._cost_factor[behaviour]
        reported: Array = costs * factors
        misreports = factors != 1.0
        honest = self.active[:first] & ~misreports
        if self._sealed or not honest.any():
            return reported
        below = max(0.0, float(costs[honest].min()) - _UNDERCUT)
        return np.where(misreports, np.minimum(reported, below), reported)

    def _seconds(self, nodes: Index, behaviours: Index, machines: Index) -> Array:
        """Return the mean time that a job takes inference nodes: of the model that they run."""
        latency, really = self._latency_ms["inference"], self._really_run[behaviours]
        run = latency[really, machines]
        runs_other = (really >= 0) & np.isfinite(run)
        seconds = np.where(runs_other, run, latency[self.model[nodes], machines]) / 1000.0
        return seconds * self.effort_in(behaviours)

    def bought_with(self, nodes: Index, behaviours: Index) -> Array:
        """Return what inference nodes buy the answers of a job for, in USD, by what each does.

        Who answers with another model than it buys, buys that for the least that anybody does; it
        runs it on its machine where nobody does, and is NaN, as is who buys nothing.
        """
        own, really = self.prices.bought[nodes], self._really_run[behaviours]
        other = np.where(np.isnan(own), np.nan, self._least_price[really])
        return np.where(really < 0, own, other) * self.effort_in(behaviours)

    def effort_in(self, behaviours: Index) -> Array:
        """Return how many answers of its model a job takes an inference node; a constant none."""
        answers = np.isnan(self._inference_rows[behaviours, InferenceColumn.FIXED])
        return np.where(answers, self._effort[behaviours], 0.0)

    def use_with(
        self, use: ResourceUse, played: Performance, node: int, behaviour: int
    ) -> ResourceUse:
        """Return what would have been used, had one node behaved otherwise, on the same draws.

        Jobs take the time of what the node would run, in proportion to what they took; where they
        took none, the mean.
        """
        busy, bought, first = use.busy_s.copy(), use.bought.copy(), self.inference
        if node >= first:
            acted = played.acted[node - first]
            run = played.jobs[node] - (acted if self.lazy[behaviour] else 0.0)
            busy[node] = run * self.service_s[node]
        else:
            one = np.array([node])
            now = float(self.service_s[node])
            then = float(self._seconds(one, np.array([behaviour]), use.machine[one])[0])
            busy[node] = busy[node] * (then / now) if now > 0.0 else played.jobs[node] * then
            bought[node] = float(self.bought_with(one, np.array([behaviour]))[0])
        worked = use.worked_s + (busy - use.busy_s)
        return use._replace(busy_s=busy, worked_s=worked, bought=bought)

    @property
    def cost_basis(self) -> Array:
        """What costs are normalised from: USD a job, its mean latency in ms, or its price."""
        return self.usd_per_job if self.prices.in_money else self._charged

    def _normalise(self) -> None:
        """Normalise costs inside each node class, over the nodes that are there.

        A row that is free has no part in it, and no cost: NaN, until somebody takes it up.
        """
        self.true_cost[:] = np.nan
        for role in ("inference", "evaluator"):
            here = self.active & self.role_is(role)
            if here.any():
                self.true_cost[here] = min_max_cost(self.cost_basis[here])

    @property
    def misreports(self) -> NDArray[np.bool_]:
        """Which inference nodes report a cost that is not theirs, shape (F,)."""
        factors: NDArray[np.bool_] = self._cost_factor[self.behaviour[: self.inference]] != 1.0
        return factors

    @property
    def deviates(self) -> NDArray[np.bool_]:
        """Which nodes do anything but play honestly, shape (N,)."""
        inference = self.conduct.inference[:, InferenceColumn.DEVIATES] == 1.0
        return np.concatenate(
            [inference, self.conduct.evaluators[:, EvaluatorColumn.MALICIOUS] == 1.0]
        )

    def misreports_with(self, behaviour: int) -> bool:
        """Return whether inference nodes of a behaviour report a cost that is not theirs."""
        return bool(self._cost_factor[behaviour] != 1.0)

    def columns_with(self, node: int, behaviour: int) -> tuple[Nodes, Conduct]:
        """Return the columns of the compiled rounds, had one node behaved otherwise."""
        conduct = Conduct(self.conduct.evaluators.copy(), self.conduct.inference.copy())
        if node >= self.inference:
            row = conduct.evaluators[node - self.inference]
            own = row[list(_NODE_TRAITS)].copy()
            row[:] = self._evaluator_rows[behaviour]
            row[list(_NODE_TRAITS)] = own
            return self.nodes, conduct
        group = conduct.inference[node, InferenceColumn.GROUP]
        conduct.inference[node] = self._inference_rows[behaviour]
        conduct.inference[node, InferenceColumn.GROUP] = group
        model, behaviours = self.nodes.model.copy(), self.behaviour[: self.inference].copy()
        really = self._really_run[behaviour]
        model[node] = really if really >= 0 else self.model[node]
        behaviours[node] = behaviour
        cost = self.nodes.inference_cost.copy()
        cost[node] = self._reported(behaviours)[node]  # others know nothing of what it would do
        return self.nodes._replace(model=model, inference_cost=cost), conduct

    def costs_on(self, node: int, machine: int, jobs: float, hours: float) -> tuple[float, float]:
        """Return the normalised cost of a node on another machine, and its epoch there in USD.

        The range that costs are normalised by stays as it is, and costs within it.
        """
        seconds = self.latency_s(int(self.model[node]), machine)
        one = np.array([node])
        run = float(self._seconds(one, self.behaviour[one], np.array([machine]))[0])
        own = seconds * 1e3
        if self.prices.in_money:
            own = self.prices.job_on(node, machine, seconds)
        elif self._by_price:
            own = float(self._charged_for["inference"][self.model[node], machine])
        own *= float(self._effort[self.behaviour[node]])
        present = self.cost_basis[self.active & self.role_is("inference")]
        low, high = present.min(), present.max()
        cost = min(1.0, max(0.0, (own - low) / (high - low))) if high > low else 0.0
        usd = self.prices.epoch_on(node, machine, run * jobs, jobs, hours)
        return float(cost * self._cost_factor[self.behaviour[node]]), usd

    def machines_held(self, active: NDArray[np.bool_]) -> Array:
        """Return how many machines stand behind each identity: one for each operator, shared."""
        identities = np.bincount(self.operator[active], minlength=self.size)
        held: Array = np.where(active, 1.0 / np.maximum(identities[self.operator], 1), 0.0)
        return held

    def take_after(self, place: int, node: int) -> None:
        """Make a free row an identity of the operator of ``node``, alike in all it does."""
        self.operator[place] = self.operator[node]
        self.behaviour[place] = self.behaviour[node]
        self.machine[place] = self.machine[node]
        if node < self.inference:
            self.model[place] = self.model[node]
        self.changed = True

    def part(self, nodes: NDArray[np.bool_]) -> None:
        """Let identities that left stand for themselves; the others' operator goes on without."""
        if np.array_equal(self.operator, np.arange(self.size)):
            return
        for node in np.flatnonzero(nodes):
            rest = np.flatnonzero(self.active & (self.operator == node))
            self.operator[rest] = rest.min(initial=self.size)
        self.operator[nodes] = np.flatnonzero(nodes)

    def role_is(self, role: str) -> NDArray[np.bool_]:
        """Return which nodes have a role, shape (N,)."""
        first = np.arange(self.size) < self.inference
        return first if role == "inference" else ~first

    def options(self, role: str) -> Index:
        """Return the behaviours that nodes of a role can choose from, as indices."""
        return np.array([i for i, (its_role, _) in enumerate(self.behaviours) if its_role == role])

    def fits(self, model: int, machine: int) -> bool:
        """Return whether an inference model runs on a machine, and it is known what it costs."""
        tables = self._latency_ms["inference"], self._charged_for["inference"]
        return all(bool(np.isfinite(table[model, machine])) for table in tables)

    def latency_s(self, model: int, machine: int) -> float:
        """Return the mean latency of an inference model on a machine; NaN where it cannot run."""
        return float(self._latency_ms["inference"][model, machine]) / 1000.0


def _latencies(
    profile: Profile, models: tuple[str, ...], machines: list[str]
) -> tuple[Array, NDArray[np.bool_]]:
    """Return mean latencies in ms, NaN where a model cannot run, and which are estimates."""
    table = np.full((len(models), len(machines)), np.nan)
    estimated = np.zeros(table.shape, dtype=np.bool_)
    for row, model in enumerate(models):
        for column, machine in enumerate(machines):
            if profile.hardware_fault(model, machine) is None:
                latency = latency_of(profile, model, machine)
                table[row, column] = latency.ms
                estimated[row, column] = latency.source == "estimated"
    return table, estimated


def _prices(profile: Profile, models: tuple[str, ...], machines: list[str]) -> Array:
    """Return the dollars an answer costs, NaN where that is not known."""
    table = np.full((len(models), len(machines)), np.nan)
    for row, model in enumerate(models):
        for column, machine in enumerate(machines):
            if profile.price_fault(model, machine) is None:
                table[row, column] = profile.usd_per_answer(model, machine)
    return table
