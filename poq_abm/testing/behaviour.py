"""What every behaviour owes the network, as a test class to inherit from.

A behaviour that passes is what it declares to be, refuses parameters that make no sense, reports
scores, and changes nothing in a round but what it is about: no draw, and nobody else's score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import poq_abm
from poq_abm.profile import Profile
from poq_abm.profile.synthetic import SyntheticSettings, synthetic_profile
from poq_abm.rules.behaviour.base import Behaviour, Parameter, Role, Traits
from poq_abm.rules.behaviour.resolving import BehaviourError, behaviours, resolve, spell
from poq_abm.simulation.game import build_game
from poq_abm.simulation.model import PoQModel
from poq_abm.simulation.replication_state import State
from poq_abm.simulation.trace import Trace, open_trace

__all__ = ["BehaviourContract"]

Spec = dict[str, Any]

ROUNDS = 60
INFERENCE = ("first", "second")  #: groups of one node; they run model_1 and model_2
EVALUATORS = ("north", "east", "south", "west")  #: likewise, evaluator_1 to evaluator_4
DRAWN = ("task", "record", "node", "committee")
TOP = 10.0
HONEST: Spec = {"name": "honest"}
OTHER: dict[Role, Role] = {"inference": "evaluator", "evaluator": "inference"}

_examples = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.differing_executors],  # one test, many subclasses
)


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
    scenario = poq_abm.load("cost_aware_poq").replace(
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


class BehaviourContract:
    """Tests that a behaviour passes; inherit, set :attr:`behaviour` and what it needs.

    The network has the inference groups ``first`` (model_1) and ``second`` (model_2), the dearer,
    and the evaluator groups ``north``, ``east``, ``south`` and ``west`` (evaluator_1 to
    evaluator_4), of one node each. Declared traits choose the tests: one of something not claimed
    is skipped.

    Attributes
    ----------
    behaviour
        The behaviour, which must have been registered.
    needed
        Values of the parameters that have no default.

    Examples
    --------
    >>> from poq_abm.rules.behaviour.resolving import behaviours
    >>> class TestTargeted(BehaviourContract):
    ...     behaviour = behaviours("evaluator")["targeted"]
    ...     needed = {"group": "second"}
    >>> TestTargeted().spec()
    {'name': 'targeted', 'group': 'second'}
    """

    behaviour: ClassVar[type[Behaviour]]
    needed: ClassVar[Mapping[str, Any]] = {}

    def spec(self) -> Spec:
        """Return the behaviour as a scenario names it, with what it needs."""
        return {"name": self.behaviour.name, **self.needed}

    def who(self) -> str:
        """Return the group that deviates."""
        return "second" if self.behaviour.role == "inference" else "north"

    # ------------------------------------------------------------------------------- declarations

    def test_it_says_what_it_is(self) -> None:
        """Name, role, formula, source, traits and parameters are declared, and it is registered."""
        kind = self.behaviour
        assert re.fullmatch(r"[a-z][a-z0-9_]*", kind.name)
        assert kind.role in OTHER
        assert kind.formula.strip()
        assert kind.source.strip()
        assert (kind.__doc__ or "").strip()
        assert isinstance(kind.traits, Traits)
        assert all(isinstance(value, Parameter) for value in kind.parameters.values())
        assert all(parameter.meaning.strip() for parameter in kind.parameters.values())
        assert "name" not in kind.parameters
        assert behaviours(kind.role)[kind.name] is kind
        assert spell(self.spec()).startswith(kind.name)

    def test_its_defaults_can_be_played(self) -> None:
        """Every default lies in its own range, and the whole makes a network."""
        for key, parameter in self.behaviour.parameters.items():
            if parameter.required:
                assert key in self.needed, key
            elif parameter.default is not None:
                assert parameter.fault(parameter.default) is None, key
                spelt = {**self.spec(), key: parameter.default}
                assert self._columns(spelt) == self._columns(self.spec()), key
            else:
                assert parameter.kind == "text", key
        assert _model(_profile(), {self.who(): self.spec()}).game.population.size == 6

    # ------------------------------------------------------------------------------------ mistakes

    def test_it_refuses_what_it_does_not_know(self) -> None:
        """An unknown parameter is an error, at its key, with the nearest name there is."""
        for key in self.behaviour.parameters:
            misspelt = key + key[-1]
            error = self._refusal({**self.spec(), misspelt: 1.0})
            assert error.path == (misspelt,)
            assert repr(key) in error.message
        error = self._refusal({**self.spec(), "qqqqqq": 1.0})
        assert "'qqqqqq'" in error.message
        assert "known: " in error.message or "it has none" in error.message

    def test_it_refuses_what_is_out_of_range(self) -> None:
        """A number outside its range, NaN, text for a number, and a number for text."""
        for key, parameter in self.behaviour.parameters.items():
            wrong: list[Any] = [3.5, True, ["a"]]
            if parameter.kind == "number":
                wrong = [math.nan, "3", True, [1.0]]
                for end, beyond in ((parameter.low, -math.inf), (parameter.high, math.inf)):
                    if math.isfinite(end):
                        wrong += [math.nextafter(end, beyond), beyond]
            for value in wrong:
                error = self._refusal({**self.spec(), key: value})
                assert error.path == (key,), (key, value)
                assert key in error.message

    def test_it_needs_what_has_no_default(self) -> None:
        """Leaving out a parameter without a default is an error that says what it means."""
        for key, parameter in self.behaviour.parameters.items():
            if parameter.required:
                error = self._refusal({k: v for k, v in self.spec().items() if k != key})
                assert error.path == (key,)
                assert parameter.meaning in error.message

    def test_it_has_one_role(self) -> None:
        """In the other role it is unknown there, and the error says whose it is."""
        kind, other = self.behaviour, OTHER[self.behaviour.role]
        if kind.name in behaviours(other):
            assert behaviours(other)[kind.name] is not kind
            return
        with pytest.raises(BehaviourError, match=f"{kind.role} nodes, not of {other} nodes"):
            resolve(other, self.spec())

    # ---------------------------------------------------------------------------------------- play

    @_examples
    @given(data=st.data(), seed=st.integers(0, 2**32 - 1))
    def test_scores_stay_on_the_scale(self, data: st.DataObject, seed: int) -> None:
        """Whatever its parameters, all that is reported lies in [0, 10], and so does truth."""
        free = {
            key: _values(parameter, self.behaviour.role)
            for key, parameter in self.behaviour.parameters.items()
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
        assert same != self.behaviour.traits.stochastic

    def test_it_remembers_only_if_it_says_so(self) -> None:
        """A round played by itself shows what the same round shows after all that came before."""
        if self.behaviour.traits.stateful:
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
        if self.behaviour.role == "inference":
            others = trace.node != INFERENCE.index(self.who())
            assert 0 < others.sum() < ROUNDS
        else:
            others = trace.committee != len(INFERENCE) + EVALUATORS.index(self.who())
            assert np.array_equal(trace.truth, honest.truth)
        assert np.array_equal(trace.scores[others], honest.scores[others])

    def test_it_does_not_look_at_who_else_deviates(self) -> None:
        """Without memory, a node reports the same whether another one behaves alike or not."""
        if self.behaviour.traits.stateful or self.behaviour.role == "inference":
            pytest.skip("declared stateful, or no evaluator")
        alone = _played(_profile(), {"north": self.spec()})
        both = _played(_profile(), {"north": self.spec(), "south": self.spec()})
        assert np.array_equal(_reports(both, "north"), _reports(alone, "north"))

    def test_it_sees_other_scores_only_if_it_says_so(self) -> None:
        """Without memory or private information, other evaluators' scores do not reach a report."""
        traits = self.behaviour.traits
        if traits.stateful or traits.private_information or self.behaviour.role == "inference":
            pytest.skip("declared stateful or privately informed, or no evaluator")
        profile = _profile()
        scores = np.concatenate([profile.scores[:, :, :1], TOP - profile.scores[:, :, 1:]], axis=2)
        moved = replace(profile, scores=scores)
        one, other = (_played(p, {"north": self.spec()}) for p in (profile, moved))
        assert not np.array_equal(_reports(one, "south"), _reports(other, "south"))
        assert np.array_equal(_reports(one, "north"), _reports(other, "north"))

    def test_a_ring_speaks_with_one_voice(self) -> None:
        """Members report one score in a round, whatever their models measure."""
        if not self.behaviour.traits.coordinates:
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

    # ------------------------------------------------------------------------------------- helpers

    def _columns(self, spec: Spec) -> dict[str, Any]:
        return resolve(self.behaviour.role, spec)

    def _refusal(self, spec: Spec) -> BehaviourError:
        with pytest.raises(BehaviourError) as caught:
            self._columns(spec)
        return caught.value


def _arrays(part: tuple[Any, ...]) -> Iterator[NDArray[Any]]:
    """Yield the arrays of a ledger, or of a memory with the histograms inside it."""
    for column in part:
        yield from _arrays(column) if isinstance(column, tuple) else (column,)
