"""What nodes may do: honest play and the declared deviations from it.

``base`` says what a behaviour is, ``evaluators`` and ``inference`` list them, ``resolving`` turns
what a scenario says into a node's columns, ``attacks`` holds the compiled rules both engines play.
"""
