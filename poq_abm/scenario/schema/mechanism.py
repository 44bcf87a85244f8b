"""The section ``mechanism``: how a committee agrees, who is paid what, and who is trusted.

Symbols follow the linear reward of arXiv:2512.16317, which pays quality and charges for cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from poq_abm.rules.aggregation import AGGREGATION
from poq_abm.rules.payment import EVALUATOR_PAYMENT, INFERENCE_PAYMENT, REFERENCE, Counted
from poq_abm.rules.schedule.schedules import SCHEDULE, SEATING
from poq_abm.rules.trust import TRUST_REFERENCE, TRUST_UPDATE
from poq_abm.scenario.schema.fields import Coefficient, Share, When, complaint, holds, lacking
from poq_abm.scenario.schema.rule_keys import (
    NamedRule,
    WithRules,
    acts_of,
    keys_of,
    with_rule,
)

__all__ = [
    "KINDS",
    "MAX_NODES_IN_ALL",
    "SCORED",
    "CostBasis",
    "Mechanism",
    "Reward",
    "Trust",
]

#: the kinds of rules that a round is made of
KINDS: Final = (AGGREGATION, INFERENCE_PAYMENT, EVALUATOR_PAYMENT, REFERENCE, TRUST_UPDATE,
                TRUST_REFERENCE, SCHEDULE, SEATING)  # fmt: skip
MAX_NODES_IN_ALL: Final = 2_000_000
_LEARNS: Final = with_rule(TRUST_UPDATE, lambda rule: rule.learns)
_COMPARES: Final = with_rule(TRUST_UPDATE, lambda rule: rule.learns and not rule.against_truth)


def _weighs(settings: Any) -> bool:
    """Return whether anything looks at the weight that a newcomer has."""
    trust, malicious = settings.mechanism.trust, settings.malicious
    deviate = [group.behaviour["name"] != "honest" for group in settings.population.evaluators]
    learns = trust.rule("update")[0].learns
    return learns or trust.interval > 0 or malicious is not None or any(deviate)


def _plants(settings: Any) -> bool:
    economy = settings.economy
    slashes = economy is not None and economy.stake.slashing.gold is not None
    pays = settings.mechanism.rule("evaluator_reward")[0].counted == Counted.TRUTH
    return slashes or pays or settings.mechanism.trust.rule("update")[0].against_truth


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


_NO_AUCTION: Final = holds(
    lambda settings: not settings.rule("schedule")[0].sets_pay,
    "does nothing here: schedule: second_score says what an answer is paid",
    "schedule",
)
_IN_NO_MONEY: Final = holds(
    lambda settings: settings.economy is None or settings.economy.cost.basis == "latency",
    "does nothing here: economy.cost.basis: money says what a job costs",
    "economy.cost.basis",
)
#: What the cost C of a node class normalises.
CostBasis = Literal["latency", "price"]


if TYPE_CHECKING:  # what the declarations of rules make of a section

    class _TrustKeys(WithRules):
        rate: float = 0.0
        minimum: float = 0.0
        maximum: float = 0.0

    class _RewardKeys(WithRules): ...

    class _AggregationKeys(WithRules): ...

    class _EvaluatorKeys(WithRules): ...

else:
    _TrustKeys = keys_of(TRUST_UPDATE, "update")
    _RewardKeys = keys_of(INFERENCE_PAYMENT, "family")
    _AggregationKeys = keys_of(AGGREGATION, "committee_size", "aggregation")
    _EvaluatorKeys = keys_of(EVALUATOR_PAYMENT)


class Trust(_TrustKeys):
    """How evaluators earn and lose weight, by the rules of ``poq_abm.rules.trust``.

    >>> Trust().maximum
    5.0
    """

    acts: ClassVar[Mapping[str, When]] = {
        **acts_of(TRUST_UPDATE),
        "reference": _COMPARES,
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
            "acts only with mechanism.trust.update: gold, mechanism.evaluator_reward: gold or "
            "economy.stake.slashing.gold",
            "mechanism.trust.update",
            "mechanism.evaluator_reward",
            "economy.stake.slashing.gold",
        ),
    }

    update: Annotated[Any, NamedRule(TRUST_UPDATE)] = Field(
        default="none", description="how a round changes the weights of its committee"
    )
    start: float = Field(default=1.0, gt=0, description="w0, the weight of a newcomer")
    reference: Annotated[Any, NamedRule(TRUST_REFERENCE)] = Field(
        default="inclusive", description="what a member's deviation is measured from"
    )
    per_task: bool = Field(default=False, description="whether each task has weights of its own")
    gold_share: Share = Field(
        default=0.1, description="share of records whose truth the operator knows"
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


class Reward(_RewardKeys):
    """How quality and cost become an inference node's reward, by ``poq_abm.rules.payment``.

    >>> Reward().family
    'linear'
    """

    acts: ClassVar[Mapping[str, When]] = acts_of(INFERENCE_PAYMENT)

    family: Annotated[Any, NamedRule(INFERENCE_PAYMENT)] = Field(
        default="linear", description="the published linear reward, or another"
    )


class Mechanism(_AggregationKeys, _EvaluatorKeys):
    """The payment rule: how a committee is formed, what it agrees on, and who is paid what.

    Equations are those of arXiv 2512.16317.

    >>> Mechanism().beta_inference
    0.3
    """

    acts: ClassVar[Mapping[str, When]] = {
        "committee_size": SCORED,
        "aggregation": SCORED,
        **{
            key: SCORED & acts
            for kind in (AGGREGATION, EVALUATOR_PAYMENT)
            for key, acts in acts_of(kind).items()
        },
        "trust": SCORED,
        "reference": SCORED,
        "evaluator_reward": SCORED,
        "reward": SCORED & _NO_AUCTION,
        "alpha_inference": SCORED,
        "beta_inference": SCORED,
        "alpha_evaluator": SCORED,
        "beta_evaluator": SCORED,
        "cost_inference": SCORED & _IN_NO_MONEY,
        "cost_evaluator": SCORED & _IN_NO_MONEY,
    }

    committee_size: int = Field(
        default=3, ge=1, le=MAX_NODES_IN_ALL, description="K, the evaluators sampled for a round"
    )
    aggregation: Annotated[Any, NamedRule(AGGREGATION)] = Field(
        default="mean", description="how the committee's scores become the consensus"
    )
    trust: Trust = Field(default=Trust(), description="how evaluators earn and lose weight")
    reference: Annotated[Any, NamedRule(REFERENCE)] = Field(
        default="inclusive",
        description="whether the consensus an evaluator is compared with contains its own score",
    )
    evaluator_reward: Annotated[Any, NamedRule(EVALUATOR_PAYMENT)] = Field(
        default="closeness",
        description="the published pay for closeness, for information over a batch of rounds, or "
        "a rule of one's own",
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
    cost_inference: CostBasis = Field(
        default="latency",
        description="what C of an inference node normalises: the published mean latency, or the "
        "price of an answer, usd_per_answer of the profile",
    )
    cost_evaluator: CostBasis = Field(
        default="latency",
        description="what C of an evaluator normalises: its mean latency, or the price of a score",
    )

    def cost_basis(self, role: str) -> CostBasis:
        """Return what the cost of a node class normalises.

        >>> Mechanism(cost_inference="price").cost_basis("inference")
        'price'
        """
        return self.cost_inference if role == "inference" else self.cost_evaluator
