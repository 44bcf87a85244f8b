"""From models to profiles: what measures, rebuilds and writes the tables we simulate with."""
