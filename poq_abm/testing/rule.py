"""What every rule of any kind owes whoever names it, as a test class to inherit from.

A rule that passes says what it is and who answers for it, and refuses values that make no sense.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings

from poq_abm.rules.kernels import KernelRule
from poq_abm.rules.registry import RuleError, complete, rules
from poq_abm.rules.rule import Parameter, Rule, Source

__all__ = ["KernelRuleContract", "RuleContract", "examples"]

Spec = dict[str, Any]


def examples(count: int = 60) -> settings:
    """Return how a contract is tried: so many examples, the same ones in every run."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.differing_executors],  # one test, many subclasses
    )


class RuleContract:
    """Tests that a rule's declaration passes; inherit, set :attr:`rule` and what it needs.

    Attributes
    ----------
    rule
        The rule, which must have been registered.
    needed
        Values of the parameters that have no default.

    Examples
    --------
    >>> from poq_abm.rules.adaptation.presence import Sybil
    >>> class TestSybil(RuleContract):
    ...     rule = Sybil
    ...     needed = {"role": "evaluator"}
    >>> TestSybil().test_it_says_what_it_is()
    """

    rule: ClassVar[type[Rule]]
    needed: ClassVar[Mapping[str, Any]] = {}

    def spec(self) -> Spec:
        """Return the rule as a scenario names it, with what it needs."""
        return {"name": self.rule.name, **self.needed}

    def resolved(self, spec: Spec) -> Any:
        """Return what becomes of a rule as a scenario names it."""
        return complete(self.rule, {key: value for key, value in spec.items() if key != "name"})

    def refusal(self, spec: Spec) -> RuleError:
        """Return the error with which a spec is refused."""
        with pytest.raises(RuleError) as caught:
            self.resolved(spec)
        return caught.value

    def test_it_says_what_it_is(self) -> None:
        """Name, formula, source and parameters are declared, and it is registered."""
        rule = self.rule
        assert re.fullmatch(r"[a-z][a-z0-9_+]*", rule.name)
        assert rule.formula.strip()
        assert isinstance(rule.source, Source)
        assert rule.source.reference.strip()
        assert (rule.__doc__ or "").strip()
        assert all(isinstance(value, Parameter) for value in rule.parameters.values())
        assert all(parameter.meaning.strip() for parameter in rule.parameters.values())
        assert "name" not in rule.parameters
        assert rules(rule.kind)[rule.name] is rule

    def test_its_defaults_lie_in_their_own_ranges(self) -> None:
        """What may be left out has a default that could have been written."""
        for key, parameter in self.rule.parameters.items():
            if parameter.required:
                assert key in self.needed, key
            elif parameter.default is not None:
                assert parameter.fault(parameter.default) is None, key
                spelt = {**self.spec(), key: parameter.default}
                if key not in self.needed:
                    assert self.resolved(spelt) == self.resolved(self.spec()), key
            else:
                assert parameter.kind == "text", key

    def test_it_refuses_what_it_does_not_know(self) -> None:
        """An unknown parameter is an error, at its key, with the nearest name there is."""
        for key in self.rule.parameters:
            misspelt = key + key[-1]
            error = self.refusal({**self.spec(), misspelt: 1.0})
            assert error.path == (misspelt,)
            assert repr(key) in error.message
        error = self.refusal({**self.spec(), "qqqqqq": 1.0})
        assert "'qqqqqq'" in error.message
        assert "known: " in error.message or "it has none" in error.message

    def test_it_refuses_what_is_out_of_range(self) -> None:
        """A number outside its range, NaN, text for a number, and a number for text."""
        for key, parameter in self.rule.parameters.items():
            for value in _wrong(parameter):
                error = self.refusal({**self.spec(), key: value})
                assert error.path == (key,), (key, value)
                assert key in error.message

    def test_it_needs_what_has_no_default(self) -> None:
        """Leaving out a parameter without a default is an error that says what it means."""
        for key, parameter in self.rule.parameters.items():
            if parameter.required:
                error = self.refusal({k: v for k, v in self.spec().items() if k != key})
                assert error.path == (key,)
                assert parameter.meaning in error.message


class KernelRuleContract(RuleContract):
    """Tests that a rule made of one kernel passes; inherit a kind's contract and set :attr:`rule`.

    What a rule claims of itself chooses the tests: a test of something not claimed is skipped.

    Attributes
    ----------
    values
        Values for its parameters, where they are not to have their defaults.
    """

    rule: ClassVar[type[KernelRule]]
    values: ClassVar[Mapping[str, Any]] = {}

    def called(self, *arguments: Any) -> float:
        """Return what the kernel makes of what its kind hands it."""
        if not hasattr(self, "_kernel"):
            self._kernel = self.rule.compiled()
            self._given = self.rule.arguments(self.rule.array(self.values))
        return float(self._kernel(*arguments, *self._given))

    def claims(self, claim: str) -> None:
        """Skip the test that calls this unless the rule makes the claim."""
        if not getattr(self.rule, claim):
            pytest.skip(f"not claimed: {claim}")

    def test_its_kernel_can_be_played(self) -> None:
        """It takes what its kind hands it and what the rule declares, and can be compiled."""
        self.rule.check()


def _wrong(parameter: Parameter) -> list[Any]:
    """Return values that a parameter cannot have."""
    if parameter.kind == "switch":
        return [1, "yes", ["a"]]
    if parameter.kind == "by task":
        return ["3", True, ["a"], {"a task": "3"}, {"a task": math.nan}]
    if parameter.kind == "list":
        return ["3", 3.0, True, [], [math.nan], ["a"], [0.5] * (parameter.most + 1)]
    if parameter.kind not in ("number", "count"):
        return [3.5, True, ["a"]]
    wrong: list[Any] = [math.nan, "3", True, [1.0]]
    if parameter.kind == "count":
        wrong += [parameter.low + 0.5, parameter.low - 1.0]
    ends = (
        (parameter.low, -math.inf, parameter.open_low),
        (parameter.high, math.inf, parameter.open_high),
    )
    for end, beyond, is_open in ends:
        if math.isfinite(end):
            wrong += [end if is_open else math.nextafter(end, beyond), beyond]
    return wrong
