"""Everything that can be wrong with a scenario beyond its schema, and how it is said."""
