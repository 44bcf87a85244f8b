"""The throughput benchmark runs and reports everything it promises; no time is asserted."""

from __future__ import annotations

import json

import pytest

from benchmarks import throughput
from benchmarks.c_loop import VARIANTS, find_compiler
from benchmarks.contestants import NAMES
from benchmarks.networks import NETWORKS

SPREAD = {"min", "lower_quartile", "median", "upper_quartile", "max"}


def run(capsys, *options):
    assert throughput.main(["--json", "--quick", "--repeats", "1", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_quick_mode_has_all_keys(capsys):
    document = run(capsys)
    assert set(document["machine"]) >= {"cpu", "python", "numba", "mesa", "c_compiler", "core"}
    assert len(document["networks"]) == len(NETWORKS)
    for network in document["networks"]:
        assert set(network["rounds_per_second"]) == set(NAMES)
        for name, rate in network["rounds_per_second"].items():
            if name not in VARIANTS or find_compiler():
                assert set(rate) == SPREAD
        assert [(row["of"], row["to"]) for row in network["ratios"]] == list(throughput.GOALS)
        for row in network["ratios"]:
            if row["to"] not in VARIANTS or find_compiler():
                assert set(row["measured"]) == {"ratio", *SPREAD}
                reached = row["goal"] is not None and row["measured"]["ratio"] >= row["goal"]
                assert row["met"] is (None if row["goal"] is None else reached)


def test_without_a_compiler_the_c_loop_is_null(capsys, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(throughput, "NETWORKS", NETWORKS[:1])
    document = run(capsys)
    assert document["machine"]["c_compiler"] is None
    rates = document["networks"][0]["rounds_per_second"]
    assert all(rates[name] is None for name in VARIANTS)
    assert rates["compiled"] is not None
    verdicts = {(row["of"], row["to"]): row for row in document["networks"][0]["ratios"]}
    assert verdicts["compiled", "c_loop"]["met"] is None


def test_a_loop_that_differs_is_not_timed(monkeypatch):
    if find_compiler() is None:
        pytest.skip("no C compiler")
    monkeypatch.setattr(throughput, "same_sums", lambda *_: False)
    with pytest.raises(ArithmeticError, match="differ at F=5"):
        throughput.measure(1, quick=True)


def test_the_table_names_every_contestant(capsys, monkeypatch):
    monkeypatch.setattr(throughput, "NETWORKS", NETWORKS[:1])
    assert throughput.main(["--quick", "--repeats", "2"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)
