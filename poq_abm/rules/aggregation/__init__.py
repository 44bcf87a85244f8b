"""From a committee's scores to its consensus: one small class a rule."""

from poq_abm.rules.aggregation.aggregation import AGGREGATION, Aggregation, WeighsBy

__all__ = ["AGGREGATION", "Aggregation", "WeighsBy"]
