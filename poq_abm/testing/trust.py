"""What a trust update owes the evaluators whose weights it moves, as a class to inherit from."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poq_abm.rules.trust import TrustUpdate
from poq_abm.testing.rule import KernelRuleContract, examples

__all__ = ["TrustUpdateContract"]

_examples = examples()
_share = st.floats(0.0, 1.0)
_weight = st.floats(0.1, 5.0)
_ROUNDING = 1e-13


class TrustUpdateContract(KernelRuleContract):
    """Tests that a trust update passes; inherit and say which.

    Weights stay finite and at least 0, within their bounds where the rule has a ``minimum`` and a
    ``maximum``, and of two members of equal weight the nearer one ends no lower.

    Examples
    --------
    >>> from poq_abm.rules.trust.multiplicative import Multiplicative
    >>> class TestMultiplicative(TrustUpdateContract):
    ...     rule = Multiplicative
    >>> TestMultiplicative().updated(1.0, 0.2, 0.0)
    1.03
    """

    rule: ClassVar[type[TrustUpdate]]

    def updated(self, weight: float, deviation: float, typical: float) -> float:
        """Return a weight after a round."""
        return self.called(weight, deviation, typical)

    @_examples
    @given(_weight, _share, _share)
    def test_weights_stay_within_their_bounds(
        self, weight: float, deviation: float, typical: float
    ) -> None:
        """At least 0 and finite; between the minimum and the maximum of those that have them."""
        found = self.updated(weight, deviation, typical)
        given = dict(zip(self.rule.parameters, self.rule.array(self.values), strict=True))
        assert np.isfinite(found)
        if self.rule.learns:
            assert given.get("minimum", 0.0) <= found <= given.get("maximum", np.inf)

    @_examples
    @given(_weight, _share, _share, _share)
    def test_the_nearer_ends_no_lower(
        self, weight: float, one: float, other: float, typical: float
    ) -> None:
        """The weight after a round falls in the deviation."""
        near, far = sorted((one, other))
        ends = self.updated(weight, near, typical), self.updated(weight, far, typical)
        assert ends[0] >= ends[1] - _ROUNDING

    @_examples
    @given(_weight, _share, _share)
    def test_what_learns_nothing_changes_nothing(
        self, weight: float, deviation: float, typical: float
    ) -> None:
        """An update that does not learn leaves every weight."""
        if self.rule.learns:
            pytest.skip("it learns")
        assert self.updated(weight, deviation, typical) == weight
