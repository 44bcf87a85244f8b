"""Contestants of other make play the published mechanism, or are not timed; no time is asserted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.networks import NETWORKS, Network
from benchmarks.peers import __main__ as peers
from benchmarks.peers.here import CONTESTANTS, Engine
from benchmarks.peers.worker import BATCHES, PublishedGame, _batches, committees


@pytest.fixture
def numpy_alone(monkeypatch):
    monkeypatch.setattr(peers, "CONTESTANTS", {"numpy": CONTESTANTS["numpy"]})
    monkeypatch.setattr(peers, "OURS", "numpy")
    monkeypatch.setattr(peers, "NETWORKS", NETWORKS[:1])


@pytest.mark.parametrize("network", [NETWORKS[0], Network(10, 9, 2)], ids=str)
def test_everybody_here_plays_the_same_game(network):
    game = peers.published_game(network)
    growth = {name: _batches(make(game), game) for name, (make, _) in CONTESTANTS.items()}
    for name, own in growth.items():
        assert peers.differing(own, growth["poq_abm"]) == [], name


def test_another_game_is_told_apart():
    game = peers.published_game(NETWORKS[0])
    ours = _batches(Engine(game), game)
    dearer = game._replace(coefficients=game.coefficients * [1.0, 1.01, 1.0, 1.0])
    make, _ = CONTESTANTS["numpy"]
    wrong = peers.differing(_batches(make(dearer), dearer), ours)
    assert wrong
    assert all(said.startswith("reward of group") for said in wrong)
    assert ours.shape == (BATCHES, 8, 5)


def test_a_game_is_read_as_it_was_written(tmp_path):
    game = peers.published_game(NETWORKS[0])
    game.save(tmp_path / "game.npz")
    found = PublishedGame.load(tmp_path / "game.npz")
    assert all(np.array_equal(one, other) for one, other in zip(game, found, strict=True))


def test_committees_are_alike_and_without_replacement():
    seats = committees(np.random.default_rng(1), 60_000, 4, 3)
    assert all(len(set(column)) == 3 for column in seats.T[:100].tolist())
    counts = np.unique(seats.T, axis=0, return_counts=True)[1]
    assert counts.size == 24
    assert np.abs(counts - 2500).max() < 5 * 50


@pytest.mark.usefixtures("numpy_alone")
def test_who_has_no_environment_is_left_out(capsys, tmp_path):
    options = ["--quick", "--repeats", "1", "--environments", str(tmp_path)]
    assert peers.main([*options, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["absent"] == list(peers.PEERS)
    assert set(document["networks"][0]["rounds_per_second"]) == {"numpy"}
    peers._print(document)
    assert "for want of an environment: polars, jax" in capsys.readouterr().out


@pytest.mark.usefixtures("numpy_alone")
def test_who_plays_another_game_is_not_timed(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "differing", lambda *_: ["reward of group 0"])
    with pytest.raises(ArithmeticError, match="numpy at F=5,M=3,K=3: reward of group 0"):
        peers.measure(1, environments=tmp_path, networks=NETWORKS[:1], quick=True)
