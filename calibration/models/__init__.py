"""Inference models and evaluators: found, loaded, and asked for outputs and scores."""
