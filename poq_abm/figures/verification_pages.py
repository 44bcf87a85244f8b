"""What the pictures of the documentation show: one population, default figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poq_abm.analysis.deterrence import (
    changed,
    proof_rate_by_stake,
    vulnerability_by_patch,
    watchers_by_window,
)
from poq_abm.analysis.trilemma import play_protocols, trilemma_table
from poq_abm.figures.verification import phase_diagram, trilemma, vulnerability_diagram
from poq_abm.profile import load_profile
from poq_abm.scenario import load
from poq_abm.scenario.schema.verification import Verification

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SETTINGS", "pictures"]

#: what differs from the defaults: a load that two providers per query can bear
SETTINGS = {
    "protocol": "otr",
    "demand.load": 0.3,
    "adversaries.downgrade.model": "tinylama_1_1b",
    "adversaries.downgrade.latency_share": 0.5,
}
POINTS = 41


def pictures(replications: int, queries: int) -> dict[str, Figure]:
    """Return every figure of the documentation by the name of its file."""
    verification = changed(Verification(), SETTINGS)
    scenario = load("cost_aware_poq").replace(
        {
            "rounds": queries,
            "population.inference": [{"model": "llama_3_2_3b", "count": 200}],
            "population.evaluators": [
                {"model": model, "count": 10} for model in ("sts_stsb", "ce_minilm", "ce_deberta")
            ],
        }
    )
    profile = load_profile(scenario.profile)
    played = play_protocols(scenario, profile, verification, replications=replications)
    return {
        "trilemma": trilemma(trilemma_table(played)),
        "proof_rate_by_stake": _proofs(verification),
        "watchers_by_window": _watchers(verification),
        "vulnerability_by_patch": _vulnerabilities(verification),
    }


def _stated(verification: Verification) -> str:
    gain, fee = verification.adversaries.downgrade.gain_usd, verification.economics.fee_usd
    return (
        f"gain {gain:g} USD, fee {fee:g} USD per query; enclave broken; "
        f"computed, {POINTS} x {POINTS} points"
    )


def _proofs(verification: Verification) -> Figure:
    table = proof_rate_by_stake(
        changed(verification, {"watchers.count": 0}),
        np.geomspace(1e-4, 1.0, POINTS).tolist(),
        np.geomspace(0.05, 100.0, POINTS).tolist(),
    )
    return phase_diagram(
        table,
        "proof_rate",
        "stake_usd",
        labels=("share of queries that must carry a proof", "stake per query, USD"),
        title="Do random proofs alone deter?",
        note=f"{_stated(verification)}; no watchers",
    )


def _watchers(verification: Verification) -> Figure:
    settings = {
        "otr.proof_rate": 0.0,
        "economics.stake_usd": 2.0,
        "watchers.count": 1000,
        "watchers.check_probability": 5e-5,
    }
    table = watchers_by_window(
        changed(verification, settings),
        np.geomspace(0.05, 1.0, POINTS).tolist(),
        np.geomspace(41.0, 1e5, POINTS).tolist(),
    )
    stated = f"{_stated(verification)};\nstake 2 USD, no proofs; 1,000 watchers"
    return phase_diagram(
        table,
        "active_share",
        "window_s",
        labels=("share of watchers that check at all", "challenge window, s"),
        title="Do watchers alone deter?",
        note=f"{stated}, each active one checks 1 in 20,000",
    )


def _vulnerabilities(verification: Verification) -> Figure:
    table = vulnerability_by_patch(
        changed(verification, {"protocol": "tee"}),
        np.geomspace(0.01, 10.0, POINTS).tolist(),
        np.geomspace(0.5, 365.0, POINTS).tolist(),
    )
    note = f"tee alone, 95% of nodes cheat once they can; computed, {POINTS} x {POINTS} points"
    return vulnerability_diagram(table, note=note)
