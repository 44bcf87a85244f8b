"""The shape of a scenario: its keys, their types and ranges; one module a section."""
