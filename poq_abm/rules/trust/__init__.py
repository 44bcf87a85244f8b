"""Weights of evaluators that follow how far they deviate from the others: one class a rule."""

from poq_abm.rules.trust.reference import TRUST_REFERENCE, TrustReference
from poq_abm.rules.trust.update import TRUST_UPDATE, TrustUpdate, Typical

__all__ = ["TRUST_REFERENCE", "TRUST_UPDATE", "TrustReference", "TrustUpdate", "Typical"]
