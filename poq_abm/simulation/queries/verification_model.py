"""The agent engine of the queries: nodes, evaluators and watchers, with real keys and disputes.

A query is a round of the network, played by the same evaluators and the same scheduler, that comes
when it comes, waits in a queue, and is settled by a verification protocol. Where the compiled loop
takes for granted what a check finds, it is looked at here: a node signs what its enclave lets it
sign, the relying party verifies what is delivered, and a watcher who disputes bisects two traces.
Both engines leave the same bits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import mesa

from poq_abm.random import Purpose, uniform
from poq_abm.rules.protocol.terms import Found, Query, Settlement
from poq_abm.rules.settling import found_by, settle
from poq_abm.simulation.agents import Answer, EvaluatorNode, InferenceNode, Scheduler
from poq_abm.simulation.arrays import EvaluatorColumn
from poq_abm.simulation.arrivals import gap
from poq_abm.simulation.ledger import BLOCK_ROUNDS, fold
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.queries.attestation import (
    Delivery,
    Enclave,
    Rejection,
    Request,
    Vendor,
    Verifier,
    deliver,
    keyed_bytes,
)
from poq_abm.simulation.queries.beliefs import Action
from poq_abm.simulation.queries.execution import Dispute, Execution, bisect, execute, measure
from poq_abm.simulation.queries.market import Market
from poq_abm.simulation.queries.node_types import advance
from poq_abm.simulation.queries.query_arrays import Draw, QueryTrace, Sum, add, note
from poq_abm.simulation.queries.query_loop import (
    UNJUDGED,
    Judged,
    Served,
    act,
    add_pay,
    choose,
    draw_luck,
    draw_of,
    draw_partners,
    occupy,
    query_of,
)
from poq_abm.simulation.queries.query_replication import measures_of, open_query_state
from poq_abm.simulation.queue import service_factor
from poq_abm.simulation.replication import State
from poq_abm.simulation.round_steps import RoundDraw, inference_points

__all__ = ["PlayedQuery", "QueryNode", "VerificationModel", "Watcher", "play_agents"]

FIRMWARE = 1
STEPS = 16  #: of the trace that stands for an execution
STRETCH = 2**10  # queries between two signs of life


class PlayedQuery(NamedTuple):
    """What came of a query, and what real cryptography made of it."""

    outcome: Settlement
    rejection: Rejection | None
    dispute: Dispute | None  #: where a watcher disputed


class QueryNode(InferenceNode):
    """An inference node that answers queries in turn; cheats as well as its enclave lets it.

    Life-cycle: :meth:`decide` when a query comes, :meth:`work` while it is served, :meth:`answer`
    for the committee, :meth:`run_for` and :meth:`hand_over` for whoever checks.
    """

    model: VerificationModel

    def __init__(self, model: VerificationModel, index: int) -> None:
        super().__init__(model, index)
        self.action = Action.HONEST
        self.broken = False  # whether its enclave is, as the last query came
        self._enclave: Enclave | None = None

    @property
    def named(self) -> str:
        """The model that requests to this node name."""
        return f"model {self.model.setting.providers.people.model[self.index, Action.HONEST]}"

    def decide(self, draw: float) -> None:
        """Look at the enclave and choose what to do with the query that has come."""
        setting, state, key = self.model.setting, self.model.state, self.model.kept.key
        vendor = int(setting.providers.types.vendor[self.index])
        self.broken = advance(state.machines.vendors, vendor, state.clock[0], key)
        self.action = Action(choose(setting.providers.types, self.index, self.broken, draw))

    def seconds(self, action: Action) -> float:
        """Return the mean time that an answer takes."""
        return float(self.model.setting.providers.people.service_s[self.index, action])

    def work(self, service: float) -> float:
        """Serve for so long, when the node's turn comes; return when it is done."""
        machines, now = self.model.state.machines, float(self.model.state.clock[0])
        return occupy(machines.queue, machines.busy, self.index, now, service)

    def answer(self, record: int) -> Answer:
        """Return the answer to ``record`` that the node's action makes."""
        setting = self.model.setting
        act(setting.game.conduct.inference[self.index], int(self.action), setting.ways)
        answered = math.isnan(setting.ways.fixed[self.action])
        model = int(setting.providers.people.model[self.index, self.action])
        truth = float(setting.game.tables.truth[record, model]) if answered else 0.0
        return Answer(record, model, truth, self.index)

    def run_for(self, request: Request, *, seen: bool) -> Execution:
        """Return the run behind the answer.

        A stored answer has a stored run, which begins with another prompt; where somebody must be
        fooled (``seen`` is false) it is given the right beginning.
        """
        if self.action == Action.HONEST:
            return execute(self.named, request.prompt, STEPS)
        if self.action == Action.CACHED:
            stored = execute(self.named, self._stale.prompt, STEPS)
            if seen:
                return stored
            right = execute(self.named, request.prompt, 0)
            return Execution((right.states[0], *stored.states[1:]))
        return execute(self._cheaper, request.prompt, STEPS)

    def hand_over(self, request: Request, run: Execution) -> Delivery:
        """Return the attested answer; for a cached one an intact enclave can only replay."""
        enclave = self._enclave = self._enclave or self.model.make_enclave(self.index)
        enclave.broken = self.broken
        if self.action == Action.CACHED and not self.broken:
            return deliver(enclave, self._stale, run, self.named)
        ran = self.named if self.action == Action.HONEST else self._cheaper
        return deliver(enclave, request, run, ran)

    @property
    def _stale(self) -> Request:
        return Request(self.named, b"an older question", b"\x00" * 16)

    @property
    def _cheaper(self) -> str:
        other = f"model {self.model.setting.providers.people.model[self.index, Action.DOWNGRADE]}"
        return other if other != self.named else f"{other}, cut down"


