"""The verbs that list rules and behaviours, and the one that checks the robust mechanism."""

from __future__ import annotations

import json

import pytest

from poq_abm.analysis.reproduce import robust
from poq_abm.rules.behaviour.base import BEHAVIOURS, Role
from poq_abm.rules.registry import rules as known
from poq_abm.rules.registry import shipped
from poq_abm.scenario.schema.mechanism import KINDS


def listed(printed: str) -> dict[str, str]:
    """Return what is told of each rule, by its kind in capitals and its name."""
    told, kind, name = dict[tuple[str, str], str](), "", ""
    for line in printed.splitlines():
        if line.startswith(" "):
            told[kind, name] = f"{told[kind, name]} {line.strip()}"
        elif line.partition(" (")[0].isupper():
            kind = line.partition(" (")[0]
        elif line:
            name, told[kind, line] = line, ""
    return told


def test_rules_lists_what_every_rule_declares(poq) -> None:
    done = poq("rules")
    told = listed(done.out)
    assert done.code == 0
    for kind in KINDS:
        for name, rule in shipped(kind).items():
            said = told[kind.name.upper(), name]
            assert " ".join(rule.formula.split()) in said
            assert str(rule.source) in said
            for key, parameter in rule.parameters.items():
                assert f"{key}: " in said
                assert parameter.meaning in said
                assert parameter.unit in said


def test_rules_prints_formulas_as_they_are_written(poq) -> None:
    told = listed(poq("rules").out)
    for (kind, name), formula in {
        ("aggregation rule", "mean"): "c = (1 / K) sum_k s_k",
        ("aggregation rule", "trimmed_mean"): "floor(tau K)",
        ("aggregation rule", "trust_weighted"): "sum_k w_k s_k / sum_k w_k",
        ("aggregation rule", "stake_median"): "sum_k S_k [s_k >= s] >= kappa sum_k S_k",
        ("reward family", "linear"): "alpha Q - beta C",
        ("trust update", "multiplicative"): "w (1 + lambda (0.5 - d))",
    }.items():
        assert formula in told[kind.upper(), name]


@pytest.mark.parametrize("role", ["evaluator", "inference"])
def test_behaviours_lists_every_one(poq, role: Role) -> None:
    done = poq("behaviours", "--json")
    assert done.code == 0
    rows = {
        row["name"]: row
        for row in json.loads(done.out)["rules"]
        if row["kind"] == BEHAVIOURS[role].name
    }
    assert set(rows) == set(known(BEHAVIOURS[role]))
    for name, kind in known(BEHAVIOURS[role]).items():
        assert rows[name]["formula"] == kind.formula
        assert rows[name]["source"] == str(kind.source)
        assert all(f"{key}: " in rows[name]["parameters"] for key in kind.parameters)
        traits = [trait.replace("_", " ") for trait, has in vars(kind.traits).items() if has]
        assert all(trait in rows[name]["traits"] for trait in traits)


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
