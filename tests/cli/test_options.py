"""What every verb promises of its options and of what it prints, the next verb's too."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.main import get_command

from poq_abm.cli import app
from tests.conftest import Poq


def _verbs(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for part, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, f"{name} {part}".strip())
    if not hasattr(command, "commands"):
        yield name, command


VERBS = dict(_verbs(get_command(app)))
#: what a verb prints in place of a table
WITHOUT_TABLE = {
    "explore": "an address",
    "export": "files, whose form `--out` says",
    "new": "a file",
    "report": "a file",
    "show": "a scenario, in YAML",
    "warm": "a folder",
    "profile composite": "a folder",
    **{f"calibrate {stage}": "files" for stage in (
        "build", "check", "corpus", "demo", "efficiency", "generate", "import", "judge", "run",
        "score", "smooth")},
}  # fmt: skip
FEW = ("--rounds", 20, "--replications", 4)
LISTED = """\
extends: cost_aware_poq
rounds: 20
search:
  variables: {mechanism.aggregation: {choices: [mean, median]}}
  objectives: [{maximise: correlation}]
  budget: {replications: 2, fresh: 4, looks: 1, certified: 6}
"""
VARIED = ("--field", "mechanism.beta_evaluator=0:1", "--field", "mechanism.committee_size=1,3")
#: a short call of every verb that prints a table; BASE is a folder of results
CALLS: dict[str, tuple[Any, ...]] = {
    "adaptations": (),
    "analyse": ("rewards", "BASE"),
    "attack": ("cost_aware_poq", *FEW, "--seconds", 0),
    "audit": ("cost_aware_poq", *FEW, "--behaviour", "boost", "--epsilon", 9),
    "behaviours": (),
    "calibrate doctor": (),
    "compare": ("cost_aware_poq", "many_nodes", *FEW, "--metric", "bias"),
    "contract": ("small_llms", "--target", "gemma3_f32", "--resamples", 20),
    "converge": ("cost_aware_poq", *FEW),
    "design": ("listed.yaml", "--select", 0.5),
    "equilibrium": ("cost_aware_poq", *FEW, "--strategy", "boost", "--players", 2),
    "plan": ("cost_aware_poq", *FEW),
    "plot": ("list",),
    "profile compare": ("published", "small_llms"),
    "profile list": (),
    "profile show": ("published", "--resamples", 20),
    "profile validate": ("published",),
    "protocols": (),
    "reproduce": ("cost-aware", "--replications", 2),
    "rules": (),
    "run": ("cost_aware_poq", *FEW, "--out", "run"),
    "scenarios": (),
    "sensitivity": ("cost_aware_poq", *FEW, *VARIED, "--metric", "bias", "--samples", 2),
    "status": ("BASE",),
    "validate": ("cost_aware_poq", "unanswerable"),
    "verify": ("BASE", "--replications", 0),
}
EXTRAS = {"sensitivity": "SALib"}


def test_whatever_prints_a_table_prints_it_for_programs_too() -> None:
    """A verb is in one of these two lists, or this test asks where it belongs."""
    assert set(CALLS) | set(WITHOUT_TABLE) == set(VERBS)
    assert not set(CALLS) & set(WITHOUT_TABLE)
    for name, verb in VERBS.items():
        options = {option for each in verb.params for option in each.opts}
        assert ({"--json", "--csv"} <= options) == (name in CALLS), name


def test_an_option_is_the_same_in_every_verb() -> None:
    kinds = defaultdict(set)
    for name, verb in VERBS.items():
        for each in verb.params:
            if each.param_type_name != "option":
                continue
            off = each.secondary_opts == [] or each.default is True
            assert off, f"{name} {each.opts}: a flag that is off has one form"
            assert len(each.opts) == 1, f"{name} {each.opts}: an option has one name"
            assert each.help, f"{name} {each.opts}"
            kinds[each.opts[0]].add((bool(each.is_flag), each.metavar))
    differing = {
        option: sorted(map(str, of))
        for option, of in kinds.items()
        # Where to write is a file, a stem or a folder; whose role, among those that there are.
        if len(of) > 1 and option not in ("--out", "--role", "--replay")
    }
    assert differing == {}
    assert {is_flag for is_flag, _ in kinds["--out"] | kinds["--role"]} == {False}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_verb_prints(
    poq: Poq, stored_runs: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in EXTRAS and find_spec(EXTRAS[name]) is None:
        pytest.skip(f"needs {EXTRAS[name]}")
    Path("listed.yaml").write_text(LISTED)
    base = str(stored_runs["base"])
    call = (*name.split(), *(base if part == "BASE" else part for part in CALLS[name]))
    data = json.loads(poq(*call, "--json").out)
    assert isinstance(data, dict)
    assert any(isinstance(value, list) for value in data.values())
    first = poq(*call, "--csv").out
    assert "\x1b" not in first
    assert len(pd.read_csv(io.StringIO(first)).columns) > 0
    alone = poq(*call, "--json", "--csv")
    assert (alone.code, alone.out) == (2, "")
    assert "choose one" in alone.err
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    printed = poq(*call)
    assert "\x1b" not in printed.out + printed.err, "no control codes where nobody asks for them"
    assert "…" not in printed.out, "no cell is cut"
    boxed = [line for line in printed.out.splitlines() if set(line) & set("─━│┃")]
    assert max(map(len, boxed), default=0) <= 80


def test_a_shell_completes_names_of_scenarios(poq: Poq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "bash"))  # whoever runs tests
    assert "complete" in poq("--show-completion").out.lower()
    words = {"_POQ_COMPLETE": "complete_bash", "COMP_WORDS": "poq run cost_a", "COMP_CWORD": "2"}
    for variable, value in words.items():
        monkeypatch.setenv(variable, value)
    assert poq("run").out.split() == ["cost_aware_poq"]
