"""The network as an economy: epochs of rounds, between which nodes are paid, slashed and decide."""
