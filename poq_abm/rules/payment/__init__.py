"""What a round pays: inference nodes for quality, evaluators for closeness."""
