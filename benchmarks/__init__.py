"""Measurements of speed, in one run and as ratios: against plain Mesa and against a C loop."""
