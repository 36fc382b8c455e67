"""What users bring: containers to arrays, labels, scaling."""
