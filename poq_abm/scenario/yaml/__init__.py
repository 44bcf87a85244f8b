"""YAML text to plain data and back, with the line of every value, and no object made."""
