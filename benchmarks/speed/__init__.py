"""Time, as ratios measured in one run."""
