"""Ways to trust an answer, behind one interface: what each costs, delays, and lets pass."""
