"""The formulas on the protocols' pages, evaluated as they are printed, against played runs."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from verification_support import ALL_HONEST, ALL_RATIONAL, BROKEN, INTACT, market, played

from poq_abm.analysis.deterrence import sampling_threshold, watchers_by_window
from poq_abm.analysis.trilemma import changed
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import shipped
from poq_abm.rules.settling import pay_by_score
from poq_abm.scenario.schema.verification import Verification, protocol_of
from poq_abm.simulation.queries.beliefs import expected_advantage
from poq_abm.simulation.queries.market import Market
from poq_abm.simulation.round_steps import NO_TASK, inference_points

STAKE, SHARE, FEE, WATCHERS, CHECKING, DELAY = 0.4, 0.75, 0.1, 3, 0.2, 5000.0
WINDOW, BISECTION = 3600.0, 40.0
FIGURES = {
    "economics.stake_usd": STAKE,
    "economics.slash_share": SHARE,
    "economics.fee_usd": FEE,
    "economics.bounty_usd": 0.05,
    "adversaries.byzantine_share": 0.2,
    "adversaries.rational_share": 0.8,
    "adversaries.collusion.validator_share": 0.25,
    "redundancy.providers": 3,
    "proof_of_sampling.challenge_probability": 0.3,
    "proof_of_sampling.lazy_share": 0.2,
    "watchers.count": WATCHERS,
    "watchers.check_probability": CHECKING,
    "watchers.delay_s": DELAY,
    "opml.window_s": WINDOW,
    "opml.step_s": 2.0,
    "otr.proof_rate": 0.1,
}
IN_TIME = 1.0 - math.exp(-(WINDOW - BISECTION) / DELAY)
SYMBOLS = {
    "S": STAKE * SHARE, "F": FEE, "a": 0.2, "n": 3, "q": 0.3, "l": 0.2, "r": 0.25, "rho": 0.1,
    "c": CHECKING, "t": IN_TIME, "phi": 1.0 - (1.0 - CHECKING * IN_TIME) ** WATCHERS,
}  # fmt: skip

#: what the page says p is, where the state of the enclaves matters and where not
DETECTION = {
    ("none", None): "0",
    ("poq", None): "0",
    ("redundancy", None): "1 - a^(n - 1)",
    ("proof_of_sampling", None): "q (1 - l) (1 - r)",
    ("opml", None): "1 - (1 - c t)^n",
    ("zkml", None): "1",
    ("tee", "intact"): "1",
    ("tee", "broken"): "0",
    ("otr", "intact"): "1",
    ("otr", "broken"): "1 - (1 - rho)(1 - phi)",
    ("poq+otr", "intact"): "1",
    ("poq+otr", "broken"): "1 - (1 - rho)(1 - phi)",
}


def value(text: str, symbols: dict[str, float]) -> float:
    """Return what a printed formula comes to; side by side means times."""
    times = re.sub(r"(?<=[\w)])\s*(?=\()|(?<=[\w)]) (?=[A-Za-z])", " * ", text)
    return float(eval(times.replace("^", "**"), {"__builtins__": {}}, symbols))


def mean_pays(chosen: Market) -> dict[str, float]:
    """Return H and D, the mean pay of honest answers and of those of the cheaper model."""
    terms, people, game = chosen.protocol.terms, chosen.people, chosen.game

    def mean_pay(conduct: int) -> float:
        agreed, cost = game.tables.agreed[:, people.model[0, conduct]], people.cost[0]
        points = [
            inference_points(game.rules, NO_TASK, score, cost, game.kernels) for score in agreed
        ]
        pays = [pay_by_score(terms, *each) for each in zip(agreed, points, strict=True)]
        return float(np.mean(pays))

    return {"H": mean_pay(0), "D": mean_pay(1)}


@pytest.mark.parametrize(("name", "enclaves"), DETECTION)
def test_honesty_pays_where_the_page_says_and_not_beyond(name: str, enclaves: str | None) -> None:
    """The gain at which rational nodes begin to cheat in played runs, within 0.1%."""
    formula, printed = shipped(PROTOCOLS)[name].formula, DETECTION[name, enclaves]
    assert printed in formula or name == "poq+otr"
    condition = re.search(r"honest iff (.+?) >= G\b", formula)
    assert condition
    state: dict[str, Any] = {None: {}, "intact": INTACT, "broken": BROKEN}[enclaves]
    pays = mean_pays(market(name, FIGURES, state))
    most = value(condition[1], {**SYMBOLS, **pays, "p": value(printed, SYMBOLS)})
    for gain, cheats in ((max(0.0, most * 0.999), 0.0), (most * 1.001 + 1e-9, 1.0)):
        setting = {"adversaries.downgrade.gain_usd": gain}
        share = played(name, FIGURES, state, setting, queries=60)["cheating_share"]
        assert share == cheats, (gain, most)


def test_every_protocol_that_trusts_nobody_is_held_to_its_formula() -> None:
    """Here, or in a file of its own."""
    files = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    held = {name for name, _ in DETECTION} | files
    assert shipped(PROTOCOLS).keys() - held == {"centralised"}


@pytest.mark.parametrize(("q", "cheats"), [(0.17, 1), (0.24, 1), (0.2499, 1), (0.2501, 0)])
def test_the_fee_counts_once_under_proof_of_sampling(q: float, cheats: int) -> None:
    """G = .05, F = S = .1: a quarter of the answers must be recomputed, not a sixth."""
    figures = {
        "economics.stake_usd": 0.1,
        "economics.bounty_usd": 0.05,
        "proof_of_sampling.challenge_probability": q,
    }
    assert sampling_threshold(0.05, 0.1, 0.1, 0.0) == pytest.approx(0.25)
    share = played("proof_of_sampling", ALL_RATIONAL, figures, queries=60)["cheating_share"]
    assert share == cheats


@pytest.mark.parametrize("name", ["opml", "otr"])
def test_checks_cost_what_the_page_says(name: str) -> None:
    """N watchers who each check with chance c, whether they are in time or not."""
    assert "n c c_check" in shipped(PROTOCOLS)[name].formula
    measures = played(name, FIGURES, ALL_HONEST, {"watchers.check_usd": 0.02}, queries=60)
    assert measures["recheck_usd"] == pytest.approx(WATCHERS * CHECKING * 0.02)
    assert measures["watcher_profit_usd"] == pytest.approx(-WATCHERS * CHECKING * 0.02)


def test_who_watches_in_vain_would_rather_be_lazy() -> None:
    """Where nobody cheats every check is lost: with two of four lazy half as much is."""
    figures = {**FIGURES, "watchers.count": 4}
    diligent, half = (
        played("otr", figures, ALL_HONEST, {"watchers.lazy_share": share}, queries=60)
        for share in (0.0, 0.5)
    )
    assert diligent["watcher_profit_usd"] < 0.0
    assert half["watcher_profit_usd"] == pytest.approx(0.5 * diligent["watcher_profit_usd"])
    assert (diligent["honest_watchers"], half["honest_watchers"]) == (4.0, 2.0)


def test_validators_who_recompute_in_vain_would_rather_be_lazy() -> None:
    half = {"proof_of_sampling.challenge_probability": 0.5}
    diligent, lazy = (
        played("proof_of_sampling", ALL_HONEST, half, {"proof_of_sampling.lazy_share": share})
        for share in (0.0, 1.0)
    )
    assert diligent["validator_profit_usd"] == pytest.approx(-diligent["recheck_usd"])
    assert diligent["recheck_usd"] > 0.0
    assert lazy["validator_profit_usd"] == lazy["recheck_usd"] == 0.0
    assert lazy["machine_s"] < diligent["machine_s"]
    trusting = played("proof_of_sampling", ALL_RATIONAL, {"proof_of_sampling.lazy_share": 1.0})
    assert trusting["dishonest_stands"] == 1.0


def test_a_coalitions_share_of_the_bounty_comes_from_disputes_alone() -> None:
    """A proof pays no bounty, so a node that cheats expects none back of it."""
    figures = {
        "adversaries.collusion.watcher_share": 0.5,
        "watchers.count": 2,
        "watchers.check_probability": 0.5,
        "watchers.delay_s": 1.0,
        "otr.proof_rate": 0.4,
        "economics.stake_usd": 1.0,
        "adversaries.rational_share": 0.0,
        "adversaries.byzantine_share": 1.0,
    }
    phi, rho, refund = 0.5, 0.4, 0.5
    p = 1.0 - (1.0 - rho) * (1.0 - phi)
    expected = 0.05 - p * (1.0 + 0.1) + (1.0 - rho) * phi * refund
    measures = played("otr", BROKEN, figures, queries=40_000)
    assert measures["cheat_advantage_usd"] == pytest.approx(expected, abs=0.012)
    indifferent = p * 1.1 - (1.0 - rho) * phi * refund
    rational = {**figures, "adversaries.rational_share": 1.0, "adversaries.byzantine_share": 0.0}
    for gain, cheats in ((indifferent - 1e-3, 0.0), (indifferent + 1e-3, 1.0)):
        setting = {"adversaries.downgrade.gain_usd": gain}
        assert played("otr", BROKEN, rational, setting, queries=60)["cheating_share"] == cheats


def test_phases_and_the_inspection_game_know_the_coalitions_share_too() -> None:
    """Where the phase table says so rational nodes turn; at y* the advantage is nothing."""
    figures = {
        "adversaries.collusion.watcher_share": 0.5,
        "watchers.count": 2,
        "watchers.delay_s": 1.0,
        "otr.proof_rate": 0.1,
        "economics.stake_usd": 1.0,
        "adversaries.rational_share": 1.0,
        "adversaries.byzantine_share": 0.0,
    }
    for gain in (0.30, 0.34, 0.40):  # p (S + F) - (1 - rho) phi b = .37 x 1.1 - .27 x .5 = .272
        point = {**figures, "watchers.check_probability": 0.3,
                 "adversaries.downgrade.gain_usd": gain - 0.05}  # fmt: skip
        chosen = changed(Verification(protocol="otr"), point)
        (row,) = watchers_by_window(chosen, [1.0], [3600.0]).itertuples()
        share = played("otr", BROKEN, point, {"watchers.lazy_share": 0.0}, queries=60)
        assert share["cheating_share"] == float(not row.deterred) == float(gain - 0.05 > 0.272)
    game = {**figures, "watchers.check_probability": "equilibrium"}
    protocol = protocol_of(changed(Verification(protocol="otr"), game))
    scores = np.full(4, 5.0)
    gain = protocol.conditions.gains["downgrade"]
    assert 0.05 == gain < 0.1 * 1.1, "proofs alone deter it"
    dear = {**game, "adversaries.downgrade.gain_usd": 0.4}
    protocol = protocol_of(changed(Verification(protocol="otr"), dear))
    assert 0.0 < protocol.terms.cheating < 1.0
    assert expected_advantage(protocol, 0.4, scores, scores, broken=True) == pytest.approx(
        0.0, abs=1e-12
    )


def test_what_is_slashed_is_a_bounty_or_burned() -> None:
    for name in shipped(PROTOCOLS):
        measures = played(name, BROKEN, FIGURES, {"adversaries.byzantine_share": 0.2}, queries=400)
        assert measures["penalty_usd"] == pytest.approx(
            measures["bounty_usd"] + measures["burned_usd"]
        )
        assert measures["burned_usd"] >= 0.0
