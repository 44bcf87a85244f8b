from __future__ import annotations

import pytest

from benchmarks import designs


@pytest.mark.parametrize("network", designs._NETWORKS)
def test_designs_have_eight_populations_and_can_be_played(network: str) -> None:
    with designs.problem_of(network, 5) as problem:
        assert len(problem.populations) == 8
        spent = designs.play(problem, 2, 1)
    assert spent["cpu"] > 0.0
    assert spent["wall"] > 0.0
