"""Who is there: entry and exit against an outside option, identities split and merged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poq_abm.rules.adaptation.base import RATE, ROLE, Adaptation, SettledEpoch
from poq_abm.rules.rule import Parameter, Source

__all__ = ["EntryExit", "Sybil"]

Array = NDArray[np.float64]


class EntryExit(Adaptation):
    """Nodes that earn less than elsewhere go; where nodes earn more, others come.

    The chance is ``rate`` times the relative gap, at most ``rate``: so that numbers settle instead
    of overshooting. Entrants are the free rows of a group (``active`` below ``count``).
    """

    name = "entry_exit"
    formula = "chance rate x min(1, |smoothed profit - outside| / max(|outside|, scale))"
    source = Source("assumed", "free entry (textbook); the adjustment rule is ours")
    parameters = {
        "outside": Parameter("what a node could earn elsewhere", 0.0, unit="tokens per epoch"),
        "rate": RATE,
        "scale": Parameter(
            "gap at which the chance is the full rate", 1e-9, low=1e-12, unit="tokens per epoch"
        ),
        "entry_cost": Parameter(
            "profit that entry needs on top", 0.0, low=0.0, unit="tokens per epoch"
        ),
        "stays": Parameter(
            "the last evaluators, so many, never go", 0.0, low=0.0, high=1e9, unit="nodes"
        ),
    }
    draws = 1

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Let nodes go and come, group by group."""
        population = end.population
        outside, rate = self.values["outside"], self.values["rate"]
        scale = max(abs(outside), self.values["scale"])
        smoothed = end.smoothed
        here = end.active & population.active
        gap = np.where(here, outside - smoothed, 0.0)
        goes = here & (draws[0] < rate * np.clip(gap / scale, 0.0, 1.0))
        comes = np.zeros_like(goes)
        for number in range(int(end.group.max()) + 1):
            mine = end.group == number
            if (mine & here).any():
                hope = float(smoothed[mine & here].mean()) - outside - self.values["entry_cost"]
                chance = rate * min(1.0, max(0.0, hope / scale))
                comes |= mine & ~population.active & (draws[0] < chance)
        self._keep_some(goes, here, draws[0], population.inference)
        end.leave(goes)
        end.enter(comes)

    def _keep_some(
        self, goes: NDArray[np.bool_], here: NDArray[np.bool_], draws: Array, first: int
    ) -> None:
        """Let no more evaluators go than may; those of the lowest draws go first."""
        wanting = first + np.flatnonzero(goes[first:])
        spare = max(0, int(here[first:].sum()) - int(self.values["stays"]))
        goes[wanting[np.argsort(draws[wanting], kind="stable")][spare:]] = False


class Sybil(Adaptation):
    """An operator adds an identity on the same machine where the last one paid for its bond.

    Identities of one operator share a machine and its costs, but not their bonds. Where one more
    identity does not bring what its bond costs, one goes.
    """

    name = "sybil"
    formula = "splits if pay per identity - capital cost of a bond > fee, merges if below 0"
    source = Source("assumed", "ours")
    parameters = {
        "role": ROLE,
        "rate": RATE,
        "fee": Parameter(
            "what an identity must bring beyond its bond", 0.0, unit="tokens per epoch"
        ),
        "most": Parameter("identities of one operator", 8.0, low=1.0, high=1000.0, unit="nodes"),
    }
    draws = 1

    def revise(self, end: SettledEpoch, draws: Array) -> None:
        """Split and merge, operator by operator, in the order of their first node."""
        population, margin = end.population, end.margin
        nodes = end.staying(self.values["role"])
        free = np.flatnonzero(population.role_is(self.values["role"]) & ~population.active).tolist()
        leaves, enters = np.zeros(population.size, np.bool_), np.zeros(population.size, np.bool_)
        identities = np.bincount(population.operator[population.active], minlength=population.size)
        for node in nodes:
            operator = population.operator[node]
            if draws[0, node] >= self.values["rate"]:
                continue
            if margin[node] < 0.0 and identities[operator] > 1 and node != operator:
                leaves[node] = True
                identities[operator] -= 1
                population.operator[node] = node
            elif margin[node] > self.values["fee"] and identities[operator] < self.values["most"]:
                place = self._room(end, int(node), free)
                if place is not None:
                    enters[place] = True
                    identities[operator] += 1
        end.leave(leaves)
        end.enter(enters)

    def _room(self, end: SettledEpoch, node: int, free: list[int]) -> int | None:
        """Return a free row, made a copy of ``node``; nothing where none is left."""
        for number, place in enumerate(free):
            if end.group[place] == end.group[node]:
                free.pop(number)
                end.population.take_after(place, node)
                return place
        return None
