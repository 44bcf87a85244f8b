"""What a scenario can name is what the mechanism knows, and the reverse; what code may not name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import poq_abm
from poq_abm.rules.registry import shipped
from poq_abm.rules.schedule.schedules import SCHEDULE
from poq_abm.simulation.epochs.epoch_rounds import ROUTINGS, WEIGHTED


def test_every_schedule_has_a_rule() -> None:
    in_economies = {name for name, rule in shipped(SCHEDULE).items() if rule.in_economies}
    assert {*ROUTINGS, *WEIGHTED} == in_economies


@pytest.mark.parametrize("name", poq_abm.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(poq_abm, name) is not None
    assert name in dir(poq_abm)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="laod"):
        _ = poq_abm.laod


#: functions of NumPy that are made of a BLAS, whose last bit depends on the processor
BLAS = {"dot", "vdot", "inner", "matmul", "tensordot", "einsum", "linalg", "corrcoef", "cov",
        "polyfit", "convolve", "correlate"}  # fmt: skip


@pytest.mark.parametrize(
    "path", sorted(Path(poq_abm.__file__).parent.rglob("*.py")), ids=lambda path: path.stem
)
def test_no_number_is_made_by_a_blas(path: Path) -> None:
    """Results are compared byte by byte with what another machine makes of the same scenario."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.MatMult), f"{path.name}: @ between arrays"
        if isinstance(node, ast.Attribute) and node.attr in BLAS:
            assert ast.unparse(node.value) != "np", f"{where}: np.{node.attr}"
            assert node.attr != "dot", f"{where}: dot of an array"
