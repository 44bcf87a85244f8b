"""Pay by score bin: as written, in both engines, and refused where edges and pays do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from network_support import assert_same_bits, game_of, model_of, play_compiled, published

from poq_abm.errors import InputError
from poq_abm.rules.compiled import number_of, pay_inference
from poq_abm.rules.payment.contract import MOST_BINS, Contract
from poq_abm.scenario import load

TERMS = {"score_edges": (3.0, 4.5, 7.0), "pays": (1.5, 0.0, 0.25, 2.0)}


@pytest.mark.parametrize(
    ("consensus", "pay"), [(0.0, 1.5), (2.999, 1.5), (3.0, 0.0), (4.5, 0.25), (7.0, 2.0), (10, 2.0)]
)
def test_a_bin_begins_at_its_edge(consensus: float, pay: float) -> None:
    values = Contract.array(TERMS)
    assert values.size == 2 * MOST_BINS - 1
    paid = pay_inference(number_of(Contract), values, None, float(consensus), 0.5, 2.0, 0.5)
    assert paid == 2.0 * pay - 0.25
    assert Contract.kernel(consensus, 0.5, 2.0, 0.5, *Contract.arguments(values)) == paid


def test_as_many_bins_as_there_may_be() -> None:
    edges = tuple(float(edge) for edge in np.linspace(0.5, 9.5, MOST_BINS - 1))
    values = Contract.array({"score_edges": edges, "pays": tuple(map(float, range(MOST_BINS)))})
    paid = [pay_inference(number_of(Contract), values, None, c, 0.0, 1.0, 0.0) for c in (0.0, 10.0)]
    assert paid == [0.0, MOST_BINS - 1.0]


def test_both_engines_pay_what_is_written() -> None:
    scenario = published(mechanism__reward={"family": "contract", **TERMS}, rounds=300)
    game = game_of(scenario)
    assert game.pay_range("inference", 1.0, 0.3) == (-0.3, 2.0)  # the most is not paid at an end
    ledger, trace = play_compiled(game, scenario, 0, 300)
    bins = np.searchsorted(TERMS["score_edges"], trace.consensus, side="right")
    cost = game.population.cost[trace.node]
    assert np.array_equal(trace.inference_reward, np.array(TERMS["pays"])[bins] - 0.3 * cost)
    assert len(set(bins.tolist())) == 4
    compiled, agents = model_of(game, scenario), model_of(game, scenario)
    compiled.run(300)
    agents.run_agents(300)
    for one in (compiled, agents):
        assert_same_bits(one.ledger, ledger)
    assert_same_bits(compiled.memory.histograms, agents.memory.histograms)


def test_pays_can_be_swept_and_inherited() -> None:
    base = published(mechanism__reward={"family": "contract", "pays": [0.0, 2.0]})
    assert base.mechanism.reward.score_edges == (5.0,)
    swept = base.replace({"sweep": {"mechanism.reward.pays": [[0.0, 1.0], [0.5, 3.0]]}})
    pays = [treatment.scenario.mechanism.reward.pays for treatment in swept.treatments()]
    assert pays == [(0.0, 1.0), (0.5, 3.0)]


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("{family: contract, pays: [1, 2, 3]}", "1 score_edges part 2 bins, and pays has 3"),
        ("{family: contract, score_edges: [6, 4], pays: [1, 2, 3]}", "must rise, got 6, 4"),
        ("{family: contract, pays: [-1, 2]}", "reward.pays.0: must be at least 0, got -1"),
        ("{family: contract, score_edges: [0]}", "score_edges.0: must be greater than 0"),
        ("{family: contract, pays: 3}", "reward.pays: must be a list, got 3"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(tmp_path, reward: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"extends: cost_aware_poq\nmechanism:\n  reward: {reward}\n")
    with pytest.raises(InputError) as caught:
        load(file)
    assert message in str(caught.value)
    assert "mine.yaml:3" in str(caught.value)
