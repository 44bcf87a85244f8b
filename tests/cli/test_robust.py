"""The verbs that list rules and behaviours, and the one that checks the robust mechanism."""

from __future__ import annotations

import pytest
from rich.console import Console

from poq_abm.analysis.reproduce import robust
from poq_abm.cli import tables
from poq_abm.rules.behaviour.base import BEHAVIOURS, Role
from poq_abm.rules.registry import rules as known
from poq_abm.rules.registry import shipped
from poq_abm.scenario.schema.mechanism import KINDS


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tables be so wide that no cell is broken."""
    monkeypatch.setattr(tables, "output_console", lambda: Console(width=2000))


def listed(printed: str) -> dict[tuple[str, str], str]:
    """Return the rows of a printed table by their first two cells."""
    rows: dict[tuple[str, str], str] = {}
    last = ("", "")
    for line in printed.splitlines():
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if len(cells) < 3:
            continue
        if cells[0]:
            last = (cells[0], cells[1])
        rows[last] = rows.get(last, "") + " " + " | ".join(cells)
    return rows


@pytest.mark.usefixtures("wide")
def test_rules_lists_what_every_rule_declares(poq) -> None:
    done = poq("rules")
    rows = listed(done.out)
    assert done.code == 0
    assert set(rows) == {(kind.name, name) for kind in KINDS for name in shipped(kind)}
    for kind in KINDS:
        for name, rule in shipped(kind).items():
            row = rows[kind.name, name]
            assert rule.formula in row
            assert str(rule.source) in row
            assert all(key in row for key in rule.parameters)


@pytest.mark.usefixtures("wide")
def test_rules_prints_formulas_as_they_are_written(poq) -> None:
    rows = listed(poq("rules").out)
    for name, formula in {
        ("aggregation rule", "mean"): "c = (1 / K) sum_k s_k",
        ("aggregation rule", "trimmed_mean"): "floor(tau K)",
        ("aggregation rule", "trust_weighted"): "sum_k w_k s_k / sum_k w_k",
        ("aggregation rule", "stake_median"): "sum_k S_k [s_k >= s] >= kappa sum_k S_k",
        ("reward family", "linear"): "alpha Q - beta C",
        ("trust update", "multiplicative"): "w (1 + lambda (0.5 - d))",
    }.items():
        assert formula in rows[name]


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("role", ["evaluator", "inference"])
def test_behaviours_lists_every_one(poq, role: Role) -> None:
    done = poq("behaviours")
    found = listed(done.out).items()
    rows = {name: row for (kind, name), row in found if kind == BEHAVIOURS[role].name}
    assert done.code == 0
    assert set(rows) == set(known(BEHAVIOURS[role]))
    for name, kind in known(BEHAVIOURS[role]).items():
        assert kind.formula in rows[name]
        assert str(kind.source) in rows[name]
        assert all(key in rows[name] for key in kind.parameters)
        traits = [trait.replace("_", " ") for trait, has in vars(kind.traits).items() if has]
        assert all(trait in rows[name] for trait in traits)


def test_reproduce_robust_agrees_and_keeps_sources_apart(poq) -> None:
    done = poq("reproduce", "robust")
    assert done.code == 0
    assert "CONTRADICTED" not in done.out
    said = " ".join(done.out.split())
    assert "only the abstract and three formulas are known to us" in said
    assert "our reconstruction" in said
    assert "our defaults" in said
    assert all(kind in done.out for kind in ("claim", "consequence", "contradicted"))


def test_an_altered_consequence_misses(poq, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = {**robust.BOOST_BIAS, "median": {0.3: 0.81}}
    monkeypatch.setattr(robust, "BOOST_BIAS", altered)
    done = poq("reproduce", "robust")
    assert done.code == 1
    missed = [line for line in done.out.splitlines() if "CONTRADICTED" in line]
    assert len(missed) == 1
    assert "median, share 0.3" in missed[0]
