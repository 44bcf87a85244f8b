"""Equilibria of the game that nodes of a role play: what they would settle on, if they learnt.

``reduced_game`` plays the game, ``mixture_payoffs`` says what a strategy earns against a mix; a
file each are ``regret``, the ``symmetric`` equilibria, ``replicator`` basins, ``alpha_rank``, the
``logit_path`` and the ``invasion`` threshold of honesty; ``drift`` draws, and ``solution`` puts
them together.
"""
