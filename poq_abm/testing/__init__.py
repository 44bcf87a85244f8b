"""Contract tests that a rule must pass, to inherit from: one class per kind of rule.

They need pytest and hypothesis (``pip install 'poq-abm[test]'``); nothing else in the package
imports this room.
"""
