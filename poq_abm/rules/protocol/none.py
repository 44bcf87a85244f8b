"""``none``: strangers are paid and nothing is checked."""

from __future__ import annotations

from poq_abm.rules.protocol.protocol import VerificationProtocol

__all__ = ["Unchecked"]


class Unchecked(VerificationProtocol):
    """What happens without any protocol."""

    name = "none"
    summary = "Strangers answer and are paid; nothing is checked."
    formula = "p = 0; honest iff 0 >= G: every rational node cheats as soon as G > 0"
    source = "ours; the lower bound of integrity"
    limits = "Reputation, repeated custom and the user's own eyes are left out."
