"""Ten thousand broken scenario files: each is played or refused, and nothing else ever happens."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_support import FakeProfile

from poq_abm.scenario import Scenario, ScenarioError, check, find_scenario, parse, scenario_names

EXAMPLES = 10_000
SLOWEST = 10.0  # seconds for one file, on a machine that is busy with other things

FILES = [find_scenario(name).read_text(encoding="utf-8") for name in scenario_names()]
FLAT = Path(find_scenario("cost_aware_poq")).read_text(encoding="utf-8")
FILES += [
    FLAT + "tasks: {qa: 0.5, summarization: 0.5}\nsweep:\n  tasks: [null, {qa: 1.0}]\n",
    FLAT + "sweep:\n  population.inference.0.count: [1, 2]\n  zip: [{rounds: [1], seed: [2]}]\n",
    FLAT + "sweep:\n  sobol: {samples: 4, ranges: {mechanism.tau: [0.1, 0.2]}}\n"
    "  list: [{id: a, rounds: 1}, {id: b, rounds: 2}]\n",
    FLAT.replace("replications: 20", "replications: {until: {metric: bias, half_width: 0.1}}"),
]
NASTY = [
    "", "~", "true", "yes", "nan", ".nan", ".inf", "-.inf", "1e999", "-1", "0", "1.5", "0x10",
    "0o7", "9" * 30, "9" * 5000, "-" + "9" * 80, "1e-400", '"3"', "'", '"', "[", "]", "{", "}",
    "[[[[1]]]]", "[" * 60, "[" * 3000, "{a: " * 60, "{a: {b: {c: 1}}}", "[]", "{}", "[1, 2, 2]",
    "[a, .nan, []]", '!!python/object/apply:os.system ["touch CANARY"]', "!!python/name:os.system",
    "!foo 1", "!!python/object/new:subprocess.Popen [[touch, CANARY]]", "!!binary aGVsbG8=",
    "!!set {a}", "&a [*a]", "*a", "&a x", "&x [1, 1]\n<<: *x", "<<: {rounds: 1}", "? [a]\n: 1",
    "---", "...", "%TAG ! x", "\0", "\x07", "\ud800", "\ufeff", "\u2028", "\U0001f600", "\t", "|",
    ">-", "# x", '"\\ud800"', '"\\0"', "../x.yaml", "/dev/zero", "cost_weight", "committee_size",
    "nope", "./", "extends: cost_weight", "extends: many_nodes", "sweep: {rounds: [0, 1]}",
    "zip: {rounds: [1, 2]}", "sweep: {mechanism: [{}, 3], tasks.qa: [1]}", "rounds: 3",
    "2020-01-01", "1_000", "{model: a}",
]  # fmt: skip
Move = tuple[str, int, int, str]


def mutated(text: str, moves: list[Move]) -> str:
    for kind, first, second, value in moves:
        text = MOVES[kind](text, first, second, value)
    return text


def _line_move(edit: Callable[[list[str], int, int, str], None]) -> Callable[..., str]:
    def move(text: str, first: int, second: int, value: str) -> str:
        lines = text.split("\n")
        edit(lines, first % len(lines), second % len(lines), value)
        return "\n".join(lines)

    return move


def _delete(lines: list[str], at: int, _other: int, _value: str) -> None:
    del lines[at]


def _duplicate(lines: list[str], at: int, other: int, _value: str) -> None:
    lines.insert(other, lines[at])


def _swap(lines: list[str], at: int, other: int, _value: str) -> None:
    lines[at], lines[other] = lines[other], lines[at]


def _indent(lines: list[str], at: int, other: int, _value: str) -> None:
    lines[at] = " " * (other % 5) + lines[at].lstrip()


def _new_value(lines: list[str], at: int, _other: int, value: str) -> None:
    key, colon, _ = lines[at].partition(":")
    lines[at] = f"{key}{colon} {value}"


def _new_inner_value(lines: list[str], at: int, other: int, value: str) -> None:
    parts = lines[at].split(",")
    inner = other % len(parts)
    key, colon, old = parts[inner].rpartition(":")
    parts[inner] = f"{key}{colon} {value}" + ("}" if old.endswith("}") else "")
    lines[at] = ",".join(parts)


def _new_line(lines: list[str], at: int, _other: int, value: str) -> None:
    indent = len(lines[at]) - len(lines[at].lstrip())
    lines.insert(at, " " * indent + value)


MOVES: dict[str, Callable[..., str]] = {
    "delete": _line_move(_delete),
    "duplicate": _line_move(_duplicate),
    "swap": _line_move(_swap),
    "indent": _line_move(_indent),
    "value": _line_move(_new_value),
    "inner": _line_move(_new_inner_value),
    "line": _line_move(_new_line),
    "insert": lambda t, i, _j, v: (at := i % (len(t) + 1), t[:at] + v + t[at:])[1],
    "character": lambda t, i, j, _v: (at := i % (len(t) + 1), t[:at] + chr(j % 128) + t[at + 1 :])[
        1
    ],
    "cut": lambda t, i, j, _v: (at := i % (len(t) + 1), t[:at] + t[at + j % 40 :])[1],
    "truncate": lambda t, i, _j, _v: t[: i % (len(t) + 1)],
}
moves = st.lists(
    st.tuples(
        st.sampled_from(sorted(MOVES)),
        st.integers(0, 5000),
        st.integers(0, 5000),
        st.sampled_from(NASTY),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def no_execution(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def executed(*_args: Any, **_kwargs: Any) -> None:
        pytest.fail("a scenario file executed code")

    for name in ("system", "popen", "execv", "execve", "posix_spawn", "fork"):
        monkeypatch.setattr(os, name, executed)
    for name in ("Popen", "run", "call", "check_output"):
        monkeypatch.setattr(subprocess, name, executed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_fuzzed_files_are_played_or_refused(no_execution: Path) -> None:
    outcomes = {Scenario: 0, ScenarioError: 0}
    profile = FakeProfile()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(FILES), moves)
    def play(text: str, changes: list[Move]) -> None:
        start = time.perf_counter()
        try:
            scenario = parse(mutated(text, changes), origin="fuzz.yaml", folder=no_execution)
            check(scenario, profile)
            outcomes[type(scenario)] += 1
        except ScenarioError as error:
            assert error.problems
            assert str(error)
            outcomes[ScenarioError] += 1
        assert time.perf_counter() - start < SLOWEST

    play()
    assert sum(outcomes.values()) >= EXAMPLES
    assert min(outcomes.values()) > EXAMPLES / 20, outcomes  # both ends of the fence are tried
    assert not list(no_execution.iterdir()), "a scenario file left something behind"


def test_the_guard_would_notice(no_execution: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="executed code"):
        os.system("touch CANARY")
    with pytest.raises(pytest.fail.Exception, match="executed code"):
        subprocess.run(["touch", "CANARY"], check=True)