class Watcher(mesa.Agent):
    """Somebody who recomputes an answer in the challenge window and disputes a false one."""

    model: VerificationModel

    def dispute(self, request: Request, run: Execution) -> Dispute:
        """Recompute a run of the model that the request names, and bisect the two."""
        figures = self.model.market.verification.otr
        return bisect(
            measure(request.model),
            run,
            execute(request.model, request.prompt, STEPS),
            prover_root=run.root,
            step_s=figures.step_s,
            step_usd=figures.step_usd,
        )


class QueryScheduler(Scheduler):
    """Takes queries as they come: who answers, who checks, what is paid."""

    model: VerificationModel

    def play_query(self) -> PlayedQuery:
        """Play the next query and return what came of it."""
        model, setting, state = self.model, self.model.setting, self.model.state
        number = model.rounds_played
        _, record, index, members = self._draw(number)
        luck = state.draws[:, self.drawn_at]
        state.clock[0] += gap(luck[Draw.ARRIVAL], setting.rate)
        node = model.query_nodes[index]
        node.decide(luck[Draw.CHEAT])
        served = self._serve(node)
        drawn = draw_of(
            number,
            self.drawn_at,
            int(node.action),
            setting.game.tables,
            setting.providers.people,
            setting.ways,
            model.kept.buffers.draws,
        )
        self.task, self.column = drawn.task, drawn.column
        evaluators = [model.evaluator_nodes[member] for member in members]
        judged = (
            self._judge(node, drawn, evaluators) if setting.providers.terms.committee else UNJUDGED
        )
        gain = setting.ways.gain[node.action]
        arrival = state.clock[0]
        query = query_of(served, judged, int(node.action), node.broken, arrival, gain, luck)
        shown, rejection, dispute = self._check(node, record, query)
        outcome = settle(setting.providers.terms, shown)
        state.clock[1] = max(state.clock[1], served.done)
        rational = bool(setting.providers.types.rational[index])
        add(state.totals, number, query, outcome, rational, drawn.truth, served.wait)
        if model.trace is not None:
            about = (number, state.clock[0], index, record, int(node.action))
            note(model.trace, *about, query, outcome)
        return PlayedQuery(outcome, rejection, dispute)

    def _draw_ahead(self, round_: int) -> None:
        """Draw the coming queries; keyed, the draws are the same at any time."""
        model = self.model
        super()._draw_ahead(round_)
        draw_luck(round_, model.kept.key, model.state.draws, model.state.words)

    def _serve(self, node: QueryNode) -> Served:
        """Let the node answer, with other providers or a validator beside it."""
        setting, state, terms = (
            self.model.setting,
            self.model.state,
            self.model.setting.providers.terms,
        )
        luck, arrival = state.draws[:, self.drawn_at], float(state.clock[0])
        factor = service_factor(setting.providers.law, luck[Draw.SERVICE]) * (1.0 + terms.overhead)
        plain = node.seconds(Action.HONEST) * factor
        service = node.seconds(node.action) * factor
        if terms.proof_on_node and luck[Draw.PROOF] < terms.proof_rate:
            service += terms.proof_s
        done = node.work(service)
        wait, validated, partners = done - service - arrival, 0.0, list[QueryNode]()
        if terms.providers > 1:
            partners = self._partners(node, terms.providers - 1)
            last, more = self._serve_partners(partners, factor)
            done, service = max(done, last), service + more
        elif luck[Draw.SAMPLE] < terms.sample_rate and luck[Draw.CONFIRM] >= terms.lazy:
            validator = self._partners(node, 1)[0]
            plain = validator.seconds(Action.HONEST) * factor
            validated = validator.work(plain) - arrival
        diverges = any(partner.action != node.action for partner in partners)
        liars = sum(one.action != Action.HONEST for one in (node, *partners))
        return Served(done, service, plain, validated, wait, diverges, liars)

    def _partners(self, node: QueryNode, count: int) -> list[QueryNode]:
        model = self.model
        state, nodes = model.state, len(model.query_nodes)
        scratch = (state.machines.steps, state.machines.others)
        draw_partners(model.rounds_played, node.index, count, nodes, model.kept.key, *scratch)
        return [model.query_nodes[other] for other in model.state.machines.others[:count]]

    def _serve_partners(self, partners: list[QueryNode], factor: float) -> tuple[float, float]:
        """Let the other providers answer; return when they have, and for how long they worked."""
        last, work = 0.0, 0.0
        for j, partner in enumerate(partners):
            key = (*self.model.kept.key, int(Purpose.PARTNER_CHANCE), self.model.rounds_played, j)
            partner.decide(uniform(*key))
            service = partner.seconds(partner.action) * factor
            last = max(last, partner.work(service))
            work += service
        return last, work

    def _judge(self, node: QueryNode, drawn: RoundDraw, evaluators: list[EvaluatorNode]) -> Judged:
        """Let the committee score the answer, pay it and let it learn."""
        setting = self.model.setting
        game, terms = setting.game, setting.providers.terms
        seconds = [float(setting.providers.people.scoring_s[one.number]) for one in evaluators]
        cheats = node.action != Action.HONEST
        honest = self._agree_on_honest(node, drawn, evaluators) if cheats else math.nan
        answer = node.answer(drawn.record)
        self._collect(evaluators, answer)
        consensus = self._agree()
        lies = game.conduct.evaluators[:, EvaluatorColumn.MALICIOUS]
        malicious = 0
        for evaluator, near in zip(evaluators, self._nearness(consensus), strict=True):
            points = evaluator.receive(near, consensus, answer.truth)
            add_pay(self.model.state.totals.sums, int(lies[evaluator.number]), terms.fee * points)
            malicious += int(lies[evaluator.number])
        ruled = int(2 * malicious > len(evaluators))
        self.model.state.totals.sums[Sum.MALICIOUS_MAJORITY] += ruled
        self._close(drawn.task, answer, consensus)
        cost, own = setting.providers.people.cost[node.index], self.model.game.kernels
        points = inference_points(game.rules, drawn.task, consensus, cost, own)
        honest = honest if cheats else consensus
        forgone = inference_points(game.rules, drawn.task, honest, cost, own)
        total = 0.0
        for each in seconds:  # `sum` would compensate, from Python 3.12 on; the compiled loop adds
            total += each
        return Judged(max(seconds), total, consensus, honest, points, forgone)

    def _agree_on_honest(
        self, node: QueryNode, drawn: RoundDraw, evaluators: list[EvaluatorNode]
    ) -> float:
        """Return what the members would agree on for the honest answer; they forget it again."""
        acted = self.model.memory.state[:, State.ACTED].copy()
        plugins, action = [evaluator.plugin for evaluator in evaluators], node.action
        for evaluator in evaluators:
            evaluator.plugin = copy.deepcopy(evaluator.plugin)
        node.action = Action.HONEST
        self._collect(evaluators, node.answer(drawn.record))
        node.action = action
        for evaluator, plugin in zip(evaluators, plugins, strict=True):
            evaluator.plugin = plugin
        self.model.memory.state[:, State.ACTED] = acted
        return self._agree()

    def _check(
        self, node: QueryNode, record: int, query: Query
    ) -> tuple[Query, Rejection | None, Dispute | None]:
        """Let those who check look at what was delivered; return the query as they see it.

        An answer whose attestation holds is taken for an intact enclave's, and a watcher convicts
        only where the dispute does.
        """
        model, terms = self.model, self.model.setting.providers.terms
        if not terms.attests and found_by(terms, query) != Found.WATCHER:
            return query, None, None
        nonce = keyed_bytes(*model.kept.key, model.rounds_played, 2, 16)
        request = Request(node.named, model.game.records[record].encode(), nonce)
        run = node.run_for(request, seen=terms.attests and not node.broken)
        rejection = dispute = None
        if terms.attests:
            rejection = model.verifier.verify(request, node.hand_over(request, run))
            if rejection is not None and not query.dishonest:
                raise RuntimeError(f"an honest attestation was refused: {rejection.value}")
            if query.dishonest:
                query = query._replace(broken=rejection is None)
        if found_by(terms, query) == Found.WATCHER:
            watcher = model.watchers[model.rounds_played % len(model.watchers)]
            dispute = watcher.dispute(request, run)
            if not dispute.prover_lies:
                query = query._replace(watch_draw=1.0)
        return query, rejection, dispute


