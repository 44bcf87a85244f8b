"""The network: nodes, scheduler and the two engines that play the same game."""
