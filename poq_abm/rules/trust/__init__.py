"""Weights of evaluators that follow how far they deviate from the others."""
