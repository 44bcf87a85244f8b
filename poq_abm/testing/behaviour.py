"""What every behaviour owes the network, as a test class to inherit from.

A behaviour that passes is what it declares to be, refuses parameters that make no sense, reports
scores, and changes nothing in a round but what it is about: no draw, and nobody else's score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poq_abm.profile import Profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.rules.behaviour.base import BEHAVIOURS, Behaviour, Role, Traits, resolve, spell
from poq_abm.rules.registry import RuleError, rules
from poq_abm.rules.rule import Parameter
from poq_abm.scenario import load
from poq_abm.simulation.game import build_game
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.replication import State, Trace, open_trace
from poq_abm.testing.rule import RuleContract, examples

__all__ = ["BehaviourContract"]

Spec = dict[str, Any]

ROUNDS = 60
INFERENCE = ("first", "second")  #: groups of one node; they run model_1 and model_2
EVALUATORS = ("north", "east", "south", "west")  #: likewise, evaluator_1 to evaluator_4
DRAWN = ("task", "record", "node", "committee")
TOP = 10.0
HONEST: Spec = {"name": "honest"}
OTHER: dict[Role, Role] = {"inference": "evaluator", "evaluator": "inference"}

_examples = examples(25)


def _profile(seed: int = 1, *, alike: bool = False) -> Profile:
    """Return a profile with scores at both ends of the scale, or with one score throughout."""
    spread = 0.0 if alike else 4.0
    return synthetic_profile(
        SyntheticSettings(
            records=40,
            models=len(INFERENCE),
            evaluators=len(EVALUATORS),
            truth_sd=spread,
            noise_sd=spread / 2,
            seed=seed,
            latency_ms=(1000.0, 2000.0),
        )
    )


def _model(profile: Profile, deviating: Mapping[str, Spec], **changes: Any) -> PoQModel:
    """Return a network whose groups are honest, except for those that deviate."""

    def entry(label: str, model: str) -> Spec:
        return {"name": label, "model": model, "behaviour": deviating.get(label, HONEST)}

    spread = changes.pop("spread", 0.0)
    inference = [entry(*pair) for pair in zip(INFERENCE, profile.models, strict=True)]
    evaluators = [
        {**entry(*pair), "noise_sd": spread, "bias_sd": spread}
        for pair in zip(EVALUATORS, profile.evaluators, strict=True)
    ]
    scenario = load("cost_aware_poq").replace(
        {
            "rounds": ROUNDS,
            "tasks": None,
            "population": {"inference": inference, "evaluators": evaluators},
            "mechanism.committee_size": 3,
            "mechanism.trust": {"update": "multiplicative", "rate": 1.0},
            **changes,
        }
    )
    return PoQModel(scenario, game=build_game(scenario, profile))


def _played(profile: Profile, deviating: Mapping[str, Spec], **changes: Any) -> Trace:
    """Play such a network agent by agent and return its trace."""
    model = _model(profile, deviating, **changes)
    trace = open_trace(ROUNDS, model.game.rules.committee_size)
    model.run_agents(ROUNDS, trace)
    return trace


def _reports(trace: Trace, label: str) -> NDArray[np.float64]:
    """Return what one evaluator reported in the rounds it sat in."""
    node = len(INFERENCE) + EVALUATORS.index(label)
    reports: NDArray[np.float64] = trace.scores[trace.committee == node]
    return reports


def _values(parameter: Parameter, role: Role) -> st.SearchStrategy[Any]:
    if parameter.kind == "number":
        return st.floats(max(parameter.low, -1e3), min(parameter.high, 1e3))
    if parameter.kind == "behaviour":
        names = ["honest", "noise", "boost", "copycat"] if role == "evaluator" else ["honest"]
        return st.sampled_from([{"name": name} for name in names])
    return st.just(parameter.default)


class BehaviourContract(RuleContract):
    """Tests that a behaviour passes; inherit, set :attr:`rule` and what it needs.

    The network has the inference groups ``first`` (model_1) and ``second`` (model_2), the dearer,
    and the evaluator groups ``north``, ``east``, ``south`` and ``west`` (evaluator_1 to
    evaluator_4), of one node each. Declared traits choose the tests: one of something not claimed
    is skipped.

    Examples
    --------
    >>> from poq_abm.rules.behaviour.evaluators import Targeted
    >>> class TestTargeted(BehaviourContract):
    ...     rule = Targeted
    ...     needed = {"group": "second"}
    >>> TestTargeted().spec()
    {'name': 'targeted', 'group': 'second'}
    """

    rule: ClassVar[type[Behaviour]]

    def resolved(self, spec: Spec) -> Any:
        """Return the columns that the behaviour sets."""
        return resolve(self.rule.role, spec)

    def who(self) -> str:
        """Return the group that deviates."""
        return "second" if self.rule.role == "inference" else "north"

    # ------------------------------------------------------------------------------- declarations

    def test_it_says_what_it_does(self) -> None:
        """Role and traits are declared, and a table can show it."""
        assert self.rule.role in OTHER
        assert isinstance(self.rule.traits, Traits)
        assert spell(self.spec()).startswith(self.rule.name)

    def test_it_has_one_role(self) -> None:
        """In the other role it is unknown there, and the error says whose it is."""
        kind, other = self.rule, OTHER[self.rule.role]
        known = rules(BEHAVIOURS[other])
        if kind.name in known:
            assert known[kind.name] is not kind
            return
        with pytest.raises(RuleError, match=f"{kind.role} nodes, not of {other} nodes"):
            resolve(other, self.spec())

    # ---------------------------------------------------------------------------------------- play

    @_examples
    @given(data=st.data(), seed=st.integers(0, 2**32 - 1))
    def test_scores_stay_on_the_scale(self, data: st.DataObject, seed: int) -> None:
        """Whatever its parameters, all that is reported lies in [0, 10], and so does truth."""
        free = {
            key: _values(parameter, self.rule.role)
            for key, parameter in self.rule.parameters.items()
            if key not in self.needed
        }
        chosen = data.draw(st.fixed_dictionaries(free))
        given_values = {key: value for key, value in chosen.items() if value is not None}
        spec = {**self.spec(), **given_values}
        trace = _played(_profile(), {self.who(): spec}, seed=seed, spread=1.0)
        for column in (trace.scores, trace.consensus, trace.truth):
            assert np.all((column >= 0.0) & (column <= TOP))

    def test_it_draws_only_if_it_says_so(self) -> None:
        """Where all measured scores are one number, another seed changes what is reported or not.

        Nodes take turns and everybody sits on the committee, so that nothing else is drawn that a
        report could depend on.
        """
        fixed = {"schedule": "round_robin", "mechanism.committee_size": len(EVALUATORS)}
        one, other = (
            _played(_profile(alike=True), {self.who(): self.spec()}, seed=seed, **fixed)
            for seed in (1, 2)
        )
        assert not np.array_equal(one.committee, other.committee)
        same = all(
            np.array_equal(_reports(one, label), _reports(other, label)) for label in EVALUATORS
        )
        assert same != self.rule.traits.stochastic

    def test_it_remembers_only_if_it_says_so(self) -> None:
        """A round played by itself shows what the same round shows after all that came before."""
        if self.rule.traits.stateful:
            pytest.skip("declared stateful")
        whole = _played(_profile(), {self.who(): self.spec()}, spread=1.0)
        for round_ in range(0, ROUNDS, 7):
            model = _model(_profile(), {self.who(): self.spec()}, spread=1.0)
            model.rounds_played = round_
            model.step()
            assert model.last_round is not None
            assert model.last_round.scores == tuple(whole.scores[round_])
            assert model.last_round.truth == whole.truth[round_]

    def test_it_leaves_all_draws_and_everybody_else_alone(self) -> None:
        """One node that deviates moves no record, node or committee, and no other's scores."""
        honest = _played(_profile(), {}, spread=1.0)
        trace = _played(_profile(), {self.who(): self.spec()}, spread=1.0)
        for column in DRAWN:
            assert np.array_equal(getattr(trace, column), getattr(honest, column)), column
        if self.rule.role == "inference":
            others = trace.node != INFERENCE.index(self.who())
            assert 0 < others.sum() < ROUNDS
        else:
            others = trace.committee != len(INFERENCE) + EVALUATORS.index(self.who())
            assert np.array_equal(trace.truth, honest.truth)
        assert np.array_equal(trace.scores[others], honest.scores[others])

    def test_it_does_not_look_at_who_else_deviates(self) -> None:
        """Without memory, a node reports the same whether another one behaves alike or not."""
        if self.rule.traits.stateful or self.rule.role == "inference":
            pytest.skip("declared stateful, or no evaluator")
        alone = _played(_profile(), {"north": self.spec()})
        both = _played(_profile(), {"north": self.spec(), "south": self.spec()})
        assert np.array_equal(_reports(both, "north"), _reports(alone, "north"))

    def test_it_sees_other_scores_only_if_it_says_so(self) -> None:
        """Without memory or private information, other evaluators' scores do not reach a report."""
        traits = self.rule.traits
        if traits.stateful or traits.private_information or self.rule.role == "inference":
            pytest.skip("declared stateful or privately informed, or no evaluator")
        profile = _profile()
        scores = np.concatenate([profile.scores[:, :, :1], TOP - profile.scores[:, :, 1:]], axis=2)
        moved = replace(profile, scores=scores)
        one, other = (_played(p, {"north": self.spec()}) for p in (profile, moved))
        assert not np.array_equal(_reports(one, "south"), _reports(other, "south"))
        assert np.array_equal(_reports(one, "north"), _reports(other, "north"))

    def test_a_ring_speaks_with_one_voice(self) -> None:
        """Members report one score in a round, whatever their models measure."""
        if not self.rule.traits.coordinates:
            pytest.skip("not declared to coordinate")
        ring = ("north", "south")
        everybody = {"mechanism.committee_size": len(EVALUATORS)}
        trace = _played(_profile(), dict.fromkeys(ring, self.spec()), **everybody)
        voices = [_reports(trace, label) for label in ring]
        assert voices[0].size == ROUNDS
        assert np.array_equal(voices[0], voices[1])
        honest = _played(_profile(), {}, **everybody)
        assert not np.array_equal(_reports(honest, ring[0]), _reports(honest, ring[1]))

    def test_both_engines_play_it_alike(self) -> None:
        """Agent by agent or compiled, the same bits in the accounts and in what is remembered."""
        deviating = {self.who(): self.spec()}
        one, other = (_model(_profile(), deviating, spread=1.0) for _ in range(2))
        one.run_agents(ROUNDS)
        other.run()
        for left, right in ((one.ledger, other.ledger), (one.memory, other.memory)):
            for mine, theirs in zip(_arrays(left), _arrays(right), strict=True):
                assert mine.tobytes() == theirs.tobytes()
        assert one.memory.state[:, State.JOBS].sum() == 3 * ROUNDS


def _arrays(part: tuple[Any, ...]) -> Iterator[NDArray[Any]]:
    """Yield the arrays of a ledger, or of a memory with the histograms inside it."""
    for column in part:
        yield from _arrays(column) if isinstance(column, tuple) else (column,)
