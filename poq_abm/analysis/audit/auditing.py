"""The audit: every deviation, precise enough, with verdicts that hold together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from poq_abm.analysis.audit.deviations import (
    ROLES,
    Deviation,
    deviating,
    deviations,
    name_switches,
    rings,
)
from poq_abm.analysis.audit.gains import by_cost, gain_table, sentences
from poq_abm.analysis.audit.variants import PlayedVariant, VariantRunner, activation_rate, trace_of
from poq_abm.errors import InputError
from poq_abm.experiment.estimates import CONFIDENCE
from poq_abm.rules.behaviour.base import Role, is_lazy
from poq_abm.scenario import Scenario
from poq_abm.scenario.checks.unanimity import why_unanimous
from poq_abm.simulation.population import build_population

__all__ = ["Audit", "audit"]

AT_MOST = 1000  #: replications, where a precision is asked for
_MARGIN = 1.2  # the spread of a first sample may be below the true one


@dataclass(frozen=True)
class Audit:
    """What an audit found; ``gains`` has the columns of :func:`.gains.gain_table`."""

    scenario: Scenario
    deviations: list[Deviation]
    gains: pd.DataFrame
    skipped: list[str]
    confidence: float
    half_width: float | None = None
    epsilon: float | None = None  #: as asked for; by default a share of honest pay
    left_out: tuple[str, ...] = ()  #: rules of adaptation that were not played
    compute_cost: float = 0.0  #: tokens that running a model of C = 1 takes for a job

    @property
    def sentences(self) -> list[str]:
        """The verdicts in words."""
        lines = sentences(self.gains, self.confidence, self.epsilon)
        if (reason := why_unanimous(self.scenario)) is not None:
            lines.append(f"Without a deviation, {reason}.")
        if (saving := self._unpriced()) is not None:
            lines.append(saving)
        if self.half_width is not None and self.widest > self.half_width:
            lines.append(
                f"Not every interval reached +-{self.half_width:g}: the widest is "
                f"+-{self.widest:.2g}; more replications are needed."
            )
        if self.left_out:
            lines.append(
                f"Adaptation is left out ({', '.join(self.left_out)}): nodes that answered a "
                "deviation would move the background it is compared with."
            )
        return lines

    def _unpriced(self) -> str | None:
        """Return who saves compute that this scenario does not price, if anybody does."""
        economy = self.scenario.economy
        parts = [part for one in self.deviations for part in one.parts]
        lazy = [part.doing for part in parts if is_lazy(part.role, part.behaviour)]
        if not lazy or (economy is not None and economy.cost.basis == "money"):
            return None
        if self.compute_cost:
            return (
                f"Gains are net of {self.compute_cost:g} tokens for running a model of C = 1, "
                "which who runs none saves."
            )
        who = ", ".join(dict.fromkeys(lazy))
        by_yuma = economy is not None and economy.payment.scheme == "yuma"
        charged = "Yuma charges nobody for cost" if by_yuma else "rewards charge C all the same"
        return (
            f"Who runs no model ({who}) saves its compute, which pay here does not count: "
            f"{charged}. --compute-cost counts it, as does an economy with cost.basis: money in "
            "profit."
        )

    @property
    def profitable(self) -> list[Deviation]:
        """The deviations that are shown to gain, the cheapest first (:func:`.verdicts.by_cost`)."""
        gaining = by_cost(self.gains[self.gains["verdict"] == "gains"])
        return [self.deviations[int(number)] for number in gaining.index]

    @property
    def widest(self) -> float:
        """Half the width of the widest interval of a gain; NaN where none has one."""
        widths = (self.gains["high"] - self.gains["low"]) / 2.0
        return float(widths.max())


def audit(
    scenario: Scenario | VariantRunner,
    *,
    share: float = 0.3,
    behaviours: Iterable[Mapping[str, Any]] | None = None,
    roles: Sequence[Role | Literal["ring"]] = ROLES,
    replications: int | None = None,
    half_width: float | None = None,
    epsilon: float | None = None,
    confidence: float = CONFIDENCE,
) -> Audit:
    """Return what every declared deviation gains against the scenario as a fixed background.

    A deviation changes what its members do and nothing else; every draw stays as it was. In an
    economy gains are in profit per epoch, and nobody adapts. See
    :func:`poq_abm.analysis.audit.deviations.deviations` for what is tried and
    :func:`poq_abm.analysis.audit.gains.gain_table` for the statistics.

    Parameters
    ----------
    scenario
        What to audit, without a sweep; or its runner, which says with how many workers.
    share
        Share of a group, and of a role, that a coalition holds.
    behaviours
        Behaviours to try instead of all declared ones, as ``{name: boost, b: 2.0}``.
    roles
        Whose deviations; ``ring`` for rings of both, see
        :func:`poq_abm.analysis.audit.deviations.rings`.
    replications
        Independent repetitions; default: the scenario's, the least ones of a precision target.
    half_width
        If given, deviations whose interval is wider are played on, up to 1,000 replications; their
        number follows from the spread of the first ones (two stages).
    epsilon
        The gain that is too small to matter, in tokens per job (in an economy, of profit per
        epoch): honesty is a best response where no simultaneous upper end reaches it. Default: 1%
        of what the same nodes get without deviating.
    confidence
        Level of the intervals and of the family-wise verdicts, in (0, 1).

    Raises
    ------
    InputError
        If the scenario has several treatments, or nobody can deviate.

    Examples
    --------
    >>> from poq_abm.scenario import load
    >>> alone = load("cost_aware_poq", ["mechanism.committee_size=1", "rounds=200"])
    >>> found = audit(alone, behaviours=[{"name": "boost"}], replications=2)
    >>> found.gains["verdict"].unique().tolist()
    ['equal']
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence!r}")
    if half_width is not None and not half_width > 0.0:
        raise InputError(f"the half-width asked for must be above 0, got {half_width!r}")
    if epsilon is not None and not 0.0 < epsilon < math.inf:
        raise InputError(f"epsilon must be above 0 and finite, got {epsilon!r}")
    runner = scenario if isinstance(scenario, VariantRunner) else VariantRunner.of(scenario)
    specs = None if behaviours is None else list(behaviours)
    alone: list[Role] = [role for role in ROLES if role in roles]
    tried, skipped = deviations(runner.scenario, share=share, chosen=specs, roles=alone or ROLES)
    tried = (tried if alone else []) + (
        list(rings(runner.scenario, share, specs)) if "ring" in roles else []
    )
    tried = name_switches(tried, runner.scenario, runner.plan.profile(0))
    if not tried:
        raise InputError("nobody can deviate: no behaviour is left to try")
    count = runner.replications if replications is None else replications
    names = [f"d{number}" for number in range(len(tried))]
    variants = {
        name: deviating(runner.scenario, deviation)
        for name, deviation in zip(names, tried, strict=True)
    }
    played = runner.play({"base": runner.scenario, **variants}, 0, count)
    population = build_population(runner.scenario, runner.plan.profile(0))
    acted = _activations(runner, tried, variants, population.inference_count)
    bond = runner.scenario.economy.stake.bond if runner.scenario.economy else 0.0

    def table() -> pd.DataFrame:
        everyone = [played[name] for name in names]
        return gain_table(
            tried, played["base"], everyone, population, confidence,
            bond=bond, epsilon=epsilon, acted=acted,
        )  # fmt: skip

    gains = table()
    if half_width is not None:
        _refine(runner, variants, played, gains, half_width)
        gains = table()
    return Audit(
        runner.scenario,
        tried,
        gains,
        skipped,
        confidence,
        half_width,
        epsilon,
        runner.left_out,
        runner.compute_cost,
    )


