"""``poq``: a committee scores the answer, and pay follows its consensus."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.rule import Parameter, Source

__all__ = ["Poq"]


class Poq(VerificationProtocol):
    """K evaluators score the answer; their consensus, by the scenario's rule, sets the pay.

    They are paid, trusted and may deviate as in the rounds. Which model ran is nobody's business.
    """

    name = "poq"
    gloss = "evaluators score, pay follows"
    scored, catches = True, False
    formula = (
        "p = 0; honest iff H - D >= G, with H and D the mean pay of honest and of dishonest "
        "answers; paid = F max(0, alpha_F Q - beta_F C), Q = consensus / 10, or by another "
        "mechanism.reward; refused if consensus < a"
    )
    source = Source(
        "inferred",
        "from the mechanism of arXiv 2512.16317; the conversion of one token into F USD and the "
        "accepted score a are ours",
    )
    limits = (
        "Evaluators never queue. What they are paid, points x F, is a transfer beside the user's "
        "fee: evaluation_usd is what their machines cost, evaluator_pay_usd what they receive. "
        "Rational nodes expect honest scores, whoever sits in the committee. The profile may not "
        "show what people would see in an answer."
    )
    parameters = {
        "accept_score": Parameter(
            "consensus below which an answer is refused and not paid; 0 refuses nothing, as "
            "published", 0.0, unit="score 0-10", low=0.0, high=10.0,
        )
    }  # fmt: skip

    def changes(self) -> dict[str, Any]:
        return {"accept_score": float(self.values["accept_score"])}
