"""How often Kim and Nelson's selection is right, of 1,000 runs at its nominal 95%.

    python benchmarks/selection.py

Ten normal candidates that share three quarters of their variance, nine of them worse than the best
by the indifference exactly: the least favourable case.
"""

import numpy as np

from poq_abm.analysis.design.selection import kim_nelson

RUNS, CANDIDATES, DELTA = 1_000, 10, 0.5


def main() -> None:
    """Print the share of right selections, with its standard error, and what they took."""
    right, spent = 0, 0
    means = np.where(np.arange(CANDIDATES) == 0, 0.0, DELTA)[:, None]
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        selecting = kim_nelson(CANDIDATES, DELTA, step=5)
        draw = next(selecting)
        while True:
            size = draw.last - draw.first
            played = means + np.sqrt(3.0) * rng.normal(size=size)
            played = played + rng.normal(size=(CANDIDATES, size))
            try:
                draw = selecting.send(played[draw.candidates])
            except StopIteration as end:
                right += end.value.best == 0
                spent += int(end.value.replications.sum())
                break
    share = right / RUNS
    error = np.sqrt(share * (1.0 - share) / RUNS)
    print(f"right: {share:.3f} (standard error {error:.3f}), nominal .95")
    print(f"replications: {spent / RUNS:.0f} of all candidates together")


if __name__ == "__main__":
    main()