class VerificationModel(PoQModel):
    """One replication of the queries of a market; :meth:`step` is a query.

    Life-cycle as of :class:`~poq_abm.simulation.model.PoQModel`: the model ends with the market's
    queries, and :meth:`measures` says what came of them.

    Parameters
    ----------
    market
        What :func:`~poq_abm.simulation.queries.market.open_market` makes of a scenario.
    replication
        Which independent repetition to play, from 0.
    trace
        Takes one entry per query, if given.

    Examples
    --------
    >>> from poq_abm.profile import load_profile
    >>> from poq_abm.scenario import load
    >>> from poq_abm.simulation.queries.market import open_market
    >>> scenario = load("cost_aware_poq", ["rounds=5", "verification.protocol=otr"])
    >>> model = VerificationModel(open_market(scenario, load_profile("published")))
    >>> model.run()
    >>> model.measures()["dishonest_stands"]
    0.0
    """

    def __init__(
        self, market: Market, replication: int = 0, trace: QueryTrace | None = None
    ) -> None:
        self.market, self.trace = market, trace
        self.setting, self.state = open_query_state(market, replication)
        # Nodes deviate from query to query, so that no evaluator may take the quick way.
        game = replace(market.game, conduct=self.setting.game.conduct, plain=False)
        super().__init__(
            market.scenario, replication=replication, game=game, inference_class=QueryNode
        )
        self.kept = self.state.kept
        self.query_nodes = [node for node in self.inference_nodes if isinstance(node, QueryNode)]
        self.scheduler.remove()
        self.scheduler: QueryScheduler = QueryScheduler(self)
        self.watchers = [Watcher(self) for _ in range(market.verification.honest_watchers)]
        self.last_query: PlayedQuery | None = None
        names = list(market.verification.adversaries.vendors)
        key = (market.seed, replication)
        self._vendors = [
            Vendor(name, keyed_bytes(*key, number, 0)) for number, name in enumerate(names)
        ]
        models = {node.named for node in self.query_nodes}
        self.verifier = Verifier(
            {model: measure(model) for model in models},
            {vendor.name: vendor.public for vendor in self._vendors},
            firmware=dict.fromkeys(names, FIRMWARE),
        )

    def make_enclave(self, node: int) -> Enclave:
        """Return the enclave of a node, certified by its vendor."""
        vendor = self._vendors[self.setting.providers.types.vendor[node]]
        return Enclave(vendor, keyed_bytes(*self.kept.key, node, 1), FIRMWARE)

    def step(self) -> None:
        """Play one query, agent by agent; raises as :meth:`PoQModel.step` does."""
        self._check_end(self.rounds_played + 1)
        self.last_query = self.scheduler.play_query()
        self.rounds_played += 1
        if self.rounds_played % BLOCK_ROUNDS == 0:
            fold(self.ledger)
        self.running = self.rounds_played < self.rounds

    def measures(self) -> dict[str, float]:
        """Return a value for every measure of ``queries``, once all were played."""
        return measures_of(self.market, self.state)


def play_agents(
    market: Market,
    replication: int,
    *,
    trace: QueryTrace | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Play all queries of one replication with agents; as ``play_queries`` does, to the same bits.

    Every query of a protocol that attests takes the time of three signatures.
    """
    model = VerificationModel(market, replication, trace)
    for first in range(0, market.queries, STRETCH):
        last = min(market.queries, first + STRETCH)
        model.run_agents(last)
        if progress:
            progress(last - first)
    return model.measures()
