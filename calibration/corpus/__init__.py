"""Records: read from corpora in their formats, sampled, and kept in one file."""
