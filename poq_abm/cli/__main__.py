"""Lets ``python -m poq_abm.cli`` stand for ``poq``."""

from poq_abm.cli import main

if __name__ == "__main__":
    main()
