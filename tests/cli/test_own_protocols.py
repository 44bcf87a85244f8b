"""Protocols of one's own: declared in a module, checked, played, stored and named by their code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import poq_abm
from poq_abm.rules import registry
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.scenario import load

MODULE = """
from poq_abm import register
from poq_abm.rules.protocol.protocol import Reads, VerificationProtocol
from poq_abm.rules.rule import Parameter, Source


@register
class Audited(VerificationProtocol):
    '''A second node recomputes a share of all answers.'''

    name, gloss, limits = "audited", "a second node looks", "It is honest."
    bonded = validated = True
    formula, source = "p = q", Source("assumed", "a test")
    parameters = {
        "rate": Parameter("share recomputed", 0.5, unit="share", low=0.0, high=1.0),
        "lazy": Parameter("lazy ones", 0.0, unit="share", low=0.0, high=1.0, only_with="rate"),
    }
    reads = (Reads("tee", ("overhead",)),)

    def changes(self):
        return {"sample_rate": self.values["rate"], "lazy": self.values["lazy"],
                "overhead": self.figures["tee"]["overhead"]}
"""
SCENARIO = """extends: cost_aware_poq
rounds: 200
replications: 4
verification:
  protocol: audited
  audited: {rate: 0.25}
  tee: {overhead: 0.5}
"""
OWN = ("--plugin", "own_protocols")


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_protocols.py").write_text(MODULE)
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_protocols", raising=False)
    monkeypatch.setattr(registry, "_own", {})


@pytest.mark.parametrize("verb", ["validate", "show", "run"])
def test_every_verb_needs_the_module_and_takes_it(poq, verb: str) -> None:
    refused = poq(verb, "mine.yaml")
    assert refused.code == 2
    assert "mine.yaml:5: verification.protocol: unknown protocol 'audited'" in refused.err
    assert "mine.yaml:6: verification.audited: unknown key" in refused.err
    done = poq(verb, "mine.yaml", *OWN)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ("{rat: 0.25}", "mine.yaml:6: verification.audited.rat: unknown key; did you mean 'rate'?"),
        ("{rate: 1.5}", "mine.yaml:6: verification.audited.rate: "),
        ("{rate: 0.0, lazy: 0.1}", "acts only with verification.audited.rate above 0"),
    ],
)
def test_its_figures_are_checked_like_any_others(poq, tmp_path: Path, figures, said) -> None:
    (tmp_path / "mine.yaml").write_text(SCENARIO.replace("{rate: 0.25}", figures))
    done = poq("validate", "mine.yaml", *OWN)
    assert (done.code, "Traceback" in done.err) == (2, False)
    assert said in done.err


def test_figures_that_it_does_not_read_are_refused(poq, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SCENARIO + "  otr: {proof_rate: 0.1}\n")
    done = poq("validate", "mine.yaml", *OWN)
    assert done.code == 2
    assert "mine.yaml:8: verification.otr: acts only with verification.protocol: " in done.err


def test_it_is_listed_and_swept(poq) -> None:
    assert "audited" not in poq("protocols").out
    assert "audited" in poq("protocols", *OWN).out
    axis = ("--set", "sweep={verification.audited.rate: [0.1, 0.9]}", "--out", "swept")
    done = poq("run", "mine.yaml", *OWN, *axis)
    assert done.code == 0, done.err
    usd = poq_abm.read_results("swept").queries.groupby("treatment")["recheck_usd"].mean()
    assert usd.iloc[0] < usd.iloc[1]


def test_worker_processes_play_it_to_the_same_bytes(poq, tmp_path: Path) -> None:
    assert poq("run", "mine.yaml", *OWN, "--out", "one").code == 0
    done = poq("run", "mine.yaml", *OWN, "--out", "two", "--jobs", 2)
    assert done.code == 0, done.err
    one, two = (
        {
            block.name: block.read_bytes()
            for block in (tmp_path / folder / "queries.parquet").iterdir()
        }
        for folder in ("one", "two")
    )
    assert one
    assert one == two


def test_its_code_belongs_to_what_names_the_results(poq, tmp_path: Path, monkeypatch) -> None:
    assert poq("run", "mine.yaml", *OWN, "--out", "mine").code == 0
    (tmp_path / "own_protocols.py").write_text(MODULE.replace('"overhead": self', '"checks": self'))
    monkeypatch.delitem(sys.modules, "own_protocols")
    monkeypatch.setattr(registry, "_own", {})
    importlib.invalidate_caches()
    refused = poq("run", "mine.yaml", *OWN, "--out", "mine")
    assert refused.code == 2
    assert "another configuration" in refused.err


def test_a_notebook_registers_it_without_a_module(tmp_path: Path) -> None:
    exec(MODULE, {"__name__": "__main__"})
    assert "audited" in registry.rules(PROTOCOLS)
    results = poq_abm.run(load(str(tmp_path / "mine.yaml")), replications=2)
    assert (results.queries["recheck_usd"] > 0.0).all()
