"""``none``: strangers are paid and nothing is checked."""

from __future__ import annotations

from poq_abm.rules.protocol.protocol import VerificationProtocol
from poq_abm.rules.rule import Source

__all__ = ["Unchecked"]


class Unchecked(VerificationProtocol):
    """Strangers answer and are paid; nothing is checked."""

    name = "none"
    gloss = "pay strangers unseen"
    catches = False
    formula = "p = 0; honest iff 0 >= G: every rational node cheats as soon as G > 0"
    source = Source("assumed", "ours; the lower bound of integrity")
    limits = "Reputation, repeated custom and the user's own eyes are left out."

    def weaknesses(self) -> list[str]:
        return ["nothing is checked: every dishonest answer stands"]
