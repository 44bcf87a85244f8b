"""The judge: a sample of the outputs, asked of a model behind an HTTP API."""
