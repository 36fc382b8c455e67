"""Embeddings, or source labels, to target labels."""
