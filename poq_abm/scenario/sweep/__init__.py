"""Sweeps: the axes, lists and designs of a file, and the treatments they come to."""
