"""What results mean: tables in, tables out, with an interval wherever a number is an estimate."""
