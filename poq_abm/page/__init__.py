"""The interactive page: a scenario played again and again while its coefficients move."""
