"""The section ``mechanism``: how a committee agrees, who is paid what, and who is trusted.

Symbols follow the linear reward of arXiv:2512.16317, which pays quality and charges for cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from poq_abm.scenario.schema.acting import When, given, holds, lacking
from poq_abm.scenario.schema.fields import Coefficient, Label, Share, known
from poq_abm.scenario.schema.strict import Strict, complaint

__all__ = [
    "AGGREGATIONS",
    "MAX_NODES_IN_ALL",
    "MAX_ROBUST_COMMITTEE",
    "SCORED",
    "Mechanism",
    "Reward",
    "Trust",
]

MAX_NODES_IN_ALL: Final = 2_000_000
AGGREGATIONS: tuple[str, ...] = (
    "mean",
    "median",
    "trimmed_mean",
    "winsorized_mean",
    "huber",
    "mad_filter",
    "trust_weighted",
    "trust_weighted_median",
    "stake_median",
)
_LEARNING: Final = ("multiplicative", "relative", "hedge", "ema", "gold")
_LEARNS: Final = given("mechanism.trust.update", *_LEARNING)
MAX_ROBUST_COMMITTEE: Final = 64  # rules other than the mean sort the committee by insertion


def _weighs(settings: Any) -> bool:
    """Return whether anything looks at the weight that a newcomer has."""
    trust, malicious = settings.mechanism.trust, settings.malicious
    deviate = [group.behaviour["name"] != "honest" for group in settings.population.evaluators]
    return trust.update != "none" or trust.interval > 0 or malicious is not None or any(deviate)


def _plants(settings: Any) -> bool:
    economy = settings.economy
    slashes = economy is not None and economy.stake.slashing.gold is not None
    return slashes or settings.mechanism.trust.update == "gold"


def _several_tasks(settings: Any) -> bool:
    return settings.tasks is None or len(settings.tasks) > 1


def _scored(settings: Any) -> bool:
    verification = settings.verification
    return verification is None or verification.protocol in ("poq", "poq+otr")


SCORED: Final = holds(
    _scored,
    "does nothing here: without a committee (verification.protocol: poq or poq+otr) nobody scores",
    "verification.protocol",
)


class Trust(Strict):
    """How evaluators earn and lose weight; formulas in ``poq_abm.rules.trust.updates``.

    >>> Trust().maximum
    5.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        "rate": _LEARNS,
        "minimum": _LEARNS,
        "maximum": _LEARNS,
        "reference": given("mechanism.trust.update", *(n for n in _LEARNING if n != "gold")),
        "per_task": _LEARNS
        & holds(_several_tasks, "does nothing here: there is one task", "tasks"),
        "start": holds(
            _weighs,
            "acts only with a mechanism.trust.update other than none, a log "
            "(mechanism.trust.interval) or evaluators that deviate",
            "mechanism.trust.update",
            "malicious",
        ),
        "interval": lacking("verification", "with a verification, no log of trust is kept"),
        "gold_share": holds(
            _plants,
            "acts only with mechanism.trust.update: gold or economy.stake.slashing.gold",
            "mechanism.trust.update",
            "economy.stake.slashing.gold",
        ),
    }

    update: Literal["none", "multiplicative", "relative", "hedge", "ema", "gold"] = Field(
        default="none", description="how a round changes the weights of its committee"
    )
    rate: float = Field(default=0.1, gt=0, le=1, description="lambda of the update")
    start: float = Field(default=1.0, gt=0, description="w0, the weight of a newcomer")
    minimum: float = Field(default=0.1, gt=0, description="w_min")
    maximum: float = Field(default=5.0, gt=0, description="w_max")
    reference: Literal["inclusive", "leave_one_out", "median"] = Field(
        default="inclusive", description="what a member's deviation is measured from"
    )
    per_task: bool = Field(default=False, description="whether each task has weights of its own")
    gold_share: Share = Field(
        default=0.1, description="share of records whose truth the operator knows (update: gold)"
    )
    interval: int = Field(
        default=0, ge=0, description="rounds between two entries of trust.parquet; 0 keeps none"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Trust:
        if not self.minimum <= self.start <= self.maximum:
            raise complaint(
                f"minimum <= start <= maximum is needed, got {self.minimum:g}, {self.start:g}, "
                f"{self.maximum:g}"
            )
        return self


class Reward(Strict):
    """How quality and cost become an inference node's reward; ``poq_abm.rules.payment.rewards``.

    >>> Reward().family
    'linear'
    """

    acts: ClassVar[Mapping[str, When]] = {
        "exponent": given("mechanism.reward.family", "convex_cost"),
        "threshold": given("mechanism.reward.family", "threshold"),
        "task_weights": given("mechanism.reward.family", "task_weighted"),
    }

    family: Literal["linear", "convex_cost", "ratio", "threshold", "task_weighted"] = Field(
        default="linear", description="the published linear reward, or another"
    )
    exponent: float = Field(default=2.0, ge=1, le=10, description="of the cost (convex_cost)")
    threshold: Share = Field(
        default=0.5, description="quality Q from which alpha is paid in full (threshold)"
    )
    task_weights: dict[Label, Coefficient] = Field(
        default_factory=dict, description="factor on alpha by task, else 1 (task_weighted)"
    )


class Mechanism(Strict):
    """The payment rule: how a committee is formed, what it agrees on, and who is paid what.

    Equations are those of arXiv 2512.16317.

    >>> Mechanism().beta_inference
    0.3
    """

    acts: ClassVar[Mapping[str, When]] = {
        "committee_size": SCORED,
        "aggregation": SCORED,
        "tau": SCORED & given("mechanism.aggregation", "trimmed_mean", "winsorized_mean"),
        "huber_bend": SCORED & given("mechanism.aggregation", "huber"),
        "mad_cutoff": SCORED & given("mechanism.aggregation", "mad_filter"),
        "kappa": SCORED & given("mechanism.aggregation", "stake_median"),
        "trust": SCORED,
        "reference": SCORED,
        "reward": SCORED,
        "alpha_inference": SCORED,
        "beta_inference": SCORED,
        "alpha_evaluator": SCORED,
        "beta_evaluator": SCORED,
    }

    committee_size: int = Field(
        default=3, ge=1, le=MAX_NODES_IN_ALL, description="K, the evaluators sampled for a round"
    )
    aggregation: Annotated[str, AfterValidator(lambda v: known(v, "rule", AGGREGATIONS))] = Field(
        default="mean", description="how the committee's scores become the consensus"
    )
    tau: float = Field(
        default=0.2,
        ge=0,
        lt=0.5,
        description="share cut or pulled in at each end (trimmed_mean, winsorized_mean)",
    )
    huber_bend: float = Field(
        default=1.345, gt=0, description="normalised MADs beyond which a score loses weight (huber)"
    )
    mad_cutoff: float = Field(
        default=3.0, gt=0, description="normalised MADs beyond which a score is left out"
    )
    kappa: float = Field(
        default=0.5, gt=0, le=1, description="share of stake that supports the consensus"
    )
    trust: Trust = Field(default=Trust(), description="how evaluators earn and lose weight")
    reference: Literal["inclusive", "leave_one_out"] = Field(
        default="inclusive",
        description="whether the consensus an evaluator is compared with contains its own score",
    )
    reward: Reward = Field(
        default=Reward(), description="how quality and cost become an inference node's reward"
    )
    alpha_inference: Coefficient = Field(
        default=1.0,
        description="alpha_F in R_F = alpha_F Q - beta_F C (Eq. 2), with Q = consensus / 10 "
        "(Eq. 1); >= 0",
    )
    beta_inference: Coefficient = Field(
        default=0.3,
        description="beta_F in R_F = alpha_F Q - beta_F C (Eq. 2), with C the cost in [0, 1]; >= 0",
    )
    alpha_evaluator: Coefficient = Field(
        default=1.0,
        description="alpha_M in R_M = alpha_M closeness - beta_M C (Eq. 5), "
        "with closeness = 1 - |score - consensus| / 10 (Eq. 3 and 4); >= 0",
    )
    beta_evaluator: Coefficient = Field(
        default=0.3,
        description="beta_M in R_M = alpha_M closeness - beta_M C (Eq. 5), C in [0, 1]; >= 0",
    )
