"""What was played is found again, whatever a kill left of the file."""

import numpy as np
import pytest

from poq_abm import load
from poq_abm.analysis.design.playing import FigurePlayer, PlayedDesigns
from poq_abm.experiment.search import PlayInMemory, Step

METRICS = ("bias", "correlation")


@pytest.fixture(scope="module")
def scenarios():
    base = load("cost_aware_poq", ["rounds=50"])
    return [base.replace({"mechanism.committee_size": size}) for size in (1, 2, 3)]


def player_on(path, monkeypatch, fails=None):
    """Return a player of made-up figures, one scenario at a time, and what it is asked for.

    The number ``fails`` of what is asked for is interrupted.
    """
    asked = []

    def play(step):
        asked.append(step.scenarios[0].mechanism.committee_size)
        if len(asked) == fails:
            raise KeyboardInterrupt
        return [("made up", one, step.last - step.first) for one in step.scenarios]

    monkeypatch.setattr("poq_abm.analysis.design.playing._MOST_ROUNDS", 1)
    player = FigurePlayer(METRICS, PlayedDesigns(path))
    player._play = play
    player._figures = lambda scenario, made: {
        name: np.full(made[2], scenario.mechanism.committee_size + number / 3)
        for number, name in enumerate(METRICS)
    }
    return player, asked


def test_a_file_cut_at_any_byte_is_filled_up_to_the_same_bytes(scenarios, tmp_path, monkeypatch):
    step, path = Step(scenarios, 0, 2), tmp_path / "played.jsonl"
    player, asked = player_on(path, monkeypatch)
    first, whole = player(step), path.read_bytes()
    assert asked == [1, 2, 3]
    for size in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:size])
        player, asked = player_on(path, monkeypatch)
        found = player(step)
        assert path.read_bytes() == whole
        assert len(asked) == 3 - whole[:size].count(b"\n")
        for one, other in zip(first, found, strict=True):
            assert {k: v.tolist() for k, v in one.items()} == {
                k: v.tolist() for k, v in other.items()
            }


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_an_interrupt_loses_nothing_that_was_played(scenarios, tmp_path, monkeypatch, fails):
    step, path = Step(scenarios, 0, 2), tmp_path / "played.jsonl"
    player, _ = player_on(path, monkeypatch, fails)
    with pytest.raises(KeyboardInterrupt):
        player(step)
    player, asked = player_on(path, monkeypatch)
    player(step)
    assert asked == [1, 2, 3][fails - 1 :]
    kept = path.read_bytes()
    path.unlink()
    player_on(path, monkeypatch)[0](step)
    assert path.read_bytes() == kept


def test_a_key_that_is_younger_than_what_was_played_leaves_it_found(scenarios, monkeypatch):
    player, data = FigurePlayer(METRICS), scenarios[0].resolved()
    before = player.key(scenarios[0], METRICS, 0, 2)
    for group in data["population"]["inference"]:
        assert group.pop("usd_per_answer") is None
    monkeypatch.setattr(type(scenarios[0]), "resolved", lambda _: dict(data))
    assert player.key(scenarios[0], METRICS, 0, 2) == before


def test_figures_are_those_of_tables_whoever_deviates(scenarios):
    attacked = scenarios[2].replace(
        {
            "malicious": {"share": 0.4, "behaviour": "boost"},
            "mechanism.aggregation": "trust_weighted",
            "mechanism.trust.update": "hedge",
        }
    )
    step = Step([scenarios[0], attacked], 1, 3)
    for figures, tables in zip(FigurePlayer(METRICS)(step), PlayInMemory()(step), strict=True):
        for name in METRICS:
            assert figures[name].tolist() == tables["replications"].column(name).to_pylist()


def test_only_what_is_wanted_is_played(scenarios):
    attacked = scenarios[2].replace({"malicious": {"share": 0.4, "behaviour": "boost"}})
    every, wanted = (
        PlayInMemory(wanted=wanted)(Step([attacked], 0, 2))[0]
        for wanted in (None, frozenset({"bias"}))
    )
    assert set(wanted) == {"replications"}
    assert wanted["replications"].column("bias") == every["replications"].column("bias")
    assert np.isnan(wanted["replications"].column("consensus_drift").to_numpy()).all()
    drift = PlayInMemory(wanted=frozenset({"consensus_drift"}))(Step([attacked], 0, 2))[0]
    found = drift["replications"].column("consensus_drift")
    assert found == every["replications"].column("consensus_drift")
