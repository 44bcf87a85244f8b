"""``poq``: a committee scores the answer, and pay follows its consensus."""

from __future__ import annotations

from typing import Any

from poq_abm.rules.protocol.protocol import VerificationProtocol

__all__ = ["Poq", "committee_terms"]


def committee_terms(protocol: VerificationProtocol) -> dict[str, Any]:
    """Return the terms of pay by consensus, alone or on top of another protocol."""
    score = float(protocol.verification.poq.accept_score)
    return {"committee": True, "accept_score": score}


class Poq(VerificationProtocol):
    """Proof of Quality: this project's mechanism."""

    name = "poq"
    summary = (
        "K evaluators score the answer; their consensus, by the scenario's rule, sets the pay. "
        "They are paid, trusted and may deviate as in the rounds. Which model ran is nobody's "
        "business."
    )
    formula = (
        "p = 0; honest iff H - D >= G, with H and D the mean pay of honest and of dishonest "
        "answers; paid = F max(0, alpha_F Q - beta_F C), Q = consensus / 10, or by another "
        "mechanism.reward; refused if consensus < a"
    )
    source = (
        "mechanism: published (arXiv 2512.16317); the conversion of one token into F USD and the "
        "accepted score a are ours"
    )
    limits = (
        "Evaluators never queue. What they are paid, points x F, is a transfer beside the user's "
        "fee: evaluation_usd is what their machines cost, evaluator_pay_usd what they receive. "
        "Rational nodes expect honest scores, whoever sits in the committee. The profile may not "
        "show what people would see in an answer."
    )
    sections = ("poq",)

    def changes(self) -> dict[str, Any]:
        return committee_terms(self)
