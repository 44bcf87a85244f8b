"""How the profiles that ship were made."""
