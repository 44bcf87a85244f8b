"""Published figures beside what the simulation gives, one file per paper."""