def _activations(
    runner: VariantRunner, tried: Sequence[Deviation], variants: Mapping[str, Scenario], first: int
) -> list[float]:
    """Return how often each deviation acted, in the first replication."""
    profile = runner.plan.profile(0)
    base = trace_of(runner.scenario, profile)
    return [
        activation_rate(base, trace_of(variant, profile), deviation, first)
        for deviation, variant in zip(tried, variants.values(), strict=True)
    ]


def _refine(
    runner: VariantRunner,
    variants: Mapping[str, Scenario],
    played: dict[str, PlayedVariant],
    gains: pd.DataFrame,
    half_width: float,
) -> None:
    """Play on those deviations whose interval is too wide, and the background beside them."""
    widths = ((gains["high"] - gains["low"]) / 2.0).to_numpy()
    wide = {
        name: width for name, width in zip(variants, widths, strict=True) if not width <= half_width
    }
    if not wide:
        return
    first = len(played["base"].rewards)
    most = max((width for width in wide.values() if np.isfinite(width)), default=half_width)
    needed = math.ceil(first * _MARGIN * (most / half_width) ** 2)
    last = min(max(needed, first + 1), max(AT_MOST, first))
    if last > first:
        again = {"base": runner.scenario, **{name: variants[name] for name in wide}}
        for name, later in runner.play(again, first, last).items():
            played[name] = played[name].joined(later)
