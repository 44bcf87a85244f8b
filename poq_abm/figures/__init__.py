"""Pictures of tables: a DataFrame in, a matplotlib figure out."""
