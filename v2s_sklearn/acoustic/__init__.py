"""Acoustic models: the frozen sources."""
