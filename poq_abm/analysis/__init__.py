"""What results mean: estimates with their intervals; tables in, tables out."""
