"""A laboratory for the economics of decentralised LLM inference."""
