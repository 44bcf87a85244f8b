"""How nodes decide at the end of an epoch: who comes and goes, and who does what on what."""
