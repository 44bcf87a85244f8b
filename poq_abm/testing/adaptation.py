"""What every rule of adaptation owes an economy, as a test class to inherit from.

A rule that passes is what it declares to be, refuses parameters that make no sense, decides by its
draws alone, keeps accounts in balance, and lets nobody play on who is not there or cannot.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from poq_abm.profile import load_profile
from poq_abm.rules.adaptation.base import Adaptation
from poq_abm.scenario import load
from poq_abm.simulation.epochs.accounts import Holding
from poq_abm.simulation.epochs.economy import Economy
from poq_abm.simulation.epochs.record import GROUP_COLUMNS
from poq_abm.simulation.game import build_game
from poq_abm.testing.rule import RuleContract

__all__ = ["AdaptationContract"]

Spec = dict[str, Any]

EPOCHS, ROUNDS = 6, 240

#: a scenario in which all there is to decide can be decided
_NETWORK: Spec = {
    "rounds": ROUNDS,
    "population": {
        "inference": [
            {"model": "llama_3_2_3b", "count": 5, "active": 3},
            {"model": "qwen2_1_5b", "count": 5, "active": 4},
        ],
        "evaluators": [
            {"model": "ce_minilm", "count": 5, "active": 4},
            {"model": "sts_stsb", "count": 4, "active": 3},
        ],
    },
    "mechanism.committee_size": 2,
    "mechanism.trust": {"update": "relative", "rate": 0.5},
}
_ECONOMY: Spec = {
    "epochs": EPOCHS,
    "cost": {"basis": "money", "usd_per_token": 0.1},
    "latency": {"distribution": "lognormal", "outage_probability": 0.1},
    "payment": {"scheme": "pool", "pool": 40.0, "fee": 0.01},
    "stake": {"bond": 10.0, "capital_rate": 0.01, "unbonding_epochs": 2, "slashing": {
        "deviation": 0.2, "goes_to": "redistributed"}},
    "audits": {"rate": 0.2, "slash": 1.0},
    "options": {
        "inference": ["freeload", "misreport_cost"],
        "evaluator": ["noise"],
        "hardware": ["rtx_3090", "h100_sxm"],
    },
}  # fmt: skip


class AdaptationContract(RuleContract):
    """Tests that a rule of adaptation passes; inherit, set :attr:`rule` and what it needs.

    The network has two groups of each role, with free rows, bonds, audits, behaviours and hardware
    to choose from, on the profile ``published``.

    Examples
    --------
    >>> from poq_abm.rules.adaptation.behaviours import Imitation
    >>> class TestImitation(AdaptationContract):
    ...     rule = Imitation
    ...     needed = {"role": "evaluator"}
    >>> TestImitation().spec()
    {'name': 'imitation', 'role': 'evaluator'}
    """

    rule: ClassVar[type[Adaptation]]

    def test_its_draws_are_declared(self) -> None:
        """It says how many uniforms it needs for each node."""
        assert self.rule.draws >= 0

    def test_its_luck_is_what_it_is_given(self) -> None:
        """The same replication twice is the same to the last bit."""
        one, other = self._played(1), self._played(1)
        assert one.record.groups.tobytes() == other.record.groups.tobytes()
        assert one.record.nodes().tobytes() == other.record.nodes().tobytes()

    def test_it_plays_and_accounts_balance(self) -> None:
        """Every epoch's accounts were checked; bonds belong to those who are there or leaving."""
        economy = self._played(2)
        assert economy.finished
        bonds, locked = economy.accounts.nodes[[Holding.BOND, Holding.UNBONDING]]
        assert (bonds >= 0.0).all()
        assert (locked >= 0.0).all()
        assert (bonds[~economy.population.active] == 0.0).all()

    def test_it_looks_at_nothing_but_its_role(self) -> None:
        """Behaviours stay those of the role; models run on the machines that nodes have."""
        economy = self._played(3)
        population = economy.population
        for role in ("inference", "evaluator"):
            nodes = population.role_is(role)
            assert set(population.behaviour[nodes]) <= set(population.options(role))
        assert np.isfinite(population.service_s).all()
        assert set(population.operator) <= set(range(population.size))

    def test_it_decides_only_between_epochs(self) -> None:
        """The first epoch is that of the same network without it."""
        with_, without = self._opened(4), self._opened(4, adapts=False)
        with_.step()
        without.step()
        for name in ("jobs", "reward", "nodes"):
            place = [row[0] for row in GROUP_COLUMNS].index(name)
            mine, other = (e.record.groups[0, :, place] for e in (with_, without))
            assert mine.tobytes() == other.tobytes(), name

    # ------------------------------------------------------------------------------------- helpers

    def _opened(self, seed: int, *, adapts: bool = True) -> Economy:
        section = {**_ECONOMY, "adaptation": [self.spec()] if adapts else []}
        scenario = load("cost_aware_poq").replace({**_NETWORK, "seed": seed, "economy": section})
        profile = load_profile("published")
        return Economy(scenario, build_game(scenario, profile), profile)

    def _played(self, seed: int) -> Economy:
        economy = self._opened(seed)
        economy.run()
        return economy
