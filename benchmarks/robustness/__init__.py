"""Random calls, kills."""
