"""What nodes may do: honest play and the declared deviations from it.

``base`` says what a behaviour is and how it becomes a node's columns, ``evaluators`` and
``inference`` declare them, ``attacks`` holds the compiled rules that both engines play.
"""
